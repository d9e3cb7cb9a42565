import { type Criterion, parseCriterion } from "@tributary/link-model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Registration } from "../types.js";
import { covers, registrationMatches, resourceMatches } from "./matching.js";

const parse = (items: readonly string[]): Criterion[] => items.map(parseCriterion);

describe("draft 6.2.1, what a replica can answer", () => {
  test.each([
    { name: "LPX-13 no filter covers everything", filter: [], query: [], want: true },
    { name: "LPX-13 the filter alone", filter: ["d=F"], query: ["d=F"], want: true },
    { name: "LPX-13 the filter and more", filter: ["d=F"], query: ["rt=x", "d=F"], want: true },
    { name: "a wider query", filter: ["d=F"], query: [], want: false },
    { name: "another value", filter: ["d=F"], query: ["d=G"], want: false },
    { name: "half of the filter", filter: ["d=F", "rt=x"], query: ["d=F"], want: false },
    { name: "LPX-15 a value within a prefix", filter: ["d=F*"], query: ["d=Fx"], want: true },
    { name: "LPX-15 a longer prefix within a prefix", filter: ["d=F*"], query: ["d=Fx*"], want: true },
    { name: "LPX-15 a prefix is not within a value", filter: ["d=Fx"], query: ["d=F*"], want: false },
    { name: "LPX-15 a shorter prefix is not within a longer", filter: ["d=Fx*"], query: ["d=F*"], want: false },
    { name: "LPX-15 a value is within every value", filter: ["d=*"], query: ["d=x"], want: true },
    { name: "LPX-15 another key", filter: ["d=F*"], query: ["ep=Fx"], want: false },
    { name: "LPX-15 presence is not within a bare name", filter: ["obs"], query: ["obs=*"], want: false },
    {
      name: "two criteria of one key are implied one by one",
      filter: ["rt=a*", "rt=b*"],
      query: ["rt=bc", "rt=ad"],
      want: true,
    },
    {
      name: "what every endpoint has excludes nothing",
      filter: ["rt=core.rd*", "ep=*", "href=*"],
      query: [],
      want: true,
    },
    { name: "a sector is not something every endpoint has", filter: ["d=*"], query: [], want: false },
  ])("$name", ({ filter, query, want }) => {
    expect(covers(parse(filter), parse(query))).toBe(want);
  });

  const text = fc.constantFrom(
    "",
    "a",
    "ab",
    "abc",
    "b",
    "a b",
    "core",
    "core.rd-ep",
    "coap://h",
    "coap://h/a",
    "/r",
    "/r/a",
  );
  const name = fc.constantFrom("ep", "d", "base", "rt", "et", "href", "provenance", "anchor", "title", "lt");
  const criterion = fc.record({ name, value: text, isPrefix: fc.boolean() });
  const attribute = fc.tuple(fc.constantFrom("rt", "et", "title", "anchor", "d", "ep", "href", "lt"), fc.option(text));
  const link = fc.record({ target: text, attributes: fc.array(attribute, { maxLength: 3 }) });
  const registration: fc.Arbitrary<Registration> = fc.record({
    href: fc.constantFrom("/r", "/r/a", "/s"),
    ep: fc.constantFrom("a", "ab", "b"),
    base: fc.constantFrom("coap://h", "coap://h/a"),
    attributes: fc.array(attribute, { maxLength: 2 }),
    links: fc.array(link, { maxLength: 3 }),
    renewedAtMs: fc.constant(0),
    expiresAtMs: fc.constant(1),
    expiry: fc.constant("exact" as const),
  });

  test("LPX-13 LPX-15 it never claims too much: what a covered query finds is in the replica", () => {
    // A query is made from the filter, so that many are covered: criteria narrowed, and others added.
    const pair = fc.array(criterion, { maxLength: 2 }).chain((filter) =>
      fc.record({
        filter: fc.constant(filter),
        query: fc
          .tuple(
            fc.array(criterion, { maxLength: 2 }),
            ...filter.map((one) =>
              fc
                .record({ more: text, isPrefix: fc.boolean() })
                .map(({ more, isPrefix }) => (one.isPrefix ? { ...one, value: one.value + more, isPrefix } : one)),
            ),
          )
          .map(([others, ...narrowed]) => [...narrowed, ...others]),
      }),
    );
    let covered = 0;
    let runs = 0;
    fc.assert(
      fc.property(pair, registration, ({ filter, query }, one) => {
        runs++;
        if (!covers(filter, query)) return;
        const isHeld = registrationMatches(filter, one);
        const isFound = registrationMatches(query, one) || one.links.some((each) => resourceMatches(query, one, each));
        if (isFound) covered++;
        expect(isFound && !isHeld).toBe(false);
      }),
      { numRuns: 5000 },
    );
    expect(covered).toBeGreaterThan(runs / 100);
  });

  test("LPX-15 it is exact: for what is not covered there is a registration that the query finds and the filter misses", () => {
    const repeatable = fc.record({ name: fc.constantFrom("et", "title", "d"), value: text, isPrefix: fc.boolean() });
    fc.assert(
      fc.property(fc.array(repeatable, { maxLength: 2 }), fc.array(repeatable, { maxLength: 3 }), (filter, query) => {
        if (covers(filter, query)) return;
        // For each criterion a value that no filter meets unless the criterion implies it.
        const witness: Registration = {
          href: "/r",
          ep: "x",
          base: "coap://x",
          attributes: query.map(({ name: key, value, isPrefix }) => [key, isPrefix ? `${value}\u0001` : value]),
          links: [],
          renewedAtMs: 0,
          expiresAtMs: 1,
          expiry: "exact",
        };
        expect(registrationMatches(query, witness)).toBe(true);
        expect(registrationMatches(filter, witness)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});
