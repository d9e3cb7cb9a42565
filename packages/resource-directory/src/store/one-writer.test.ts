import { describe, expect, test } from "vitest";
import type { StoredRegistration } from "../stored-registration.js";
import { createMemoryStore } from "./memory-store.js";
import { oneWriter } from "./one-writer.js";
import type { StoreChange } from "./types.js";

const registration = (id: string): StoredRegistration => ({
  ...{ id, ep: id, base: "coap://h", isBaseExplicit: true, ltS: 60, attributes: [], links: "" },
  ...{ renewedAtWallMs: 0, isSimple: false },
});

describe("a store with one writer", () => {
  test("gives its writes back as changes, in order, before it reports them", async () => {
    const store = oneWriter(
      { ...TABLE, put: () => Promise.resolve(), delete: () => Promise.resolve() },
      { epoch: 7, position: 40 },
    );
    const seen: string[] = [];
    store.follow(({ kind, id, position }: StoreChange) => seen.push(`${kind} ${id} ${position}`));
    const put = await store.submit({ kind: "put", registration: registration("a") }, null);
    expect(put).toEqual({ kind: "stored", position: 41 });
    expect(seen).toEqual(["put a 41"]);
    await store.submit({ kind: "end", registration: registration("a") }, 41);
    await store.submit({ kind: "delete", registration: registration("a") }, 42);
    expect(seen.slice(1)).toEqual(["end a 42", "delete a 43"]);
    expect(store.epoch).toBe(7);
  });

  test("gives nothing back of a write that failed, and leaves no position out for it", async () => {
    const store = oneWriter({ ...TABLE, put: () => Promise.reject(new Error("disk")) }, { epoch: 7 });
    const seen: StoreChange[] = [];
    store.follow((change) => seen.push(change));
    await expect(store.submit({ kind: "put", registration: registration("a") }, null)).rejects.toThrow("disk");
    expect(seen).toEqual([]);
    expect(store.takePosition?.()).toBe(1);
  });

  test("positions follow the order in which changes are applied, not that of their writes", async () => {
    const store = createMemoryStore();
    const seen: string[] = [];
    store.follow(({ id, position }) => seen.push(`${id} ${position}`));
    let apply = () => {};
    const pace = <T>(work: () => T | Promise<T>) =>
      new Promise<T>((resolve) => {
        apply = () => resolve(work());
      });
    const slow = store.submit({ kind: "put", registration: registration("slow"), pace }, null);
    void store.submit({ kind: "put", registration: registration("fast") }, null);
    apply();
    expect(await slow).toEqual({ kind: "stored", position: 2 });
    expect(seen).toEqual(["fast 1", "slow 2"]);
  });
});

const TABLE = {
  async *load() {},
  get: () => undefined,
  put: () => {},
  delete: () => {},
  close: () => Promise.resolve(),
};
