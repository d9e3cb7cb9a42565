import { createVirtualWorld } from "@tributary/coap-transport/testing";
import type { Registration } from "@tributary/merge-engine";
import { createFeedReader, type FeedKind, federationTimeItem, readClock, versionToETag } from "@tributary/replication";
import { describe, expect, test } from "vitest";
import { oneWriter, type RegistrationTable } from "../store/one-writer.js";
import type { StoredRegistration } from "../stored-registration.js";
import { type ServedDirectory, serveDirectory } from "../testing/served-directory.js";

const FEEDS = { ep: "/rd-lookup/ep?href=/*", res: "/rd-lookup/res?provenance=/*" } as const;
type World = ReturnType<typeof createVirtualWorld>;

/** A proxy that asks for both feeds when its method is called. */
class Poller {
  readonly records = new Map<string, Registration>();
  readonly #reader = createFeedReader({ assumedLifetimeMs: 90_000_000 });
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  poll(rd: ServedDirectory): void {
    for (const kind of ["ep", "res"] as const) while (this.#ask(rd, kind));
  }

  stamps(): (number | undefined)[] {
    return [...this.records.values()].sort((a, b) => (a.ep < b.ep ? -1 : 1)).map(({ stampMs }) => stampMs);
  }

  #ask(rd: ServedDirectory, kind: FeedKind): boolean {
    const held = this.#reader.version(kind);
    const etags = held === null ? [] : [versionToETag(held)];
    const response = rd.ask("GET", FEEDS[kind], { accept: 51, etags });
    if (response.payload === undefined || response.payload.length === 0) return false;
    const { records } = this;
    const nowMs = this.#world.clock.nowMs();
    const outcome = this.#reader.apply(kind, response.payload, nowMs, {
      get: (href) => records.get(href),
      hrefs: () => records.keys(),
    });
    if (outcome.kind !== "applied") throw new Error(JSON.stringify(outcome));
    for (const change of outcome.changes) {
      if (change.kind === "put") records.set(change.registration.href, change.registration);
      else if (change.kind === "remove") records.delete(change.href);
      else records.set(change.href, { ...(records.get(change.href) as Registration), ...change });
    }
    return true;
  }
}

function clockOf(rd: ServedDirectory, more = "") {
  const { payload } = rd.ask("GET", `${FEEDS.ep}&ep=${more}`, { accept: 51 });
  return readClock(payload as Uint8Array)?.wall;
}

describe("the published time of a renewal", () => {
  test("is the same for every subscriber, early or late, to a part or to all", async () => {
    const world = createVirtualWorld();
    const rd = serveDirectory(world);
    const [early, late] = [new Poller(world), new Poller(world)];
    const paths: string[] = [];
    const renewed: number[] = [];
    for (let at = 0; at < 30; at++) {
      paths.push(rd.register(`ep=e${at + 10}`, "</a>"));
      renewed.push(world.clock.wallMs());
      await world.clock.advance(at * 7.25);
      early.poll(rd);
    }
    for (const at of [3, 4, 17]) {
      rd.ask("POST", paths[at] as string);
      renewed[at] = world.clock.wallMs();
      await world.clock.advance(1234.5);
      if (at === 4) early.poll(rd);
    }
    await world.clock.advance(100_000);
    for (const one of [early, late]) one.poll(rd);
    expect(early.stamps()).toEqual(late.stamps());
    for (const [at, stampMs] of late.stamps().entries())
      expect(Math.abs((stampMs ?? 0) - (renewed[at] ?? 0))).toBeLessThan(0.001);
  });

  test("survives a restart to the digit, also where the store keeps ages less exactly", async () => {
    const world = createVirtualWorld();
    const stored = new Map<string, StoredRegistration>();
    const table: RegistrationTable = {
      async *load() {
        for (const one of stored.values()) yield { ...one, renewedAtWallMs: one.renewedAtWallMs + 3 };
      },
      get: () => undefined,
      put: (one) => void stored.set(one.id, one),
      delete: () => {},
      close: () => Promise.resolve(),
    };
    const [before, after] = [new Poller(world), new Poller(world)];
    await world.clock.advance(12.345);
    const first = serveDirectory(world, { store: oneWriter(table, { epoch: 0xabc }) });
    first.register("ep=a");
    before.poll(first);
    await first.close();
    await world.clock.advance(60_000);
    const second = serveDirectory(world, { store: oneWriter(table, { epoch: 0xabc }) });
    await second.rd.start();
    after.poll(second);
    expect(before.stamps()[0]).toBeTypeOf("number");
    expect(after.stamps()).toEqual(before.stamps());
  });

  test("is published to all again when the wall clock was set, and federation time does not go back", async () => {
    const world = createVirtualWorld();
    const rd = serveDirectory(world);
    for (let at = 0; at < 1200; at++) rd.register(`ep=e${at}`);
    const [before, after] = [new Poller(world), new Poller(world)];
    before.poll(rd);
    const clock = clockOf(rd);
    world.clock.jumpWall(-3_600_000);
    expect(clockOf(rd)).toEqual({ stampMs: (clock?.stampMs ?? 0) - 3_600_000, leadMs: 3_600_000 });
    await world.clock.advance(100);
    before.poll(rd);
    after.poll(rd);
    expect(before.stamps()).toEqual(after.stamps());
    expect(before.stamps()[0]).toBeCloseTo((clock?.stampMs ?? 0) - 3_600_000, 2);
  });

  test("an RD follows the federation time that a proxy sends, once it is well ahead", () => {
    const world = createVirtualWorld();
    const rd = serveDirectory(world);
    const wall = clockOf(rd);
    expect(wall).toEqual({ stampMs: world.clock.wallMs(), leadMs: 0 });
    const send = (ms: number) => clockOf(rd, `&${federationTimeItem(world.clock.wallMs() + ms)}`);
    expect(send(900)).toEqual(wall);
    expect(send(60_000)).toEqual({ ...wall, leadMs: 60_000 });
    expect(send(-60_000)).toEqual({ ...wall, leadMs: 60_000 });
  });
});
