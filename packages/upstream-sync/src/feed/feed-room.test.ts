import {
  createDirectory,
  DEFAULT_RECORD_LIMITS,
  type Registration,
  recordWeight,
  SharedLimit,
} from "@tributary/merge-engine";
import { atOnce, createChangeLog, type FeedCursor, type FeedKind } from "@tributary/replication";
import { createVirtualClock } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { LeftOut } from "../left-out.js";
import { FeedCopy, type FeedCopyOptions } from "./feed-copy.js";

const HOUR_MS = 3_600_000;

function registration(name: string, links: number, renewedAtMs: number): Registration {
  return {
    href: `/reg/${name}`,
    ep: name,
    base: "coap://[2001:db8::1]",
    attributes: [],
    links: Array.from({ length: links }, (_, at) => ({ target: `coap://[2001:db8::1]/${name}/${at}`, attributes: [] })),
    ltMs: HOUR_MS,
    renewedAtMs,
    expiresAtMs: renewedAtMs + HOUR_MS,
    expiry: "exact",
  };
}

/** What a registration of ten links weighs, about. */
const WEIGHT = recordWeight(registration("n00", 10, 0));

/** What others hold of the memory. */
const OTHERS = 64 * WEIGHT;

/** An RD with its feeds, and a copy of it in a directory with a limit. */
function follow(bytes: number, options: Partial<FeedCopyOptions> = {}, maxRegistrations = 1000) {
  const clock = createVirtualClock();
  // A small part of all memory is always there for what only one of the two feeds has sent so far.
  const memory = new SharedLimit(OTHERS + bytes);
  memory.add("others", OTHERS);
  const directory = createDirectory({ memory, maxRegistrations });
  directory.openSource("rd", { authority: "coap://rd" });
  directory.setConnected("rd", true, 0);
  const leftOut = new LeftOut({ appeared: () => {}, cleared: () => {} });
  const limits = DEFAULT_RECORD_LIMITS;
  const settings = { source: "rd", account: "rd", filters: [], assumedLifetimeMs: HOUR_MS, limits, ...options };
  const copy = new FeedCopy(directory, settings, leftOut, clock);
  const held = new Map<string, Registration>();
  const log = createChangeLog({ epoch: 7 });
  const cursors: Record<FeedKind, FeedCursor> = { ep: log.open("ep", [], null), res: log.open("res", [], null) };
  const source = { get: (href: string) => held.get(href), nowMs: 0 };
  const text = new TextEncoder();
  const outcomes = new Set<string>();

  function deliver(): void {
    while (deliverOne("ep") || deliverOne("res")) {
      // Both feeds get on in turn.
      deliverOne("res");
    }
  }

  function deliverOne(kind: FeedKind): boolean {
    const patch = log.nextPatch(cursors[kind], { ...source, nowMs: clock.nowMs() }, 500);
    if (patch === null) return false;
    outcomes.add(atOnce(copy.apply(0, kind, text.encode(patch.text), clock.nowMs()))?.kind ?? "");
    cursors[kind] = log.advance(cursors[kind], patch);
    return true;
  }
  const change = (kind: "added" | "replaced" | "renewed" | "removed", href: string) =>
    log.record({ href, kind, endpointChanged: kind !== "renewed", linksChanged: kind !== "renewed" });
  return {
    ...{ clock, directory, leftOut, memory, copy, outcomes, deliver, deliverOne },
    register(name: string, links = 10) {
      const href = `/reg/${name}`;
      const isKnown = held.has(href);
      held.set(href, registration(name, links, clock.nowMs()));
      change(isKnown ? "replaced" : "added", href);
    },
    renew(name: string) {
      const href = `/reg/${name}`;
      const known = held.get(href) as Registration;
      held.set(href, { ...known, renewedAtMs: clock.nowMs(), expiresAtMs: clock.nowMs() + HOUR_MS });
      change("renewed", href);
    },
    remove(name: string) {
      held.delete(`/reg/${name}`);
      change("removed", `/reg/${name}`);
    },
    /** The follower asks for everything again. */
    copyAgain() {
      copy.restart();
      for (const kind of ["ep", "res"] as const) cursors[kind] = log.open(kind, [], null);
      deliver();
    },
    shown: () => directory.counts("rd").total,
    missing: () => leftOut.counts().get("memory") ?? 0,
  };
}

const names = (count: number) => Array.from({ length: count }, (_, at) => `n${String(at).padStart(2, "0")}`);

describe("records of an upstream for which there is no memory", () => {
  test("is left out and counted; the rest is held, and all of it fits the limit", () => {
    const { register, deliver, shown, missing, memory, copy } = follow(10 * WEIGHT);
    for (const name of names(20)) register(name);
    deliver();
    expect(shown() + missing()).toBe(20);
    expect(shown()).toBeGreaterThanOrEqual(8);
    expect(memory.used("rd")).toBeLessThanOrEqual(10 * WEIGHT);
    expect(copy.isComplete).toBe(true);
  });

  test("its renewals, changes and removals are understood, and copy nothing again", async () => {
    const { register, renew, remove, deliver, shown, missing, outcomes, clock } = follow(10 * WEIGHT);
    for (const name of names(20)) register(name);
    deliver();
    const held = shown();
    for (const name of names(20)) renew(name);
    deliver();
    await clock.advance(5000);
    for (const name of names(20)) register(name, 9);
    deliver();
    expect(shown() + missing()).toBe(20);
    expect(shown()).toBeGreaterThanOrEqual(held - 3);
    for (const name of names(20)) remove(name);
    deliver();
    expect([shown(), missing()]).toEqual([0, 0]);
    expect([...outcomes]).toEqual(["applied"]);
  });

  test("renewals of what is held are taken, however full it is", async () => {
    const { register, renew, deliver, directory, memory, clock } = follow(10 * WEIGHT);
    register("n00");
    deliver();
    memory.add("others", 100 * WEIGHT);
    await clock.advance(10_000);
    renew("n00");
    deliver();
    expect(directory.get("rd", "/reg/n00")?.renewedAtMs).toBeGreaterThanOrEqual(9000);
    register("n00");
    deliver();
    expect(directory.get("rd", "/reg/n00")?.links).toHaveLength(10);
  });

  test("comes back with another copy, once there is room, and not before", async () => {
    const site = follow(10 * WEIGHT);
    let asked = 0;
    site.copy.onRoom = () => {
      asked++;
      site.copyAgain();
    };
    site.memory.add("others", WEIGHT);
    for (const name of names(20)) site.register(name);
    site.deliver();
    await site.clock.advance(120_000);
    expect(asked).toBe(0);
    for (const name of names(15)) site.remove(name);
    site.deliver();
    expect(site.missing()).toBeGreaterThan(0);
    await site.clock.advance(30_000);
    expect(asked).toBe(1);
    expect([site.shown(), site.missing()]).toEqual([5, 0]);
    await site.clock.advance(HOUR_MS / 2);
    expect(asked).toBe(1);
  });

  test("copies for it happen seldom when they do not help", async () => {
    const site = follow(10 * WEIGHT);
    let asked = 0;
    site.copy.onRoom = () => {
      asked++;
      site.copyAgain();
      // Others take the room each time.
      site.memory.add("others", 2 * WEIGHT);
      setImmediate(() => site.memory.add("others", -2 * WEIGHT));
    };
    site.register("n00", 200);
    for (const name of names(9).slice(1)) site.register(name, 1);
    site.deliver();
    expect(site.missing()).toBe(1);
    for (let minute = 0; minute < 50; minute++) await site.clock.advance(60_000);
    expect(asked).toBeLessThan(12);
  });

  test("a limit of registrations is shared in the same way", () => {
    const { register, deliver, shown, leftOut } = follow(1e9, {}, 4);
    for (const name of names(6)) register(name);
    deliver();
    expect(shown()).toBe(4);
    expect(leftOut.counts().get("directory-full")).toBe(2);
  });

  test("a disk gets what the memory cannot hold", () => {
    const kept: (string | undefined)[] = [];
    const onLeftOut = (one: Registration | undefined) => kept.push(one?.href);
    const { register, deliver, missing } = follow(10 * WEIGHT, { onLeftOut });
    for (const name of names(20)) register(name);
    deliver();
    expect(kept).toHaveLength(missing());
  });

  test("what has ended here counts, and gives way to what lives", async () => {
    const { register, deliver, shown, directory, memory, clock, missing } = follow(10 * WEIGHT);
    for (const name of names(4)) register(name);
    deliver();
    directory.setConnected("rd", false, 0);
    await clock.advance(HOUR_MS + 1000);
    directory.expire(clock.nowMs());
    expect(shown()).toBe(0);
    expect(memory.used("rd")).toBeGreaterThan(4 * WEIGHT);
    for (const name of names(12).slice(4)) register(name);
    deliver();
    expect(shown()).toBe(8);
    expect(missing()).toBeGreaterThan(0);
    expect(memory.used("rd")).toBeLessThanOrEqual(10 * WEIGHT);
  });

  test("nothing is held any more after the end", () => {
    const { register, deliver, copy, directory, memory, leftOut } = follow(10 * WEIGHT);
    for (const name of names(20)) register(name);
    deliver();
    copy.close();
    directory.closeSource("rd", 1);
    expect(memory.used("rd")).toBe(0);
    expect(leftOut.isEmpty).toBe(true);
  });
});

describe("one feed that is ahead of the other", () => {
  test("takes no more memory than there is: the rest is left out when the other has come", () => {
    const { register, deliver, deliverOne, memory, shown, missing, outcomes } = follow(40 * WEIGHT);
    for (const name of names(99)) register(name);
    while (deliverOne("ep"));
    expect(memory.used("rd")).toBeLessThanOrEqual(40 * WEIGHT);
    deliver();
    expect(shown() + missing()).toBe(99);
    expect(memory.used("rd")).toBeLessThanOrEqual(40 * WEIGHT);
    expect([...outcomes]).toEqual(["applied"]);
  });
});

test("a copy that is given up for lack of memory counts nothing of the rest as malformed", () => {
  const site = follow(3 * WEIGHT, { onLeftOut: () => site.directory.closeSource("rd", 0) });
  for (let at = 0; at < 40; at++) site.register(`n${at}`, 1);
  for (let rounds = 0; rounds < 80 && site.directory.sources().length > 0; rounds++) {
    site.deliverOne("ep");
    site.deliverOne("res");
  }
  expect(site.directory.sources()).toEqual([]);
  expect(site.leftOut.counts().get("malformed") ?? 0).toBe(0);
});
