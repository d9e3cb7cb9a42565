import type { PendingWrite, StoreChange, StoredRegistration, WriteJournal } from "@tributary/resource-directory";
import { silentLogger } from "@tributary/runtime";
import { createVirtualClock, seededRandom, type VirtualClock } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { SharedRegistrations } from "./nats-store.js";
import { type DiscardedWrite, SplitStore } from "./split-store.js";
import { type InstanceFaults, StreamModel } from "./testing/stream-model.js";

/** A journal whose disk may fail; what it has outlives its instance. */
class Journal implements WriteJournal {
  readonly writes = new Map<string, PendingWrite>();
  isBroken = false;

  load() {
    return [...this.writes.values()];
  }

  async put(write: PendingWrite) {
    if (this.isBroken) throw new Error("the disk is full");
    this.writes.set(write.registration.id, write);
  }

  async remove(id: string) {
    this.writes.delete(id);
  }

  async close() {}
}

interface Instance {
  readonly store: SplitStore;
  readonly faults: InstanceFaults;
  readonly journal: Journal;
  readonly shown: Map<string, StoreChange>;
  readonly discarded: DiscardedWrite[];
  /** Changes with a place in the history before that of an earlier one. */
  readonly backwards: StoreChange[];
}

/** Time until the store is known to be away, and until everything is settled after it is back, ms. */
const NOTICED_MS = 10_000;

class World {
  readonly clock: VirtualClock = createVirtualClock();
  readonly random = seededRandom(1);
  readonly stream = new StreamModel(this.clock, this.random);

  async open(journal = new Journal()): Promise<Instance> {
    const faults = { isCutOff: false, lostResponses: 0 };
    const env = { clock: this.clock, random: this.random, logger: silentLogger };
    const shared = new SharedRegistrations({ env, stream: this.stream.connect(faults), epoch: 1 });
    const discarded: DiscardedWrite[] = [];
    const store = new SplitStore({ env, shared, journal, onDiscarded: (one) => discarded.push(one) });
    const shown = new Map<string, StoreChange>();
    const backwards: StoreChange[] = [];
    let position = 0;
    store.follow((change) => {
      // The history of the feed goes forward.
      if (change.isUnplaced !== true && change.position <= position) backwards.push(change);
      if (change.isUnplaced !== true) position = change.position;
      if (change.kind === "put") shown.set(change.id, change);
      else shown.delete(change.id);
    });
    const load = async () => {
      for await (const _ of store.load());
    };
    await this.done(load());
    return { store, faults, journal, shown, discarded, backwards };
  }

  async done<T>(promise: Promise<T>): Promise<T> {
    let isDone = false;
    const end = () => {
      isDone = true;
    };
    promise.then(end, end);
    await this.clock.runUntil(() => isDone, 600_000);
    return await promise;
  }

  async write(to: Instance, kind: "put" | "delete", ep: string, more: Partial<StoredRegistration> = {}) {
    const id = to.store.shared.locationOf({ ep });
    const registration: StoredRegistration = {
      ...{ id, ep, base: "coap://h", isBaseExplicit: true, ltS: 6000, attributes: [], links: "</t>", isSimple: false },
      ...{ renewedAtWallMs: this.clock.wallMs(), stampMs: this.clock.wallMs() + this.random(), ...more },
    };
    const { kind: outcome } = await this.done(
      to.store.submit({ kind, registration }, to.shown.get(id)?.position ?? null),
    );
    return outcome;
  }

  async split(): Promise<[here: Instance, there: Instance]> {
    const [here, there] = [await this.open(), await this.open()];
    await this.write(here, "put", "known");
    await this.clock.advance(100);
    await this.cut(here);
    return [here, there];
  }

  async cut(one: Instance): Promise<void> {
    one.faults.isCutOff = true;
    await this.clock.advance(NOTICED_MS);
  }

  async heal(...instances: Instance[]): Promise<void> {
    for (const { faults } of instances) faults.isCutOff = false;
    await this.clock.advance(NOTICED_MS);
  }
}

const contentOf = ({ shown }: Instance) =>
  [...shown.values()].map(({ registration: { ep, links } = { ep: "", links: "" } }) => `${ep} ${links}`).sort();

/** Both show the same, nothing is pending, and the stream has no more and no less. */
function expectSettled(world: World, instances: Instance[], content: string[]): void {
  for (const one of instances) {
    expect(contentOf(one)).toEqual(content);
    expect([one.store.pending, one.journal.writes.size]).toEqual([0, 0]);
    expect(one.backwards).toEqual([]);
  }
  expect(world.stream.history.length).toBeGreaterThan(0);
}

describe("a store that takes writes while it is away", () => {
  test("shows them here, keeps them, and stores them when it is back, as old as they are", async () => {
    const world = new World();
    const [here, there] = await world.split();
    expect(await world.write(here, "put", "new")).toBe("stored");
    const renewedAtMs = world.clock.wallMs();
    expect(await world.write(here, "put", "known", { links: "</u>" })).toBe("stored");
    expect(contentOf(here)).toEqual(["known </u>", "new </t>"]);
    expect(here.journal.writes.size).toBe(2);
    expect(contentOf(there)).toEqual(["known </t>"]);
    await world.clock.advance(60_000);
    await world.heal(here);
    expectSettled(world, [here, there], ["known </u>", "new </t>"]);
    for (const { shown, store } of [here, there]) {
      const { registration } = shown.get(store.shared.locationOf({ ep: "new" })) ?? {};
      expect(Math.abs((registration?.renewedAtWallMs ?? 0) - renewedAtMs)).toBeLessThan(100);
    }
    expect([here.discarded, there.discarded]).toEqual([[], []]);
    expect([...here.store.settled]).toEqual([["stored", 2]]);
  });

  test.each([
    { later: "here", content: ["known </here>"], takenBy: "elsewhere" },
    { later: "there", content: ["known </there>"], takenBy: "here" },
  ])("of two registrations the one that was renewed last, $later, counts, and the other is named", async (row) => {
    const world = new World();
    const [here, there] = await world.split();
    const sides = { here, there };
    const [first, last] = row.later === "here" ? (["there", "here"] as const) : (["here", "there"] as const);
    await world.write(sides[first], "put", "known", { links: `</${first}>` });
    await world.clock.advance(5000);
    await world.write(sides[last], "put", "known", { links: `</${last}>` });
    await world.heal(here);
    expectSettled(world, [here, there], row.content);
    expect(here.discarded).toMatchObject([
      { takenBy: row.takenBy, what: "registration", registration: { ep: "known", links: `</${first}>` } },
    ]);
    expect(here.store.settled.get(`discarded-${row.takenBy}`)).toBe(1);
  });

  test.each([
    { name: "removed here, renewed there later", first: "delete", last: "put", content: ["known </there>"], lost: 1 },
    { name: "renewed there, removed here later", first: "put", last: "delete", content: [], lost: 1 },
  ] as const)("$name", async ({ first, last, content, lost }) => {
    const world = new World();
    const [here, there] = await world.split();
    for (const kind of [first, last]) {
      await world.write(kind === "delete" ? here : there, kind, "known", { links: "</there>" });
      await world.clock.advance(5000);
    }
    await world.heal(here);
    expectSettled(world, [here, there], [...content]);
    expect(here.discarded).toHaveLength(lost);
  });

  test("a removal there counts against what was renewed here before it, and not against what was renewed after it", async () => {
    const world = new World();
    const [here, there] = await world.split();
    await world.write(here, "put", "known", { links: "</here>" });
    await world.clock.advance(1000);
    await world.write(there, "delete", "known");
    await world.clock.advance(1000);
    await world.heal(here);
    expectSettled(world, [here, there], []);
    expect(here.discarded).toMatchObject([{ takenBy: "here" }]);
    await world.write(here, "put", "known");
    await world.cut(here);
    await world.write(there, "delete", "known");
    await world.clock.advance(1000);
    await world.write(here, "put", "known", { links: "</after>" });
    await world.heal(here);
    expectSettled(world, [here, there], ["known </after>"]);
  });

  test("two that were both cut off agree with each other, whichever comes back first", async () => {
    const world = new World();
    const [here, there] = await world.split();
    await world.cut(there);
    await world.write(there, "put", "both", { links: "</there>" });
    await world.clock.advance(1000);
    await world.write(here, "put", "both", { links: "</here>" });
    await world.heal(here);
    await world.heal(there);
    expectSettled(world, [here, there], ["both </here>", "known </t>"]);
    expect([here.discarded.length, there.discarded.length]).toEqual([0, 1]);
  });

  test("registered and removed while it was away leaves nothing behind", async () => {
    const world = new World();
    const [here, there] = await world.split();
    await world.write(here, "put", "brief");
    expect(await world.write(here, "delete", "brief")).toBe("stored");
    expect(contentOf(here)).toEqual(["known </t>"]);
    await world.heal(here);
    expectSettled(world, [here, there], ["known </t>"]);
  });

  test("an instance that is started again finds what it took in its journal", async () => {
    const world = new World();
    const [here, there] = await world.split();
    await world.write(here, "put", "new");
    await world.write(here, "put", "known", { links: "</u>" });
    here.faults.isCutOff = true;
    await world.done(here.store.close());
    const again = await world.open(here.journal);
    await world.clock.advance(NOTICED_MS);
    expectSettled(world, [again, there], ["known </u>", "new </t>"]);
    expect(again.discarded).toEqual([]);
  });

  test("what it took counts once when the store had it after all", async () => {
    const world = new World();
    const [here, there] = [await world.open(), await world.open()];
    here.faults.lostResponses = 1;
    expect(await world.write(here, "put", "unknown")).toBe("stored");
    here.faults.lostResponses = 0;
    await world.clock.advance(NOTICED_MS);
    expectSettled(world, [here, there], ["unknown </t>"]);
    expect([here.discarded, there.discarded]).toEqual([[], []]);
  });

  test("nothing is taken that cannot be kept, or while the stream may have lost what it had", async () => {
    const world = new World();
    const [here] = await world.split();
    here.journal.isBroken = true;
    await expect(world.write(here, "put", "new")).rejects.toThrow("the disk is full");
    expect([here.store.pending, contentOf(here)]).toEqual([0, ["known </t>"]]);
    here.journal.isBroken = false;
    world.stream.recreate();
    await world.heal(here);
    expect(here.store.shared.health()).toMatchObject({ isAway: true, isDoubtful: true });
    expect(await world.write(here, "put", "new")).toBe("away");
    expect(here.store.pending).toBe(0);
  });

  test("what is pending is decided upon before it is written again", async () => {
    const world = new World();
    const [here, there] = await world.split();
    await world.write(here, "put", "known", { links: "</1>" });
    here.faults.isCutOff = false;
    // The probe has not found out yet.
    await world.clock.runUntil(() => !here.store.shared.health().isAway, 10_000);
    for (let outcome = "conflict"; outcome === "conflict"; )
      outcome = await world.write(here, "put", "known", { links: "</2>" });
    await world.clock.advance(NOTICED_MS);
    expectSettled(world, [here, there], ["known </2>"]);
  });
});
