import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attributionQuery, planQueries, reaches } from "./attribution-query.js";
import type { EndpointEntry } from "./lookup-documents.js";

const endpoint = (
  ep: string,
  d?: string,
  href = d === undefined ? `/reg/${ep}` : `/reg/${ep}/${d}`,
): EndpointEntry => ({
  href,
  ep,
  ...(d === undefined ? {} : { d }),
  base: "coap://h",
  attributes: [],
});

describe("RFC 6690 section 4.1: asking for the links of one registration", () => {
  test.each([
    { name: "a plain name", method: "ep", one: endpoint("n1"), want: ["ep=n1"] },
    { name: "a name and a sector", method: "ep", one: endpoint("n1", "f"), want: ["ep=n1", "d=f"] },
    { name: "a name that ends in a star", method: "ep", one: endpoint("s*"), want: ["ep=s**"] },
    { name: "a sector that ends in a star", method: "ep", one: endpoint("n1", "*"), want: ["ep=n1", "d=**"] },
    { name: "a star within", method: "ep", one: endpoint("a*b"), want: ["ep=a*b"] },
    { name: "a path that ends in a star", method: "href", one: endpoint("n", "d", "/r/*"), want: ["href=/r/**"] },
    { name: "what does not fit into an option", method: "href", one: endpoint("n", "d", `/${"r".repeat(255)}`) },
  ] as const)("$name", ({ method, one, ...row }) => {
    expect(attributionQuery(method, one)?.items).toEqual("want" in row ? row.want : undefined);
  });

  const names = fc.constantFrom("s", "s*", "s**", "sb", "*", "**", "a*b", "");
  const endpoints = fc.uniqueArray(fc.tuple(names, fc.option(names, { nil: undefined })), {
    selector: ([ep, d]) => JSON.stringify([ep, d ?? null]),
    minLength: 1,
    maxLength: 12,
  });

  test("a query that is asked alone matches its registration and no other; every other one is accounted for", () => {
    fc.assert(
      fc.property(endpoints, fc.constantFrom("ep", "href"), (pairs, method) => {
        const all = pairs.map(([ep, d]) => endpoint(ep, d));
        const { alone, shared } = planQueries(method, all, all, 64);
        expect(alone.length + shared.length).toBe(all.length);
        for (const { endpoint: own, query, others } of [...alone, ...shared]) {
          const matched = all.filter((one) => reaches(query, one)).map(({ href }) => href);
          expect(matched.sort()).toEqual([own.href, ...others.map(({ href }) => href)].sort());
        }
        // Whatever a shared query matches besides was asked for before.
        const done = new Set(alone.map(({ endpoint: own }) => own.href));
        for (const { endpoint: own, others } of shared) {
          expect(others.every(({ href }) => done.has(href))).toBe(true);
          done.add(own.href);
        }
      }),
    );
  });

  test("the work for names that end in a star is bounded", () => {
    const all = Array.from({ length: 500 }, (_, index) => endpoint(`n${index}*`));
    const { alone, shared } = planQueries("ep", all, all, 64);
    expect(alone.length + shared.length).toBe(64);
  });
});
