import { type Criterion, type Link, type LookupQuery, serialiseLinks } from "@tributary/link-model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { directoryOf, registration } from "../testing/directories.js";
import type { Directory, LookupInterface, SourcedRegistration } from "../types.js";
import { endpointLink, registrationMatches, resourceLink, resourceMatches } from "./matching.js";

type ValueOf<A> = A extends fc.Arbitrary<infer T> ? T : never;

const SOURCES = ["a", "ab"];
const text = fc.constantFrom("", "x", "x y", " y", "xz", "n1", "f", "core.rd-ep", "coap://n1/1", "coap://rd-a/1", "/1");
const name = fc.constantFrom("rt", "if", "ct", "et", "ep", "d", "base", "href", "anchor", "provenance", "lt", "no");
const attribute = fc.tuple(name, fc.option(text));
const target = fc.constantFrom("coap://n1/1", "coap://n1/10", "coap://n2/1", "coaps://n1", "/1");
const links: fc.Arbitrary<Link[]> = fc.array(fc.record({ target, attributes: fc.array(attribute, { maxLength: 3 }) }), {
  maxLength: 3,
});
const put = fc.record({
  source: fc.constantFrom(...SOURCES),
  href: fc.constantFrom("/1", "/10", "/2", "/3", "/30", "/x/1"),
  // Mostly one key, so that registrations are replaced by others of the same endpoint.
  ep: fc.constantFrom("n1", "n1", "n1", "n10", "n2", "x", "f"),
  d: fc.constantFrom(undefined, undefined, undefined, "f", "fg", "x"),
  base: fc.constantFrom("coap://n1", "coap://n10", "x"),
  attributes: fc.array(attribute, { maxLength: 2 }),
  links,
  renewedAtMs: fc.nat(20),
  ltMs: fc.integer({ min: 1, max: 60 }),
  isRemoved: fc.nat(5).map((dice) => dice === 0),
});
const puts = fc.array(put, { maxLength: 25, size: "max" });
const prefix = fc.constantFrom(
  "",
  "x",
  "n",
  "n1",
  "f",
  "core",
  "c",
  "coap://",
  "coap://n1",
  "coap://rd-a",
  "coap://rd-ab/",
  "/",
  "/3",
);
const criterion: fc.Arbitrary<Criterion> = fc.oneof(
  fc.record({ name, value: text, isPrefix: fc.constant(false) }),
  fc.record({
    name,
    value: fc.constantFrom("n1", "n2", "coap://n1", "coap://rd-ab/1", "coap://rd-a/x/1"),
    isPrefix: fc.constant(false),
  }),
  fc.record({ name, value: prefix, isPrefix: fc.constant(true) }),
);
const criteria = fc.array(criterion, { maxLength: 3 });

/** Write them, and take every removed one away again. */
function fill(directory: Directory, all: readonly ValueOf<typeof put>[]): void {
  for (const { source, d, isRemoved, ltMs, ...rest } of all) {
    const more = { ...rest, ltMs, expiresAtMs: rest.renewedAtMs + ltMs, ...(d === undefined ? {} : { d }) };
    directory.put(source, registration(rest.href, rest.ep, rest.renewedAtMs, more), 0);
    if (isRemoved) directory.remove(source, rest.href, 0);
  }
}

/** The answer without any index: everything shown, tried one by one. */
function scan(kind: LookupInterface, query: LookupQuery, all: readonly SourcedRegistration[]): Link[] {
  const found = all.flatMap((one) => {
    if (kind === "ep") return registrationMatches(query.criteria, one) ? [endpointLink(one)] : [];
    const matching = one.links.filter((link) => resourceMatches(query.criteria, one, link));
    return matching.map((link) => resourceLink(link, one, query.showProvenance));
  });
  const { count = Number.POSITIVE_INFINITY, page = 0 } = query;
  return found.slice(page === 0 ? 0 : page * count, (page + 1) * count);
}

describe("lookups by index", () => {
  test("LKP-09 LKP-10 LPX-05 they find what a scan finds, in the same order, while records change and end", () => {
    let found = 0;
    let runs = 0;
    let texts = 0;
    fc.assert(
      fc.property(puts, puts, criteria, fc.nat(80), fc.boolean(), (first, second, asked, nowMs, showProvenance) => {
        runs++;
        const directory = directoryOf(...SOURCES);
        fill(directory, first);
        fill(directory, second);
        const all = [...directory.select({ criteria: [], showProvenance: false }, nowMs)];
        const query = { criteria: asked, showProvenance };
        for (const kind of ["ep", "res"] as const) {
          const answer = [...directory.lookup(kind, query, nowMs)];
          expect(answer).toEqual(scan(kind, query, all));
          found += answer.length;
          const text = directory.lookupText(kind, query, nowMs);
          if (text !== null) {
            expect(text).toBe(serialiseLinks(answer));
            texts++;
          }
        }
        const selected = [...directory.select(query, nowMs)];
        expect(selected).toEqual(all.filter((one) => registrationMatches(asked, one)));
      }),
      { numRuns: 2000 },
    );
    expect(found).toBeGreaterThan(runs / 2);
    expect(texts).toBeGreaterThan(runs / 20);
  });

  test("LKP-25 LKP-26 LKP-27 pages are disjoint, and together are everything in order", () => {
    fc.assert(
      fc.property(
        puts,
        criteria,
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom("ep", "res"),
        (all, asked, count, kind) => {
          const directory = directoryOf(...SOURCES);
          fill(directory, all);
          const whole = [...directory.lookup(kind, { criteria: asked, showProvenance: true }, 0)];
          const pages: Link[] = [];
          for (let page = 0; page * count <= whole.length; page++) {
            const links = [...directory.lookup(kind, { criteria: asked, showProvenance: true, page, count }, 0)];
            expect(links.length).toBe(Math.min(count, whole.length - page * count));
            const text = directory.lookupText(kind, { criteria: asked, showProvenance: true, page, count }, 0);
            if (text !== null) expect(text).toBe(serialiseLinks(links));
            pages.push(...links);
          }
          expect(pages).toEqual(whole);
        },
      ),
    );
  });

  // As many registrations as it takes for each way to find them: sorted, marked and walked.
  describe("in a directory of 5000", () => {
    const directory = directoryOf("a");
    for (let index = 0; index < 5000; index++) {
      const rt = [`one-${index}`, `few-${index % 100}`, `some-${index % 10}`, `many-${index % 2}`].join(" ");
      const more = { links: [{ target: `coap://n${index}/s`, attributes: [["rt", rt] as const] }] };
      // A tenth ends early, and then an older registration of the same endpoint, which no index knew, takes its place.
      const early = { links: [{ target: `coap://n${index}/s`, attributes: [["rt", "early"] as const] }], ltMs: 100 };
      directory.put("a", registration(`/${index}`, `n${index}`, 0, more), 0);
      if (index % 10 === 0) directory.put("a", registration(`/early/${index}`, `n${index}`, 1, early), 1);
    }

    test.each([
      { name: "one value", items: [["rt", "one-77", false]], size: 1 },
      { name: "one value of a record that has ended", items: [["rt", "one-70", false]], size: 1 },
      { name: "few values", items: [["rt", "few-7", false]], size: 50 },
      { name: "a short prefix of values", items: [["rt", "few-7", true]], size: 550 },
      { name: "some", items: [["rt", "some-0", false]], size: 500 },
      { name: "many", items: [["rt", "many-0", false]], size: 2500 },
      { name: "everything", items: [["rt", "", true]], size: 5000 },
      {
        name: "the most selective of several",
        items: [
          ["rt", "many-1", false],
          ["ep", "n77", true],
          ["rt", "some-7", false],
        ],
        size: 2,
      },
      { name: "endpoint names by prefix", items: [["ep", "n1", true]], size: 1111 },
      {
        name: "a contradiction",
        items: [
          ["rt", "one-1", false],
          ["rt", "one-2", false],
        ],
        size: 0,
      },
      { name: "hrefs by prefix", items: [["href", "coap://rd-a/77", true]], size: 11 },
      { name: "targets by prefix", items: [["href", "coap://n77", true]], size: 11 },
    ] as const)("LPX-05 $name", ({ items, size }) => {
      const asked = items.map(([key, value, isPrefix]) => ({ name: key, value, isPrefix }));
      const all = [...directory.select({ criteria: [], showProvenance: false }, 200)];
      const answer = [...directory.lookup("ep", { criteria: asked, showProvenance: false }, 200)];
      expect(answer).toHaveLength(size);
      expect(answer).toEqual(scan("ep", { criteria: asked, showProvenance: false }, all));
      // Before any record has ended.
      for (const kind of ["ep", "res"] as const) {
        const text = directory.lookupText(kind, { criteria: asked, showProvenance: true }, 50);
        const links = [...directory.lookup(kind, { criteria: asked, showProvenance: true }, 50)];
        if (asked.some(({ value, isPrefix }) => !isPrefix && /^(one|few)-/.test(value))) expect(text).not.toBeNull();
        if (text !== null) expect(text).toBe(serialiseLinks(links));
      }
    });
  });
});
