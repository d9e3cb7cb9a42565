import type { Registration } from "@tributary/merge-engine";
import { expect, test } from "vitest";
import { atOnce } from "./at-once.js";
import { ENTRIES_PER_STEP, HREFS_PER_STEP } from "./constants.js";
import { createFeedReader } from "./reader/feed-reader.js";
import type { FeedKind, FeedOutcome, FeedReader, HeldRegistrations } from "./types.js";

const COLLECTION = { ep: "registrations", res: "links" } as const;
const href = (at: number) => `/reg/${at}`;
const entry = (kind: FeedKind, at: number): unknown =>
  kind === "ep" ? { ep: `n${at}`, base: "coap://h", lt: 60, "lt-age": 0 } : [{ href: `coap://h/${at}` }];

function copy(kind: FeedKind, version: string, count: number): string {
  const entries = Object.fromEntries(Array.from({ length: count }, (_, at) => [href(at), entry(kind, at)]));
  return JSON.stringify([{ op: "replace", path: "", value: { version, complete: true, [COLLECTION[kind]]: entries } }]);
}

function delta(from: string, to: string, ...operations: object[]): string {
  const test = { op: "test", path: "/version", value: from };
  return JSON.stringify([test, ...operations, { op: "replace", path: "/version", value: to }]);
}

const add = (kind: FeedKind, at: number) => ({
  op: "add",
  path: `/${COLLECTION[kind]}/${href(at).replaceAll("/", "~1")}`,
  value: entry(kind, at),
});

/** What is held, with a count of how often it was asked for, and the most of that in one step. */
class Held implements HeldRegistrations {
  readonly records = new Map<string, Registration>();
  asked = 0;

  get(name: string): Registration | undefined {
    this.asked++;
    return this.records.get(name);
  }

  *hrefs(): Generator<string> {
    for (const name of this.records.keys()) {
      this.asked++;
      yield name;
    }
  }

  take(outcome: FeedOutcome): FeedOutcome {
    if (outcome.kind !== "applied") return outcome;
    for (const change of outcome.changes) {
      if (change.kind === "put") this.records.set(change.registration.href, change.registration);
      else if (change.kind === "remove") this.records.delete(change.href);
    }
    return outcome;
  }
}

/** Apply in steps; the most that was asked for in one step. */
function longestStep(reader: FeedReader, kind: FeedKind, patch: string, held: Held): number {
  let longest = 0;
  const steps = reader.applyInSteps(kind, patch, 0, held);
  held.take(
    atOnce(
      (function* () {
        for (;;) {
          held.asked = 0;
          const { done, value } = steps.next();
          longest = Math.max(longest, held.asked);
          if (done === true) return value;
          yield;
        }
      })(),
    ),
  );
  return longest;
}

test("patches, joins of both feeds and what a new copy does not have any more come in small steps", () => {
  const reader = createFeedReader({ assumedLifetimeMs: 1000 });
  const held = new Held();
  const most = 4 * ENTRIES_PER_STEP;
  expect(longestStep(reader, "ep", copy("ep", "1-1", 2000), held)).toBeLessThanOrEqual(most);
  expect(longestStep(reader, "res", copy("res", "1-1", 2000), held)).toBeLessThanOrEqual(most);
  expect(held.records.size).toBe(2000);
  const all = Array.from({ length: 1000 }, (_, at) => at);
  const changes = { ep: all.map((at) => add("ep", at)), res: all.map((at) => add("res", at)) };
  expect(longestStep(reader, "ep", delta("1-1", "1-2", ...changes.ep), held)).toBeLessThanOrEqual(most);
  expect(longestStep(reader, "res", delta("1-1", "1-2", ...changes.res), held)).toBeLessThanOrEqual(most);
  // The RD starts with a new epoch, without any of it.
  expect(longestStep(reader, "ep", copy("ep", "2-1", 0), held)).toBeLessThanOrEqual(most);
  expect(longestStep(reader, "res", copy("res", "2-1", 0), held)).toBeLessThanOrEqual(HREFS_PER_STEP);
  expect(held.records.size).toBe(0);
});

test("what waits for the other feed is not looked at again with every patch", () => {
  const reader = createFeedReader({ assumedLifetimeMs: 1000 });
  const held = new Held();
  // An RD whose resource feed never tells of registrations that its endpoint feed has.
  held.take(reader.apply("ep", copy("ep", "1-1", 0), 0, held));
  held.take(reader.apply("res", copy("res", "1-1", 0), 0, held));
  const unfinished = Array.from({ length: 1000 }, (_, at) => add("ep", at));
  held.take(reader.apply("ep", delta("1-1", "1-2", ...unfinished), 0, held));
  held.take(reader.apply("res", delta("1-1", "1-2"), 0, held));
  held.asked = 0;
  for (let at = 2; at < 12; at++) {
    const [from, to] = [`1-${at.toString(16)}`, `1-${(at + 1).toString(16)}`];
    held.take(reader.apply("ep", delta(from, to, add("ep", 5000 + at)), 0, held));
    held.take(reader.apply("res", delta(from, to, add("res", 5000 + at)), 0, held));
  }
  expect(held.records.size).toBe(10);
  expect(held.asked).toBeLessThan(100);
  // Once they arrive, they are there.
  const patches = Array.from({ length: 1000 }, (_, at) => add("res", at));
  held.take(reader.apply("ep", delta("1-c", "1-d"), 0, held));
  held.take(reader.apply("res", delta("1-c", "1-d", ...patches), 0, held));
  expect(held.records.size).toBe(1010);
});
