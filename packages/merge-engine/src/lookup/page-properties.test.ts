import type { Criterion, Link, LookupQuery } from "@tributary/link-model";
import { serialiseLinks } from "@tributary/link-model";
import fc from "fast-check";
import { expect, test } from "vitest";
import { directoryOf, registration } from "../testing/directories.js";
import type { Directory, LookupInterface, LookupOptions } from "../types.js";
import { endpointLink, registrationMatches, resourceLink, resourceMatches } from "./matching.js";

const COUNT = 1200;
const SOURCES = ["a", "b"];
const is = (name: string, value: string): Criterion => ({ name, value, isPrefix: false });
const begins = (name: string, value: string): Criterion => ({ name, value, isPrefix: true });

/** Broad, narrow and contradictory ones, by names, attributes and targets. */
const criteria = fc.constantFrom<readonly Criterion[]>(
  [],
  [begins("ep", "n0")],
  [begins("ep", "n01")],
  [begins("ep", "n0"), begins("ep", "n00")],
  [begins("ep", "n0"), is("rt", "half-1")],
  [begins("ep", "n"), begins("rt", "tag-1")],
  [is("ep", "n000007")],
  [is("ep", "n000007"), is("ep", "n000008")],
  [begins("ep", "odd")],
  [is("rt", "all")],
  [is("rt", "half-0")],
  [is("rt", "half-0"), is("rt", "half-1")],
  [is("rt", "tenth-3")],
  [is("rt", "tenth-3"), is("rt", "half-1"), is("et", "e1")],
  [is("et", "e1"), is("et", "e2")],
  [begins("rt", "tag-")],
  [begins("rt", "tag-11"), begins("et", "e")],
  [is("d", "one")],
  [is("d", "one"), is("d", "other")],
  [begins("href", "coap://n00")],
  [begins("href", "coap://rd-b/")],
);
const change = fc.record({
  what: fc.constantFrom("put", "put", "odd", "zone", "remove", "renew", "expire"),
  source: fc.constantFrom(...SOURCES),
  at: fc.nat(COUNT + 30),
  links: fc.nat(3),
});
const look = fc.record({
  what: fc.constant("look"),
  kind: fc.constantFrom<LookupInterface>("ep", "res"),
  criteria,
  count: fc.constantFrom(1, 7, 50, 200),
  part: fc.constantFrom(0, 0.1, 0.5, 0.9, 1, 1.5),
  nowMs: fc.constantFrom(10, 10, 10, 2_000),
  zone: fc.constantFrom(undefined, undefined, "eth0"),
});

function entry(at: number, links: number, more: { zone?: string; isOdd?: boolean } = {}) {
  const rt = `all half-${at % 2} tenth-${at % 10} tag-${at}`;
  const ep = `n${String((at * 7919) % 10_000).padStart(6, "0")}`;
  return registration(`/reg/${at}`, ep, at % 5, {
    attributes: [["et", `e${at % 3}`]],
    links: Array.from({ length: links }, (_, index) => ({
      target: `coap://${ep}/${index}`,
      attributes: index === 1 ? [] : [["rt", rt] as const, ...(more.isOdd === true ? [["ep", "odd"] as const] : [])],
    })),
    // Some end early; then an older one of another source is shown, which no index knows before `expire`.
    ltMs: at % 50 === 0 ? 1_000 : 1_000_000,
    ...(at % 4 === 0 ? {} : { d: at % 4 === 1 ? "one" : "other" }),
    ...(more.zone === undefined ? {} : { zone: more.zone }),
  });
}

function filled(): Directory {
  const directory = directoryOf(...SOURCES);
  for (let at = 0; at < COUNT; at++) {
    directory.put("a", entry(at, at % 4), 0);
    if (at % 6 === 0) directory.put("b", { ...entry(at, 2), renewedAtMs: at % 12 }, 0);
  }
  return directory;
}

/** The results without any index, order or memory: everything that is shown, tried one by one. */
function scan(directory: Directory, kind: LookupInterface, asked: readonly Criterion[], nowMs: number, zone?: string) {
  const options: LookupOptions = zone === undefined ? {} : { zone };
  return [...directory.select({ criteria: [], showProvenance: false }, nowMs, options)].flatMap((one): Link[] => {
    if (kind === "ep") return registrationMatches(asked, one) ? [endpointLink(one)] : [];
    return one.links.filter((link) => resourceMatches(asked, one, link)).map((link) => resourceLink(link, one, true));
  });
}

test("LKP-25 LKP-26 LKP-27 pages of any lookup are parts of what a scan finds, between changes of several sources", () => {
  let found = 0;
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 3, arbitrary: look }, change), { minLength: 10, maxLength: 40 }),
      (steps) => {
        const directory = filled();
        for (const step of steps) {
          if ("kind" in step) {
            const { kind, criteria: asked, count, part, nowMs, zone } = step;
            const options = zone === undefined ? {} : { zone };
            const all = scan(directory, kind, asked, nowMs, zone);
            const page = Math.floor((all.length / count) * part);
            const query: LookupQuery = { criteria: asked, showProvenance: true, count, page };
            const wanted = all.slice(page * count, (page + 1) * count);
            expect([...directory.lookup(kind, query, nowMs, options)]).toEqual(wanted);
            expect([...directory.lookupInSteps(kind, query, nowMs, options)].filter((one) => one !== null)).toEqual(
              wanted,
            );
            const text = directory.lookupText(kind, query, nowMs, options);
            if (text !== null) expect(text).toBe(serialiseLinks(wanted));
            const whole = directory.lookupText(kind, { criteria: asked, showProvenance: true }, nowMs, options);
            if (whole !== null) expect(whole).toBe(serialiseLinks(all));
            found += wanted.length;
          } else apply(directory, step);
        }
      },
    ),
    { numRuns: 40 },
  );
  expect(found).toBeGreaterThan(1_000);
});

test("a lookup that is interrupted by changes has all that is there throughout, once", () => {
  fc.assert(
    fc.property(
      criteria,
      fc.constantFrom<LookupInterface>("ep", "res"),
      fc.constantFrom(undefined, 20, 100),
      fc.array(change, { minLength: 50, maxLength: 200 }),
      (asked, kind, count, changes) => {
        const directory = filled();
        const lasting = new Set(scan(directory, kind, asked, 10).map((link) => JSON.stringify(link)));
        const query = { criteria: asked, showProvenance: true, ...(count === undefined ? {} : { count, page: 0 }) };
        const seen: string[] = [];
        let turn = 0;
        for (const link of directory.lookupInSteps(kind, query, 10)) {
          if (link !== null) seen.push(JSON.stringify(link));
          const next = changes[turn++];
          if (next === undefined) continue;
          apply(directory, next);
          const changed = entry(next.at, 0).ep;
          for (const one of lasting) if (one.includes(changed)) lasting.delete(one);
        }
        for (const one of lasting) {
          const times = seen.filter((other) => other === one).length;
          if (count === undefined || seen.length < count) expect(times).toBe(1);
          else expect(times).toBeLessThanOrEqual(1);
        }
      },
    ),
    { numRuns: 30 },
  );
});

function apply(
  directory: Directory,
  { what, source, at, links }: { what: string; source: string; at: number; links: number },
) {
  const href = `/reg/${at}`;
  if (what === "put") directory.put(source, { ...entry(at, links), renewedAtMs: 20 }, 10);
  else if (what === "odd") directory.put(source, { ...entry(at, 3, { isOdd: true }), renewedAtMs: 30 }, 10);
  else if (what === "zone") directory.put(source, { ...entry(at, links, { zone: "eth0" }), renewedAtMs: 30 }, 10);
  else if (what === "remove") directory.remove(source, href, 10);
  else if (what === "renew") directory.renew(source, href, { renewedAtMs: 25, expiresAtMs: 1_000_025 }, 10);
  else directory.expire(10);
}
