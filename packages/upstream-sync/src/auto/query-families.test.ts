import { type Criterion, formatCriterion, parseCriterion } from "@tributary/link-model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_WATCHED_FAMILIES } from "../constants.js";
import { conjunctionKey, QueryFamilies } from "./query-families.js";

const criteria = (query: string) => (query === "" ? [] : query.split("&").map(parseCriterion));
const text = (family: readonly Criterion[] | null) => family?.map(formatCriterion).join("&") ?? null;
const all = () => true;

function watch(threshold = 3, windowMs = 60_000) {
  const families = new QueryFamilies({ threshold, windowMs });
  return (query: string, atMs = 0, isWanted: (family: readonly Criterion[]) => boolean = all) =>
    text(families.note(criteria(query), atMs, isWanted));
}

const DRAFT = "rt=core.s&rt=ex.temperature&ex.building=8341";

describe("draft 4.3, families of lookups", () => {
  test("the draft's example: arbitrary titles, everything else the same", () => {
    const note = watch();
    expect(note(`${DRAFT}&title=a`)).toBeNull();
    expect(note(`${DRAFT}&title=b`)).toBeNull();
    expect(note(`${DRAFT}&title=c`)).toBe(DRAFT);
  });

  test.each([
    { name: "another order", queries: ["d=f&ep=a", "ep=b&d=f", "d=f&ep=c"], family: "d=f" },
    { name: "prefixes", queries: ["d=f&ep=a*", "d=f&ep=b*", "d=f&ep=a"], family: "d=f" },
    { name: "one criterion that varies, alone", queries: ["ep=a", "ep=b", "ep=c"], family: "" },
    { name: "two that vary", queries: ["d=f&ep=a&rt=x", "d=f&ep=b&rt=y", "d=f&ep=c&rt=z"], family: "d=f" },
    { name: "a registration resource", queries: ["d=f&href=/1", "d=f&href=/2", "d=f&href=/3"], family: "d=f" },
    { name: "the same criterion twice", queries: ["d=f&d=f&ep=a", "d=f&ep=b", "ep=c&d=f&d=f"], family: "d=f" },
  ])("$name", ({ queries, family }) => {
    const note = watch();
    expect(queries.map((query) => note(query))).toEqual([null, null, family]);
  });

  test.each([
    { name: "identical lookups, which a cache answers", queries: ["d=f&ep=a", "d=f&ep=a", "ep=a&d=f", "d=f&ep=a"] },
    {
      name: "lookups that have nothing in common but three criteria",
      queries: ["a=1&b=2&c=3", "d=1&e=2&f=3", "g=1&h=2&i=3"],
    },
    { name: "criteria of several names that vary", queries: ["d=f&ep=a", "d=f&rt=x", "d=f&if=s", "d=f&ep=b"] },
    { name: "everything", queries: ["", "", "", ""] },
    { name: "queries of too many criteria", queries: ["x", "y", "z"].map((v) => `a&b&c&d&e&f&g&h&t=${v}`) },
  ])("no family: $name", ({ queries }) => {
    const note = watch();
    for (const query of queries) expect(note(query)).toBeNull();
  });

  test("what lies further back than the window does not count", () => {
    const note = watch(3, 1000);
    expect(note("d=f&ep=a", 0)).toBeNull();
    expect(note("d=f&ep=b", 900)).toBeNull();
    expect(note("d=f&ep=c", 1100)).toBeNull();
    expect(note("d=f&ep=d", 1200)).toBe("d=f");
  });

  test("the most specific family comes first; one that is not wanted gives way to a wider one", () => {
    const queries = ["d=f&rt=t&ep=a", "d=f&rt=t&ep=b", "d=f&rt=t&ep=c"];
    const first = watch();
    expect(queries.map((query) => first(query)).at(-1)).toBe("d=f&rt=t");
    const second = watch();
    const isWide = (family: readonly Criterion[]) => family.length < 2;
    expect(queries.map((query) => second(query, 0, isWide)).at(-1)).toBe("rt=t");
  });

  test("what was proposed once has to become frequent again", () => {
    const note = watch();
    expect(["a", "b", "c", "d", "e", "f"].map((ep) => note(`d=f&ep=${ep}`))).toEqual([
      null,
      null,
      "d=f",
      null,
      null,
      "d=f",
    ]);
  });

  test("a frequent family is found among any number of others, in bounded memory", () => {
    const families = new QueryFamilies({ threshold: 5, windowMs: 60_000 });
    const found: (string | null)[] = [];
    for (let index = 0; index < 20_000; index++) {
      families.note(criteria(`x${index}=1&y${index}=2&z=${index}`), 0, all);
      if (index % 1000 === 0)
        found.push(text(families.note(criteria(`d=f&rt=t&title=${index}`), 0, (f) => f.length > 1)));
    }
    expect(families.size).toBeLessThanOrEqual(MAX_WATCHED_FAMILIES);
    // Twenty lookups among twenty thousand others: too rare to be remembered.
    expect(new Set(found)).toEqual(new Set([null]));
    for (let index = 0; index < 5; index++) found.push(text(families.note(criteria(`d=f&title=${index}`), 0, all)));
    expect(found.at(-1)).toBe("d=f");
  });

  test("whatever is found has something in common with every query that made it so", () => {
    const item = fc.constantFrom("a=1", "a=2", "b=1", "b=2*", "c=1", "href=/1");
    fc.assert(
      fc.property(fc.array(fc.uniqueArray(item, { maxLength: 4 }), { maxLength: 40 }), (queries) => {
        const note = watch(3);
        const seen: string[] = [];
        for (const query of queries) {
          seen.push(conjunctionKey(query.map(parseCriterion)));
          const family = note(query.join("&"));
          if (family === null) continue;
          const members = new Set(
            seen.filter((one) =>
              criteria(family).every((criterion) => one.split("&").includes(formatCriterion(criterion))),
            ),
          );
          expect(members.size).toBeGreaterThanOrEqual(3);
          expect(family).not.toContain("href");
        }
      }),
    );
  });
});

test("a conjunction is the same in any order", () => {
  expect(conjunctionKey(criteria("b=2&a=1*&b=2"))).toBe(conjunctionKey(criteria("a=1*&b=2")));
  expect(conjunctionKey(criteria("a=1"))).not.toBe(conjunctionKey(criteria("a=1*")));
});
