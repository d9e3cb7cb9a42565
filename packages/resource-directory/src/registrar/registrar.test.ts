import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { createDirectory } from "@tributary/merge-engine";
import { describe, expect, test } from "vitest";
import { oneWriter, type RegistrationTable } from "../store/one-writer.js";
import type { StoredRegistration } from "../stored-registration.js";
import { codeOf, serveDirectory } from "../testing/served-directory.js";
import { Registrar } from "./registrar.js";

/** A store whose writes end when the test says so, and which remembers what it holds. */
function slowStore(initial: readonly StoredRegistration[] = []) {
  const kept = new Map(initial.map((stored) => [stored.id, stored]));
  const waiting: { what: string; end: (error?: Error) => void }[] = [];
  const write = (what: string, effect: () => void) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({
        what,
        end: (error) => {
          if (error !== undefined) return reject(error);
          effect();
          resolve();
        },
      });
    });
  let isClosed = false;
  const table: RegistrationTable = {
    async *load() {
      yield* [...kept.values()];
    },
    get: (id) => kept.get(id),
    put: (stored) => write(`put ${stored.ep} ${stored.ltS}`, () => kept.set(stored.id, stored)),
    delete: (id) => write("delete", () => kept.delete(id)),
    async close() {
      isClosed = true;
    },
  };
  return { table, store: oneWriter(table, { epoch: 0xabc }), kept, waiting, isClosed: () => isClosed };
}

/** A store that keeps at once, or fails at once. */
function quickStore(initial: readonly StoredRegistration[] = []) {
  const kept = new Map(initial.map((stored) => [stored.id, stored]));
  const state = { failure: null as Error | null };
  const table: RegistrationTable = {
    async *load() {
      yield* [...kept.values()];
    },
    get: (id) => kept.get(id),
    put(stored) {
      if (state.failure !== null) throw state.failure;
      kept.set(stored.id, stored);
    },
    delete(id) {
      if (state.failure !== null) throw state.failure;
      kept.delete(id);
    },
    close: () => Promise.resolve(),
  };
  return { table, store: oneWriter(table, { epoch: 0xabc }), kept, state };
}

const stored = (id: string, more: Partial<StoredRegistration> = {}): StoredRegistration => ({
  id,
  ep: id,
  base: "coap://[2001:db8::2]",
  isBaseExplicit: true,
  ltS: 60,
  attributes: [["et", "x"]],
  links: '</x>;rt="t"',
  renewedAtWallMs: 1_700_000_000_000,
  isSimple: false,
  ...more,
});

describe("the store comes first", () => {
  test("2.01, 2.04 and 2.02 go out only after the store has taken it, and nothing is shown before", async () => {
    const world = createVirtualWorld();
    const { store, waiting } = slowStore();
    const { call, lookup, directory } = serveDirectory(world, { store });
    const created = call("POST", "/rd?ep=a&lt=60");
    expect(created).toBeInstanceOf(Promise);
    expect(lookup("ep")).toEqual([]);
    waiting.shift()?.end();
    const location = `/${(await created).locationPath?.join("/")}`;
    expect(lookup("ep")).toHaveLength(1);

    const updated = call("POST", `${location}?lt=70`);
    expect(directory.get("local", location)?.ltMs).toBe(60_000);
    waiting.shift()?.end();
    expect(codeOf(await updated)).toBe("2.04");
    expect(directory.get("local", location)?.ltMs).toBe(70_000);

    const deleted = call("DELETE", location);
    expect(lookup("ep")).toHaveLength(1);
    waiting.shift()?.end();
    expect(codeOf(await deleted)).toBe("2.02");
    expect(lookup("ep")).toEqual([]);
  });

  test("operations on one endpoint keep their order, others do not wait", async () => {
    const world = createVirtualWorld();
    const { store, waiting } = slowStore();
    const { call, directory } = serveDirectory(world, { store });
    const pending = [call("POST", "/rd?ep=a&lt=1"), call("POST", "/rd?ep=a&lt=2"), call("POST", "/rd?ep=b&lt=3")];
    expect(waiting.map(({ what }) => what)).toEqual(["put a 1", "put b 3"]);
    waiting[1]?.end();
    waiting[0]?.end();
    await world.clock.settle();
    expect(waiting.map(({ what }) => what)).toEqual(["put a 1", "put b 3", "put a 2"]);
    waiting[2]?.end();
    const codes = await Promise.all(pending);
    expect(codes.map(codeOf)).toEqual(["2.01", "2.01", "2.01"]);
    expect(codes[0]?.locationPath).toEqual(codes[1]?.locationPath);
    expect(directory.winner("a", undefined)?.ltMs).toBe(2000);
  });

  test("a registration on its way is counted, and one that is deleted meanwhile is not found", async () => {
    const world = createVirtualWorld();
    const { store, waiting } = slowStore();
    const { call } = serveDirectory(world, { store, limits: { registrations: 1 } });
    const first = call("POST", "/rd?ep=a");
    expect(codeOf(await call("POST", "/rd?ep=b"))).toBe("5.03");
    waiting.shift()?.end();
    const location = `/${(await first).locationPath?.join("/")}`;
    const deleted = call("DELETE", location);
    const updated = call("POST", location);
    waiting.shift()?.end();
    expect(codeOf(await deleted)).toBe("2.02");
    expect(codeOf(await updated)).toBe("4.04");
  });

  test.each([
    { name: "at once", isAsync: false },
    { name: "later", isAsync: true },
  ])("a store that fails $name leaves the directory as it was: 5.03", async ({ isAsync }) => {
    const world = createVirtualWorld();
    const { table, state } = quickStore();
    const slow = {
      ...table,
      put: async (one: StoredRegistration) => table.put(one),
      delete: async (id: string) => table.delete(id),
    };
    const failing = oneWriter(isAsync ? slow : table, { epoch: 0xabc });
    const { call, directory, lookup, rd } = serveDirectory(world, { store: failing });
    const created = await call("POST", "/rd?ep=a&lt=60", { payload: "</x>" });
    const location = `/${created.locationPath?.join("/")}`;
    const before = { ...directory.get("local", location) };
    state.failure = new Error("disk full");
    await world.clock.advance(1000);
    expect(codeOf(await call("POST", "/rd?ep=b"))).toBe("5.03");
    expect(codeOf(await call("POST", "/rd?ep=a", { payload: "</y>" }))).toBe("5.03");
    expect(codeOf(await call("POST", location))).toBe("5.03");
    expect(codeOf(await call("DELETE", location))).toBe("5.03");
    expect({ ...directory.get("local", location) }).toEqual(before);
    expect(lookup("ep")).toHaveLength(1);
    expect(rd.rejected.get("store-failure")).toBe(4);
    state.failure = null;
    expect(codeOf(await call("POST", location))).toBe("2.04");
  });

  test("a directory that others filled up refuses, and the store forgets again", () => {
    const world = createVirtualWorld();
    const { store, kept } = quickStore();
    const directory = createDirectory({ maxRegistrations: 1 });
    const { ask, register } = serveDirectory(world, { store, directory });
    register("ep=a");
    expect(codeOf(ask("POST", "/rd?ep=b"))).toBe("5.03");
    expect([...kept.values()].map(({ ep }) => ep)).toEqual(["a"]);
  });

  test("close waits for what is under way, closes the store and answers 5.03 afterwards", async () => {
    const world = createVirtualWorld();
    const { store, waiting, isClosed } = slowStore();
    const { rd, call } = serveDirectory(world, { store });
    const created = call("POST", "/rd?ep=a");
    const closing = Promise.all([rd.close(), rd.close()]);
    await world.clock.settle();
    expect(isClosed()).toBe(false);
    waiting.shift()?.end();
    expect(codeOf(await created)).toBe("2.01");
    await closing;
    expect(isClosed()).toBe(true);
    expect(codeOf(await call("POST", "/rd?ep=b"))).toBe("5.03");
  });
});

describe("expired registrations and the store", () => {
  test("LIF-05 kept for revival, then deleted from the store", async () => {
    const world = createVirtualWorld();
    const { store, kept } = quickStore();
    const { register } = serveDirectory(world, { store });
    register("ep=a&lt=60");
    await world.clock.advance(119_000);
    expect(kept.size).toBe(1);
    await world.clock.advance(62_000);
    expect(kept.size).toBe(0);
  });

  test("LIF-05 what was revived or registered again is not deleted with the old", async () => {
    const world = createVirtualWorld();
    const { store, kept } = quickStore();
    const { register, ask, lookup } = serveDirectory(world, { store });
    const revived = register("ep=a&lt=60");
    register("ep=b&lt=60");
    await world.clock.advance(90_000);
    ask("POST", `${revived}?lt=6000`);
    await world.clock.advance(40_000);
    register("ep=b&lt=6000");
    await world.clock.advance(120_000);
    expect([...kept.values()].map(({ ep }) => ep).sort()).toEqual(["a", "b"]);
    expect(lookup("ep")).toHaveLength(2);
  });
});

describe("start", () => {
  test("registrations come back with their age", async () => {
    const world = createVirtualWorld();
    const { store } = quickStore([stored("k1", { renewedAtWallMs: 1_700_000_000_000 - 20_000, d: "s" })]);
    const { rd, lookup, directory, ask } = serveDirectory(world, { store });
    await rd.start();
    expect(lookup("res")).toEqual([{ target: "coap://[2001:db8::2]/x", attributes: [["rt", "t"]] }]);
    expect(directory.get("local", "/reg/k1")).toMatchObject({ d: "s", renewedAtMs: -20_000, expiresAtMs: 40_000 });
    expect(codeOf(ask("POST", "/reg/k1"))).toBe("2.04");
  });

  test("what ended meanwhile is not shown, revivable while it may be, and forgotten after that", async () => {
    const world = createVirtualWorld();
    const wallMs = 1_700_000_000_000;
    const { store, kept } = quickStore([
      stored("ended", { renewedAtWallMs: wallMs - 61_000 }),
      stored("gone", { renewedAtWallMs: wallMs - 120_000 }),
    ]);
    const { rd, lookup, ask } = serveDirectory(world, { store });
    await rd.start();
    expect(lookup("ep")).toEqual([]);
    expect([...kept.keys()]).toEqual(["ended"]);
    expect(codeOf(ask("POST", "/reg/gone"))).toBe("4.04");
    expect(codeOf(ask("POST", "/reg/ended"))).toBe("2.04");
    expect(lookup("ep")).toHaveLength(1);
  });

  test("a wall clock that was set back makes nothing younger than new", async () => {
    const world = createVirtualWorld();
    const { store } = quickStore([stored("k1", { renewedAtWallMs: 1_700_000_000_000 + 3_600_000 })]);
    const { rd, directory } = serveDirectory(world, { store });
    await rd.start();
    expect(directory.get("local", "/reg/k1")).toMatchObject({ renewedAtMs: 0, expiresAtMs: 60_000 });
  });

  test("of two with one name the younger counts", async () => {
    const world = createVirtualWorld();
    const wallMs = 1_700_000_000_000;
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const both = [
        stored("old", { ep: "a", renewedAtWallMs: wallMs - 9000 }),
        stored("new", { ep: "a", renewedAtWallMs: wallMs - 1000 }),
      ];
      const { store, kept } = quickStore(order.map((at) => both[at] as StoredRegistration));
      const served = serveDirectory(createVirtualWorld(), { store });
      await served.rd.start();
      expect([...kept.keys()]).toEqual(["new"]);
      expect(served.lookup("ep").map(({ target }) => target)).toEqual(["/reg/new"]);
      expect(served.directory.counts().total).toBe(1);
    }
    await world.clock.settle();
  });

  test("one unreadable registration does not cost the others", async () => {
    const world = createVirtualWorld();
    const { store } = quickStore([stored("bad", { links: "</x" }), stored("good")]);
    const { rd, lookup } = serveDirectory(world, { store });
    await rd.start();
    expect(lookup("ep").map(({ target }) => target)).toEqual(["/reg/good"]);
  });

  test("REG-33 ids of an earlier run are not given to others", async () => {
    const probe = serveDirectory(createVirtualWorld()).register("ep=probe").slice("/reg/".length);
    const { store } = quickStore([stored(probe, { ep: "kept" })]);
    const { rd, register } = serveDirectory(createVirtualWorld(), { store });
    await rd.start();
    expect(register("ep=new")).not.toBe(`/reg/${probe}`);
  });
});

describe("whether a response that is remembered is still true", () => {
  function setup() {
    const world = createVirtualWorld();
    const { env } = world;
    const directory = createDirectory({});
    const { store } = quickStore();
    const limits = { registrations: 10, registrationBytes: 1000, links: 10, attributes: 10 };
    const registrar = new Registrar({ directory, store, env }, { source: "local", resourcePath: ["reg"], limits });
    const { id: _, renewedAtWallMs: __, ...content } = stored("a");
    const expire = () => directory.expire(env.clock.nowMs());
    return { world, registrar, content, expire };
  }

  async function registered() {
    const site = setup();
    const saved = await site.registrar.register(site.content, []);
    if (!saved.ok) throw new Error(saved.refusal.message);
    return { ...site, saved: saved.value, isStillTrue: site.registrar.whileUnchanged(saved.value) };
  }

  test("after a renewal it is", async () => {
    const { registrar, content, isStillTrue } = await registered();
    expect(isStillTrue()).toBe(true);
    await registrar.register(content, []);
    expect(isStillTrue()).toBe(true);
  });

  test.each(["changed", "removed", "removed and registered again"])(
    "when the registration was %s it is not",
    async (what) => {
      const { registrar, content, saved, isStillTrue } = await registered();
      if (what !== "changed") await registrar.remove(saved);
      if (what === "changed") await registrar.register({ ...content, ltS: 77 }, []);
      if (what === "removed and registered again") await registrar.register(content, []);
      expect(isStillTrue()).toBe(false);
    },
  );

  test("when its lifetime has ended it is not, also after it was revived", async () => {
    const { world, registrar, content, expire, isStillTrue } = await registered();
    await world.clock.advance(61_000);
    expire();
    expect(isStillTrue()).toBe(false);
    await registrar.register(content, []);
    expect(isStillTrue()).toBe(false);
  });
});
