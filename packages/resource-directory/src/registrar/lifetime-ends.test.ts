import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { expect, test } from "vitest";
import type { RegistrationStore, StoreChange, StoreOperation, StoreOutcome } from "../store/types.js";
import { codeOf, serveDirectory } from "../testing/served-directory.js";

/** A store with several writers, which is away when the test says so. */
function sharedStore() {
  const operations: StoreOperation["kind"][] = [];
  const state = { isAway: false };
  let consumer: (change: StoreChange) => void = () => {};
  const store: RegistrationStore = {
    epoch: 1,
    follow: (one) => {
      consumer = one;
    },
    async *load() {},
    get: () => undefined,
    async submit({ kind, registration }): Promise<StoreOutcome> {
      if (state.isAway) return { kind: "away", message: "away" };
      const position = operations.push(kind);
      consumer({ kind, position, id: registration.id, registration });
      return { kind: "stored", position };
    },
    shared: {
      locationOf: ({ ep }) => ep,
      endJitterMs: 2000,
      catchUp: async () => true,
      health: () => state,
      onHealth: () => {},
    },
    close: async () => {},
  };
  return { store, operations, state };
}

test("a lifetime that ended while the shared store was away is reported when it is back, however short it was", async () => {
  const world = createVirtualWorld();
  const { store, operations, state } = sharedStore();
  const { call, lookup } = serveDirectory(world, { store });
  expect(codeOf(await call("POST", "/rd?ep=short&lt=1"))).toBe("2.01");
  state.isAway = true;
  // Its time to be revived ends, and what is dormant is looked through.
  await world.clock.advance(120_000);
  expect(lookup("ep")).toEqual([]);
  expect(operations).toEqual(["put"]);
  state.isAway = false;
  await world.clock.advance(120_000);
  expect(operations).toEqual(["put", "end"]);
});
