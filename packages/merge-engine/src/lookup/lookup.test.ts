import { type Attribute, type Link, parseCriterion } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { createDirectory } from "../directory.js";
import { directoryOf, registration, targets } from "../testing/directories.js";
import type { SourcedRegistration } from "../types.js";
import { endpointLink, registrationMatches, resourceMatches } from "./matching.js";

describe("what links look like", () => {
  test("LKP-02 LPX-04 AGE-04 an endpoint link has its attributes in order, never a lifetime, age or forged provenance", () => {
    const attributes: Attribute[] = [
      ["et", "x"],
      ["lt", "5"],
      ["et", "y"],
      ["lt-age", "1"],
      ["lt-remaining", "4"],
      ["provenance", "/forged"],
      ["flag", null],
    ];
    const one = { ...registration("/r", "n", 0, { d: "f", attributes }), source: "a", shownHref: "/r" };
    expect(endpointLink(one)).toEqual({
      target: "/r",
      attributes: [
        ["ep", "n"],
        ["d", "f"],
        ["base", "coap://n"],
        ["rt", "core.rd-ep"],
        ["et", "x"],
        ["et", "y"],
        ["flag", null],
      ],
    });
  });

  test("LKP-02 an endpoint without sector has no d", () => {
    const one = { ...registration("/r", "n"), source: "a", shownHref: "coap://rd-a/r" };
    expect(endpointLink(one).attributes.map(([name]) => name)).toEqual(["ep", "base", "rt"]);
  });

  test("PRV-01 PRV-02 PRV-05 PRV-06 LPX-02 provenance is shown on request only, last, once, and cannot be forged", () => {
    const directory = directoryOf("a");
    const links: Link[] = [
      {
        target: "coap://n/s",
        attributes: [
          ["provenance", "/forged"],
          ["rt", "x"],
          ["provenance", "/again"],
        ],
      },
      { target: "coap://n/t", attributes: [] },
    ];
    directory.put("a", registration("/1", "n", 0, { links }), 0);
    const answer = (showProvenance: boolean) => [...directory.lookup("res", { criteria: [], showProvenance }, 0)];
    expect(answer(false)).toEqual([
      { target: "coap://n/s", attributes: [["rt", "x"]] },
      { target: "coap://n/t", attributes: [] },
    ]);
    expect(answer(true)).toEqual([
      {
        target: "coap://n/s",
        attributes: [
          ["rt", "x"],
          ["provenance", "coap://rd-a/1"],
        ],
      },
      { target: "coap://n/t", attributes: [["provenance", "coap://rd-a/1"]] },
    ]);
  });

  test("LKP-08 attributes come back as they were put: order, repeats, no value and empty value", () => {
    const directory = directoryOf("a");
    const links: Link[] = [
      {
        target: "coap://n/é",
        attributes: [
          ["b", null],
          ["a", ""],
          ["b", "2"],
          ["rt", " x  y "],
          ["title", '"\\,;<>'],
        ],
      },
    ];
    directory.put("a", registration("/1", "n", 0, { links }), 0);
    expect([...directory.lookup("res", { criteria: [], showProvenance: false }, 0)]).toEqual(links);
  });
});

describe("what criteria meet", () => {
  test("LPX-11 PRV-06 nobody gets past the loop filter by attributes that name a registration", () => {
    const directory = directoryOf("a");
    const pretended: Attribute[] = [
      ["href", "/reg/1"],
      ["provenance", "/reg/1"],
    ];
    const links = [{ target: "/reg/1", attributes: pretended }];
    directory.put("a", registration("/1", "n", 0, { attributes: pretended, links }), 0);
    const [stored] = [...directory.select({ criteria: [], showProvenance: false }, 0)] as [SourcedRegistration];
    for (const item of ["href=/*", "provenance=/*", "href=/reg/1", "provenance=/reg/1"]) {
      expect([targets(directory, "ep", 0, [item]), targets(directory, "res", 0, [item])]).toEqual([[], []]);
      // The matcher by itself as well: feeds and observers are filtered by it, without an index.
      expect(registrationMatches([parseCriterion(item)], stored)).toBe(false);
      expect(stored.links.some((link) => resourceMatches([parseCriterion(item)], stored, link))).toBe(false);
    }
  });

  test("LPX-12 LKP-20 of a node that is RD and proxy, a path selects its own registrations only", () => {
    const directory = directoryOf("b");
    directory.openSource("local", { authority: null });
    directory.put("local", registration("/reg/1", "n1"), 0);
    directory.put("b", registration("/reg/1", "n2"), 0);
    expect(targets(directory, "ep", 0, ["href=/*"])).toEqual(["/reg/1"]);
    expect(targets(directory, "ep", 0, ["href=/reg/1"])).toEqual(["/reg/1"]);
    expect(targets(directory, "res", 0, ["provenance=/*"])).toEqual(["coap://n1/s"]);
    expect(targets(directory, "ep", 0, ["href=coap://rd-*"])).toEqual(["coap://rd-b/reg/1"]);
    expect(targets(directory, "ep", 0, ["href=*"])).toHaveLength(2);
  });

  test("LPX-12 authorities of which one begins like the other are kept apart", () => {
    const directory = createDirectory();
    for (const name of ["coap://rd", "coap://rd-b", "coap://rd-b:1"]) {
      directory.openSource(name, { authority: name });
      directory.put(name, registration("/1", name), 0);
    }
    expect(targets(directory, "ep", 0, ["href=coap://rd/*"])).toEqual(["coap://rd/1"]);
    expect(targets(directory, "ep", 0, ["href=coap://rd-b*"])).toEqual(["coap://rd-b/1", "coap://rd-b:1/1"]);
    expect(targets(directory, "ep", 0, ["href=coap://rd-b/1"])).toEqual(["coap://rd-b/1"]);
  });

  test("AGE-04 endpoints do not match by lifetime or age, whatever they were stored with", () => {
    const directory = directoryOf("a");
    directory.put(
      "a",
      registration("/1", "n", 0, {
        attributes: [
          ["lt", "5"],
          ["lt-age", "1"],
        ],
        links: [],
      }),
      0,
    );
    for (const item of ["lt=5", "lt=*", "lt-age=1", "lt-remaining=*"])
      expect(targets(directory, "ep", 0, [item])).toEqual([]);
  });

  test("LKP-13 blanks around and between relation types are no types", () => {
    const one = registration("/1", "n", 0, { links: [{ target: "coap://n/s", attributes: [["if", "  a  b "]] }] });
    const meets = (value: string, isPrefix = false) => registrationMatches([{ name: "if", value, isPrefix }], one);
    expect([meets("a"), meets("b"), meets(""), meets("a  b"), meets("", true)]).toEqual([
      true,
      true,
      false,
      false,
      true,
    ]);
  });
});

describe("what changes is found as it is", () => {
  test.each([
    {
      name: "by its links",
      before: { links: [{ target: "coap://n/s", attributes: [["rt", "old x"] as const] }] },
      after: {},
      old: "rt=old",
      now: "rt=temp",
    },
    {
      name: "by a target",
      before: { links: [{ target: "coap://n/old", attributes: [] }] },
      after: {},
      old: "href=coap://n/old",
      now: "href=coap://n/s",
    },
    { name: "by its base", before: { base: "coap://old" }, after: {}, old: "base=coap://old", now: "base=coap://n" },
    {
      name: "by an attribute",
      before: { attributes: [["et", "old"] as const] },
      after: { attributes: [["et", "new"] as const] },
      old: "et=old",
      now: "et=new",
    },
    {
      name: "by a prefix",
      before: { attributes: [["et", "old"] as const] },
      after: { attributes: [["et", "new"] as const] },
      old: "et=o*",
      now: "et=n*",
    },
  ])("REG-02 a replaced registration is found $name", ({ before, after, old, now }) => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 0, before), 0);
    expect(targets(directory, "ep", 0, [old])).toHaveLength(1);
    directory.put("a", registration("/1", "n", 1, after), 1);
    expect([targets(directory, "ep", 1, [old]), targets(directory, "ep", 1, [now])]).toEqual([[], ["coap://rd-a/1"]]);
  });
});

describe("who sees what", () => {
  test("LKP-34 a link-local registration is shown only on its link", () => {
    const directory = directoryOf("a");
    directory.put("a", registration("/1", "n", 0, { zone: "eth0" }), 0);
    expect(targets(directory, "ep", 0)).toEqual([]);
    expect(targets(directory, "ep", 0, ["ep=n"], { zone: "eth1" })).toEqual([]);
    expect(targets(directory, "res", 0, [], { zone: "eth0" })).toEqual(["coap://n/s"]);
  });

  test("a lookup over some sources shows their latest where another source's registration is shown", () => {
    const directory = directoryOf("a", "b", "c");
    directory.put("a", registration("/1", "n", 1000), 0);
    directory.put("b", registration("/2", "n", 2000), 0);
    directory.put("c", registration("/3", "n", 9000), 0);
    const among = (...sources: string[]) => targets(directory, "ep", 9000, ["ep=n"], { sources: new Set(sources) });
    expect([among("a"), among("a", "b"), among("a", "b", "c"), among("x")]).toEqual([
      ["coap://rd-a/1"],
      ["coap://rd-b/2"],
      ["coap://rd-c/3"],
      [],
    ]);
    const [, older] = directory.renewals("n", undefined, 9000);
    const isMatch = (text: string) => {
      const query = { criteria: [parseCriterion(text)], showProvenance: false };
      return older !== undefined && directory.isMatch("n", undefined, older, query);
    };
    expect([isMatch("rt=temp"), isMatch("href=coap://rd-b/2"), isMatch("rt=other")]).toEqual([true, true, false]);
  });

  test("a lookup over some sources shows what they contribute to the union", () => {
    const directory = directoryOf("a", "b");
    directory.put("a", registration("/1", "n1"), 0);
    directory.put("b", registration("/2", "n2"), 0);
    expect(targets(directory, "ep", 0, [], { sources: new Set(["b"]) })).toEqual(["coap://rd-b/2"]);
  });
});

describe("paging and order", () => {
  test("LKP-26 LPX-05 the order is that of ep, then d with absent first, then the position of the link", () => {
    const directory = directoryOf("b", "a");
    const names: [string, string?][] = [["b"], ["a", "y"], ["B"], ["a"], ["a", "x"], ["a10"], ["a2"], ["é"]];
    names.forEach(([ep, d], at) => {
      const links = ["2", "1"].map((path) => ({ target: `coap://${ep}/${path}`, attributes: [] }));
      directory.put(
        at % 2 ? "a" : "b",
        registration(`/${at}`, ep, at, { links, ...(d === undefined ? {} : { d }) }),
        at,
      );
    });
    const selected = [...directory.select({ criteria: [], showProvenance: false }, 9)].map(({ ep, d }) => [ep, d]);
    expect(selected).toEqual([
      ["B", undefined],
      ["a", undefined],
      ["a", "x"],
      ["a", "y"],
      ["a10", undefined],
      ["a2", undefined],
      ["b", undefined],
      ["é", undefined],
    ]);
    expect(targets(directory, "res", 9, ["ep=B"])).toEqual(["coap://B/2", "coap://B/1"]);
  });

  test.each([
    { name: "LKP-25 a count", items: ["count=2"], want: ["coap://0/s", "coap://1/s"] },
    { name: "LKP-26 a page", items: ["page=1", "count=2"], want: ["coap://2/s", "coap://3/s"] },
    { name: "LKP-29 paging before a criterion", items: ["count=1", "ep=3", "page=0"], want: ["coap://3/s"] },
    { name: "LKP-27 a page past the end", items: ["page=9", "count=2"], want: [] },
    { name: "LKP-28 count 0", items: ["page=0", "count=0"], want: [] },
    { name: "LKP-27 numbers beyond any directory", items: ["page=9999999999", "count=9999999999"], want: [] },
  ])("$name", ({ items, want }) => {
    const directory = directoryOf("a");
    for (const name of ["3", "1", "0", "2"]) directory.put("a", registration(`/${name}`, name), 0);
    expect(targets(directory, "res", 0, items)).toEqual(want);
  });

  test("a few links of many cost a few steps: nothing is made that is not asked for", () => {
    const directory = directoryOf("a");
    for (let index = 0; index < 2000; index++) directory.put("a", registration(`/${index}`, `n${index}`), 0);
    const links = directory.lookup("res", { criteria: [], showProvenance: false }, 0);
    expect(links.next().value).toMatchObject({ target: "coap://n0/s" });
    expect(links.return?.()).toMatchObject({ done: true });
  });

  test("an iteration that changes interrupt gives what stays exactly once, in order", () => {
    const directory = directoryOf("a");
    const name = (index: number) => String(index).padStart(5, "0");
    for (let index = 0; index < 3000; index++) directory.put("a", registration(`/${index}`, name(index)), 0);
    const seen: string[] = [];
    for (const { ep } of directory.select({ criteria: [], showProvenance: false }, 0)) {
      seen.push(ep);
      const at = Number(ep);
      // Take away what was just seen and every third ahead, and add between.
      directory.remove("a", `/${at}`, 0);
      if (at % 3 === 0) directory.remove("a", `/${at + 1}`, 0);
      if (at % 5 === 0 && at < 3000) directory.put("a", registration(`/x${at}`, `${name(at - 1)}x`), 0);
    }
    const stayed = Array.from({ length: 3000 }, (_, index) => index).filter((index) => index % 3 !== 1);
    expect(seen.filter((ep) => !ep.endsWith("x"))).toEqual(stayed.map(name));
  });
});
