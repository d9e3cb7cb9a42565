import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { criterionMatchesAttribute, implies, matchesValue } from "./criteria.js";
import { toLinkset } from "./linkset.js";
import { exactItem, parseCriterion, parseLookupQuery } from "./lookup-query.js";
import type { Attribute } from "./types.js";

describe("RFC 9176 section 6.2, criteria", () => {
  test.each([
    { name: "LKP-11 a value is compared whole", item: "ct=0", attribute: ["ct", "0 60"], want: false },
    { name: "LKP-11 case matters", item: "ep=n", attribute: ["ep", "N"], want: false },
    { name: "LKP-12 a star at the end is a prefix", item: "rt=temp*", attribute: ["rt", "temperature"], want: true },
    { name: "LKP-12 a star in front is literal", item: "rt=*.switch", attribute: ["rt", "light.switch"], want: false },
    { name: "LKP-12 only the last star is the operator", item: "rt=a**", attribute: ["rt", "a*b"], want: true },
    { name: "LKP-12 a lone star asks for presence", item: "obs=*", attribute: ["obs", null], want: true },
    { name: "LKP-13 any one relation type", item: "rt=b", attribute: ["rt", "a b"], want: true },
    { name: "LKP-13 a prefix of any one", item: "if=b*", attribute: ["if", "a bc"], want: true },
    { name: "LKP-13 never the joined value", item: "rt=a b", attribute: ["rt", "a b"], want: false },
    { name: "LKP-14 others are not split", item: "et=b", attribute: ["et", "a b"], want: false },
    { name: "LKP-23 a bare name meets no value", item: "obs", attribute: ["obs", null], want: true },
    { name: "LKP-23 a bare name meets an empty value", item: "obs", attribute: ["obs", ""], want: true },
    { name: "LKP-23 a bare name meets no other value", item: "obs", attribute: ["obs", "1"], want: false },
    { name: "LKP-36 percent signs are literal", item: "title=a%20b", attribute: ["title", "a b"], want: false },
    { name: "an equals sign in the value", item: "x=a=b", attribute: ["x", "a=b"], want: true },
  ] as const)("$name", ({ item, attribute, want }) => {
    expect(criterionMatchesAttribute(parseCriterion(item), attribute as Attribute)).toBe(want);
  });

  const item = fc.tuple(fc.constantFrom("rt", "d"), fc.stringMatching(/^[ab ]{0,3}$/), fc.boolean());
  test("LPX-13 LPX-15 containment never claims too much", () => {
    fc.assert(
      fc.property(item, item, fc.stringMatching(/^[ab ]{0,4}$/), (one, other, value) => {
        const [narrow, wide] = [one, other].map(([name, text, star]) =>
          parseCriterion(`${name}=${text}${star ? "*" : ""}`),
        ) as [never, never];
        fc.pre(implies(narrow, wide));
        const attribute: Attribute = [one[0], value];
        expect(!criterionMatchesAttribute(narrow, attribute) || criterionMatchesAttribute(wide, attribute)).toBe(true);
      }),
    );
  });

  test.each([
    { name: "an equal criterion", narrow: "d=F", wide: "d=F", want: true },
    { name: "a value under a prefix", narrow: "d=Fx", wide: "d=F*", want: true },
    { name: "a longer prefix", narrow: "d=Fx*", wide: "d=F*", want: true },
    { name: "not the converse", narrow: "d=F*", wide: "d=Fx", want: false },
    { name: "not another key", narrow: "ep=F", wide: "d=F", want: false },
  ])("LPX-15 implied by $name: $want", ({ narrow, wide, want }) => {
    expect(implies(parseCriterion(narrow), parseCriterion(wide))).toBe(want);
  });

  test("no value counts as an empty one", () => expect(matchesValue(parseCriterion("a="), null)).toBe(true));
});

describe("RFC 9176 section 6.2, paging", () => {
  test.each([
    ["page=1"],
    ["page=x", "count=2"],
    ["page=0", "count=x"],
    ["page=-1", "count=2"],
    ["page=0", "count=-1"],
    ["page=0", "page=1", "count=2"],
    ["count=1.5"],
    ["count="],
    ["count"],
    ["page=0&count=2"],
  ])("LKP-28 %j %j is refused", (...items) => {
    expect(parseLookupQuery(items)).toMatchObject({ ok: false, message: expect.any(String) });
  });

  test("LKP-29 paging is no criterion, wherever it stands", () => {
    const want = { ok: true, query: { criteria: [parseCriterion("rt=x")], page: 1, count: 2, showProvenance: false } };
    expect(parseLookupQuery(["page=1", "rt=x", "count=2"])).toEqual(want);
    expect(parseLookupQuery(["rt=x", "count=2", "page=1"])).toEqual(want);
  });

  test("LKP-28 count=0 is allowed", () =>
    expect(parseLookupQuery(["count=0"])).toMatchObject({ ok: true, query: { count: 0 } }));
  test("too many items are refused", () => expect(parseLookupQuery(Array(65).fill("a=b")).ok).toBe(false));
});

test("PRV-02 PRV-03 provenance asks for the attribute, and filters when it has a value", () => {
  expect(parseLookupQuery(["provenance"])).toMatchObject({ query: { criteria: [], showProvenance: true } });
  expect(parseLookupQuery(["provenance=/*"])).toMatchObject({
    query: { criteria: [{ name: "provenance", value: "/", isPrefix: true }], showProvenance: true },
  });
});

describe("RFC 9264 section 4.2", () => {
  test("LKP-31 links become contexts with explicit anchors and typed attributes", () => {
    const links = [
      {
        target: "coap://h/t",
        attributes: [
          ["rt", "a b"],
          ["title", "T"],
          ["title*", "UTF-8'de'Gr%C3%BC%C3%9Fe"],
          ["obs", null],
          ["et", "x"],
          ["et", "y"],
        ],
      },
      {
        target: "http://d/1",
        attributes: [
          ["anchor", "coap://h/t"],
          ["rel", "describedby alternate"],
        ],
      },
    ] as const;
    expect(toLinkset(links)).toEqual({
      linkset: [
        {
          anchor: "coap://h/",
          hosts: [
            {
              href: "coap://h/t",
              rt: ["a b"],
              title: "T",
              "title*": [{ value: "Grüße", language: "de" }],
              obs: [""],
              et: ["x", "y"],
            },
          ],
        },
        { anchor: "coap://h/t", describedby: [{ href: "http://d/1" }], alternate: [{ href: "http://d/1" }] },
      ],
    });
  });
});

describe("RFC 6690 section 4.1, asking for a value", () => {
  test.each([
    { value: "n1", want: "ep=n1" },
    { value: "", want: "ep=" },
    { value: "a*b", want: "ep=a*b" },
    { value: "a*", want: undefined },
    { value: "*", want: undefined },
    { value: "x".repeat(252), want: `ep=${"x".repeat(252)}` },
    { value: "x".repeat(253), want: undefined },
    { value: "ü".repeat(127), want: undefined },
  ])("the item for $value", ({ value, want }) => {
    expect(exactItem("ep", value)).toBe(want);
  });

  test("an item, where there is one, is matched by this value and no other", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (value, other) => {
        const item = exactItem("ep", value);
        if (item === undefined) return;
        const criterion = parseCriterion(item);
        expect(matchesValue(criterion, value)).toBe(true);
        expect(matchesValue(criterion, other)).toBe(value === other);
      }),
    );
  });
});
