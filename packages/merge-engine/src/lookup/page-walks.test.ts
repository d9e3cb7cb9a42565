import type { LookupQuery } from "@tributary/link-model";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createDirectory } from "../directory.js";
import type { KeyState } from "../records/stored-record.js";
import { registration } from "../testing/directories.js";
import type { Directory, LookupInterface } from "../types.js";
import { PageWalks } from "./page-walks.js";

const COUNT = 1500;
const hrefOf = (at: number) => `/reg/${at}`;

function entry(at: number, more: { even?: boolean; zone?: string; links?: number } = {}) {
  const { even = at % 2 === 0, links = at % 4 } = more;
  const ep = `n${String((at * 7919) % 100_000).padStart(6, "0")}`;
  return registration(hrefOf(at), ep, 0, {
    attributes: [["et", even ? "even" : "odd"]],
    links: Array.from({ length: links }, (_, index) => ({
      target: `coap://n${at}/${index}`,
      attributes: [["rt", index % 2 === 0 ? "t" : "u"] as const],
    })),
    expiresAtMs: 1_000_000,
    ...(more.zone === undefined ? {} : { zone: more.zone }),
  });
}

function filled(): Directory {
  const directory = createDirectory();
  directory.openSource("a", { authority: "coap://a" });
  directory.setConnected("a", true, 0);
  for (let at = 0; at < COUNT; at++) directory.put("a", entry(at), 0);
  return directory;
}

const criteria = fc.constantFrom<LookupQuery["criteria"]>(
  [],
  [{ name: "et", value: "even", isPrefix: false }],
  [{ name: "rt", value: "t", isPrefix: false }],
  [{ name: "ep", value: "n0", isPrefix: true }],
  [
    { name: "et", value: "o", isPrefix: true },
    { name: "rt", value: "u", isPrefix: false },
  ],
);
const look = fc.record({
  what: fc.constant("look" as const),
  kind: fc.constantFrom<LookupInterface>("ep", "res"),
  criteria,
  count: fc.integer({ min: 1, max: 300 }),
  page: fc.nat(30),
  nowMs: fc.constantFrom(0, 0, 2_000_000),
});
const change = fc.record({
  what: fc.constantFrom("remove" as const, "put" as const, "hide" as const, "renew" as const),
  at: fc.nat(COUNT + 50),
});

test("pages are what they are without any memory of where they begin, whatever changes in between", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: look }, change), { maxLength: 30 }), (steps) => {
      const directory = filled();
      for (const step of steps) {
        if (step.what === "look") {
          const { kind, count, page, nowMs } = step;
          const query = { criteria: step.criteria, showProvenance: false };
          const all = [...directory.lookup(kind, query, nowMs)];
          const found = [...directory.lookup(kind, { ...query, count, page }, nowMs)];
          expect(found).toEqual(all.slice(page * count, (page + 1) * count));
          const steps = [...directory.lookupInSteps(kind, { ...query, count, page }, nowMs)];
          expect(steps.filter((step) => step !== null)).toEqual(found);
        } else if (step.what === "remove") directory.remove("a", hrefOf(step.at), 0);
        else if (step.what === "put") directory.put("a", entry(step.at, { even: true, links: 3 }), 0);
        else if (step.what === "hide") directory.put("a", entry(step.at, { zone: "eth0" }), 0);
        else directory.renew("a", hrefOf(step.at), { renewedAtMs: 5, expiresAtMs: 1_000_005 }, 5);
      }
    }),
    { numRuns: 25 },
  );
});

const EVERYTHING = { kind: "ep", criteria: [], zone: undefined } as const;

/** Walks over keys each of which has one result, and returns how many candidates it passed. */
function walker(walks: PageWalks, keys: readonly KeyState[]) {
  return (start: number): number => {
    const walk = walks.begin(EVERYTHING, start, keys.length);
    let passed = 0;
    let { position, key } = walk.skip();
    for (let at = key === undefined ? 0 : keys.indexOf(key); ; at++) {
      expect(position).toBe(at);
      if (walk.pass(keys[at] as KeyState, position)) {
        ({ position, key } = walk.skip());
        at = keys.indexOf(key as KeyState);
        expect(position).toBe(at);
      }
      passed++;
      if (++position > start) return passed;
    }
  };
}

test("a walk to a page skips what was counted before it", () => {
  const walks = new PageWalks();
  const keys = Array.from({ length: 5000 }, (_, at) => keyCalled(`n${String(at).padStart(4, "0")}`));
  const walkTo = walker(walks, keys);
  expect(walkTo(4999)).toBe(5000);
  for (const start of [4998, 4000, 1700, 513, 300, 255]) expect(walkTo(start)).toBeLessThanOrEqual(65);
  walks.forget();
  expect(walkTo(4900)).toBe(4901);
});

test("a change makes it count one segment again, and a second change within a walk is not missed", () => {
  const walks = new PageWalks();
  const keys = Array.from({ length: 5000 }, (_, at) => keyCalled(`n${String(at).padStart(4, "0")}`));
  const walkTo = walker(walks, keys);
  walkTo(4999);
  walks.note(keys[1000] as KeyState);
  walks.note(keys[1001] as KeyState);
  expect(walkTo(4990)).toBeLessThanOrEqual(2 * 64);
  expect(walkTo(4990)).toBeLessThanOrEqual(65);
  // While a segment is counted.
  walks.note(keys[0] as KeyState);
  const walk = walks.begin(EVERYTHING, 4000, keys.length);
  walk.skip();
  for (let at = 0; at < 40; at++) walk.pass(keys[at] as KeyState, at);
  walks.note(keys[20] as KeyState);
  for (let at = 40; at < 80; at++) walk.pass(keys[at] as KeyState, at);
  expect(walkTo(4000)).toBeGreaterThan(64);
});

test("many changes make it count what they concern, of lookups that are in use, and forget the others", () => {
  const walks = new PageWalks();
  const keys = Array.from({ length: 5000 }, (_, at) => keyCalled(`n${String(at).padStart(4, "0")}`));
  const walkTo = walker(walks, keys);
  walkTo(4999);
  for (let change = 0; change < 10_000; change++) {
    walks.note(keys[17] as KeyState);
    if (change % 500 === 0) expect(walkTo(4990)).toBeLessThanOrEqual(3 * 65);
  }
  for (let change = 0; change < 10_000; change++) walks.note(keys[17] as KeyState);
  expect(walkTo(4990)).toBeGreaterThan(4000);
});

function keyCalled(ep: string): KeyState {
  return { ep, d: undefined, slot: 0, records: [], shown: null, counted: -1 };
}
