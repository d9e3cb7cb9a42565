import type { StoreChange, StoredRegistration } from "@tributary/resource-directory";
import { silentLogger } from "@tributary/runtime";
import { createVirtualClock, seededRandom, type VirtualClock } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { SharedRegistrations } from "./nats-store.js";
import { endpointHash } from "./registration-message.js";
import { type InstanceFaults, StreamModel } from "./testing/stream-model.js";

interface Instance {
  readonly store: SharedRegistrations;
  readonly faults: InstanceFaults;
  readonly changes: StoreChange[];
  /** Position of the registration of each endpoint, as a registrar keeps it. */
  readonly positions: Map<string, number>;
}

class World {
  readonly clock: VirtualClock = createVirtualClock();
  readonly stream: StreamModel;
  readonly log: string[] = [];
  readonly #random: () => number;

  constructor(seed = 1) {
    this.#random = seededRandom(seed);
    this.stream = new StreamModel(this.clock, this.#random);
  }

  async open(): Promise<Instance> {
    const faults = { isCutOff: false, lostResponses: 0 };
    const say = (message: string) => void this.log.push(message);
    const logger = { ...silentLogger, info: say, warn: say, error: say };
    const env = { clock: this.clock, random: this.#random, logger };
    const store = new SharedRegistrations({ env, stream: this.stream.connect(faults), epoch: 1 });
    const changes: StoreChange[] = [];
    const positions = new Map<string, number>();
    store.follow((change) => {
      changes.push(change);
      if (change.kind === "delete") positions.delete(change.id);
      else positions.set(change.id, change.position);
    });
    await this.done(drain(store.load()));
    return { store, faults, changes, positions };
  }

  async done<T>(promise: Promise<T>): Promise<T> {
    let isDone = false;
    promise.then(
      () => (isDone = true),
      () => (isDone = true),
    );
    await this.clock.runUntil(() => isDone, 600_000);
    return await promise;
  }

  put({ store, positions }: Instance, ep: string, more: Partial<StoredRegistration> = {}) {
    const registration = registrationOf(store, ep, more);
    return store.submit({ kind: "put", registration }, positions.get(registration.id) ?? null);
  }

  remove({ store, positions }: Instance, ep: string, kind: "end" | "delete" = "delete") {
    const registration = registrationOf(store, ep);
    return store.submit({ kind, registration }, positions.get(registration.id) ?? null);
  }
}

const drain = async (items: AsyncIterable<unknown>) => {
  for await (const _ of items);
};

function registrationOf(
  store: SharedRegistrations,
  ep: string,
  more: Partial<StoredRegistration> = {},
): StoredRegistration {
  return {
    ...{ id: store.shared.locationOf({ ep }), ep, base: "coap://h", isBaseExplicit: true, ltS: 60, attributes: [] },
    ...{ links: "</t>", renewedAtWallMs: 0, stampMs: 1, isSimple: false, ...more },
  };
}

describe("several instances on one stream", () => {
  test("see each other's changes in one order, under the same path, and an instance that comes later the last ones", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    expect(await world.done(world.put(a, "n1"))).toEqual({ kind: "stored", position: 1 });
    expect(await world.done(world.put(b, "n2"))).toEqual({ kind: "stored", position: 2 });
    await world.clock.advance(100);
    expect(await world.done(world.put(b, "n1", { ltS: 90 }))).toEqual({ kind: "stored", position: 3 });
    await world.clock.advance(100);
    expect(b.changes).toEqual(a.changes);
    expect(a.changes.map(({ kind, position }) => `${kind} ${position}`)).toEqual(["put 1", "put 2", "put 3"]);
    const c = await world.open();
    expect(c.changes.map(({ position }) => position)).toEqual([2, 3]);
    expect(c.changes[1]?.registration).toMatchObject({ ep: "n1", ltS: 90 });
  });

  test("times of renewal are those of the stream", async () => {
    const world = new World();
    const a = await world.open();
    await world.clock.advance(5000);
    await world.done(world.put(a, "n1", { renewedAtWallMs: 17 }));
    const renewedAtWallMs = a.changes[0]?.registration?.renewedAtWallMs ?? 0;
    expect(world.clock.wallMs() - renewedAtWallMs).toBeLessThan(50);
    expect(renewedAtWallMs).toBeLessThanOrEqual(world.clock.wallMs());
  });

  test("a renewal that is written later says how long ago it was", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    const registration = registrationOf(a.store, "n1");
    await world.done(a.store.submit({ kind: "put", registration, ageMs: 40_000 }, null));
    await world.clock.advance(100);
    for (const { changes } of [a, b]) {
      const ageMs = world.clock.wallMs() - (changes[0]?.registration?.renewedAtWallMs ?? 0);
      expect(ageMs).toBeGreaterThanOrEqual(40_000);
      expect(ageMs).toBeLessThan(40_200);
    }
  });

  test("of 100 who register the same at once, one is first, and the others see it", async () => {
    const world = new World();
    const instances = [await world.open(), await world.open(), await world.open()];
    const outcomes = await world.done(
      Promise.all(Array.from({ length: 100 }, (_, index) => world.put(instances[index % 3] as Instance, "n1"))),
    );
    expect(outcomes.filter(({ kind }) => kind === "stored")).toHaveLength(1);
    expect(outcomes.filter(({ kind }) => kind === "conflict")).toHaveLength(99);
    for (const { changes } of instances) expect(changes).toHaveLength(1);
  });

  test("what remains of a removed, ended or forgotten registration is in no one's way", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    for (const over of ["delete", "end", "marker"] as const) {
      await world.done(world.put(a, over));
      if (over === "marker") world.stream.expire(`rd.reg.${endpointHash({ ep: over })}`);
      else expect(await world.done(world.remove(a, over, over))).toMatchObject({ kind: "stored" });
      await world.clock.advance(100);
      // A registrar that has forgotten what was there.
      b.positions.clear();
      expect(await world.done(world.put(b, over)), over).toMatchObject({ kind: "stored" });
    }
  });

  test("a registration whose end nobody reported is in no one's way once it cannot be revived any more", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    await world.done(world.put(a, "n1", { ltS: 2 }));
    await world.clock.advance(3000);
    b.positions.clear();
    expect(await world.done(world.put(b, "n1"))).toEqual({ kind: "conflict" });
    await world.clock.advance(2000);
    expect(await world.done(world.put(b, "n1"))).toMatchObject({ kind: "stored" });
  });

  test("an instance that has caught up knows what another one had stored before", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    await world.done(world.put(a, "n1"));
    const id = b.store.shared.locationOf({ ep: "n1" });
    expect(await world.done(b.store.shared.catchUp())).toBe(true);
    expect(b.positions.has(id)).toBe(true);
    b.faults.isCutOff = true;
    expect(await world.done(b.store.shared.catchUp())).toBe(false);
    const both = world.done(Promise.all([b.store.shared.catchUp(), b.store.shared.catchUp()]));
    expect(await both).toEqual([false, false]);
  });

  test("a decision upon an older state is a conflict, reported after the newer one has arrived", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    await world.done(world.put(a, "n1"));
    await world.clock.advance(100);
    const before = b.positions.get(b.store.shared.locationOf({ ep: "n1" })) as number;
    await world.done(world.put(a, "n1", { ltS: 90 }));
    b.faults.isCutOff = false;
    const registration = registrationOf(b.store, "n1", { ltS: 120 });
    const outcome = await world.done(b.store.submit({ kind: "put", registration }, before));
    expect(outcome).toEqual({ kind: "conflict" });
    expect(b.changes.at(-1)?.registration?.ltS).toBe(90);
  });
});

describe("faults", () => {
  test("what is refused because of a write that is not applied yet is submitted again, at a measured pace", async () => {
    const world = new World();
    const a = await world.open();
    world.stream.holdUp(`rd.reg.${endpointHash({ ep: "n1" })}`, 200);
    const startMs = world.clock.nowMs();
    expect(await world.done(world.put(a, "n1"))).toMatchObject({ kind: "stored" });
    expect(world.clock.nowMs() - startMs).toBeGreaterThanOrEqual(200);
  });

  test("probes while much is written are no faults", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    const startMs = world.clock.nowMs();
    for (let index = 0; world.clock.nowMs() - startMs < 20_000; index++)
      expect(await world.done(world.put(a, `n${index}`))).toMatchObject({ kind: "stored" });
    expect(a.store.figures().probes.succeeded).toBeGreaterThan(5);
    expect([a, b].map(({ store }) => store.shared.health())).toEqual([{ isAway: false }, { isAway: false }]);
    expect(world.log).toEqual([]);
  });

  test("where only the probes find no leader, what is written shows that there is one", async () => {
    const world = new World();
    const a = await world.open();
    a.faults.isProbeLost = true;
    for (let index = 0; index < 60; index++) {
      expect(await world.done(world.put(a, `busy${index}`))).toMatchObject({ kind: "stored" });
      await world.clock.advance(500);
    }
    expect(a.store.figures().probes.failed).toBeGreaterThan(5);
    expect(world.log).toEqual([]);
    // Where nobody writes, the store does it itself.
    await world.clock.advance(60_000);
    expect([a.store.shared.health(), world.log]).toEqual([{ isAway: false }, []]);
  });

  test("while nobody responds, writes are refused at once; they are taken as soon as the stream has a leader", async () => {
    const world = new World();
    const a = await world.open();
    a.faults.isCutOff = true;
    await world.clock.advance(20_000);
    const startMs = world.clock.nowMs();
    for (const name of ["n1", "n2"]) expect(await world.done(world.put(a, name))).toMatchObject({ kind: "away" });
    expect(world.clock.nowMs() - startMs).toBeLessThan(100);
    a.faults.isCutOff = false;
    a.faults.isProbeLost = true;
    await world.clock.advance(1000);
    expect(a.store.shared.health()).toEqual({ isAway: false });
    expect(await world.done(world.put(a, "n3"))).toMatchObject({ kind: "stored" });
  });

  test("a submission whose response is lost is settled before it is answered, and stored once", async () => {
    const world = new World(3);
    const a = await world.open();
    a.faults.lostResponses = 0.5;
    const outcomes = await world.done(Promise.all(Array.from({ length: 50 }, (_, index) => world.put(a, `n${index}`))));
    expect(outcomes.every(({ kind }) => kind === "stored")).toBe(true);
    expect(world.stream.history).toHaveLength(50);
  });

  test("an instance that is cut off finds out within 10 s, refuses writes, and catches up when it is back", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    let changes = 0;
    b.store.shared.onHealth(() => changes++);
    b.faults.isCutOff = true;
    await world.clock.advance(10_000);
    expect(b.store.shared.health()).toMatchObject({ isAway: true });
    expect(await world.done(world.put(b, "n1"))).toMatchObject({ kind: "away" });
    expect(await world.done(world.put(a, "n2"))).toMatchObject({ kind: "stored" });
    b.faults.isCutOff = false;
    await world.clock.advance(10_000);
    expect(b.store.shared.health()).toEqual({ isAway: false });
    expect(b.changes.map(({ registration }) => registration?.ep)).toEqual(["n2"]);
    expect(changes).toBe(2);
    expect(await world.done(world.put(b, "n1"))).toMatchObject({ kind: "stored" });
  });

  test("a submission that is under way when the stream goes away is answered soon, as unknown", async () => {
    const world = new World();
    const a = await world.open();
    a.faults.isCutOff = true;
    const startMs = world.clock.nowMs();
    expect(await world.done(world.put(a, "n1"))).toMatchObject({ kind: "unknown" });
    expect(world.clock.nowMs() - startMs).toBeLessThan(12_000);
  });

  test.each([
    { what: "made again", break: (stream: StreamModel) => stream.recreate() },
    { what: "emptied", break: (stream: StreamModel) => stream.empty() },
    { what: "restored from an older state", break: (stream: StreamModel) => stream.goBack(2) },
  ])("a stream that is $what removes nothing, takes no writes, and is an alarm that stays", async (one) => {
    const world = new World();
    const a = await world.open();
    for (let index = 0; index < 5; index++) await world.done(world.put(a, `n${index}`));
    one.break(world.stream);
    await world.clock.advance(10_000);
    expect(a.changes).toHaveLength(5);
    expect(a.store.shared.health()).toMatchObject({ isAway: true });
    await world.clock.advance(60_000);
    expect(a.store.shared.health()).toMatchObject({ isAway: true });
    expect(await world.done(world.put(a, "n9"))).toMatchObject({ kind: "away" });
    expect(world.log.filter((message) => message.includes("not the one that was followed"))).toHaveLength(1);
  });

  test("damaged and foreign messages are left out and counted, and the others are used", async () => {
    const world = new World();
    const a = await world.open();
    world.stream.inject(`rd.reg.${endpointHash({ ep: "n1" })}`, new TextEncoder().encode("{"));
    world.stream.inject("rd.reg.else", new Uint8Array());
    world.stream.inject(`rd.reg.${endpointHash({ ep: "n2" })}`, new Uint8Array(), "other");
    await world.done(world.put(a, "n3"));
    expect(Object.fromEntries(a.store.rejected)).toEqual({ "store-record": 2, "store-foreign-record": 1 });
    expect(a.changes.filter(({ kind }) => kind === "put")).toHaveLength(1);
    // What nobody can read is in no one's way.
    expect(await world.done(world.put(a, "n1"))).toMatchObject({ kind: "stored" });
    expect(await world.done(world.put(a, "n2"))).toMatchObject({ kind: "stored" });
  });
});
