import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { firstValue, lastValue, valuesOf } from "./attributes.js";
import { parseLinkFormat } from "./link-format-reader.js";
import { serialiseLink, serialiseLinks } from "./link-format-writer.js";
import { parseLinkFormatTolerantly } from "./tolerant-reader.js";
import type { Attribute, Link } from "./types.js";

interface Vector {
  readonly name: string;
  readonly kind: "parse" | "serialise";
  readonly why: string;
  readonly input?: string;
  readonly input_hex?: string;
  readonly links?: Link[];
  readonly expect: Link[] | string | { error: string };
  readonly first_value?: Record<string, string>;
}

const { vectors } = JSON.parse(
  readFileSync(new URL("../../../test/conformance/link-format-vectors.json", import.meta.url), "utf8"),
) as { vectors: Vector[] };
const parsing = vectors.filter(({ kind }) => kind === "parse");
const serialising = vectors.filter(({ kind }) => kind === "serialise");

describe("RFC 6690 section 2, reading", () => {
  test.each(parsing)("LNK-01 $name: $why", (vector) => {
    const input = vector.input_hex === undefined ? (vector.input as string) : Buffer.from(vector.input_hex, "hex");
    const result = parseLinkFormat(input);
    if (!Array.isArray(vector.expect)) {
      const { error } = vector.expect as { error: string };
      expect(result).toMatchObject({ ok: false, error: { reason: error } });
      return;
    }
    expect(result).toEqual({ ok: true, links: vector.expect });
    for (const [name, value] of Object.entries(vector.first_value ?? {})) {
      expect(result.ok && firstValue(result.links[0] as Link, name)).toBe(value);
    }
  });

  test("all the vectors are there", () => {
    expect([parsing.length, serialising.length]).toEqual([84, 10]);
  });

  test.each([
    { name: "in the middle", text: "</a>;rt=x,/b", offset: 10 },
    { name: "of an unclosed quote", text: '</a>;rt="x', offset: 8 },
    { name: "of an unclosed target", text: "</a>,</b", offset: 5 },
  ])("the offset $name is exact", ({ text, offset }) => {
    expect(parseLinkFormat(text)).toMatchObject({ ok: false, error: { offset } });
  });

  test("the offset of a byte that is not UTF-8 is exact", () => {
    const bytes = Buffer.concat([Buffer.from("</Malmö>"), Buffer.from([0xff]), Buffer.from(",</b>")]);
    expect(parseLinkFormat(bytes)).toMatchObject({ ok: false, error: { reason: "invalid-utf8", offset: 9 } });
  });

  test("LNK-07 arbitrary bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        parseLinkFormat(bytes);
        parseLinkFormatTolerantly(bytes);
      }),
    );
  });

  test.each([
    { name: "opening brackets", unit: "<" },
    { name: "commas", unit: "," },
    { name: "quotes", unit: '"' },
    { name: "semicolons", unit: ";" },
    { name: "links", unit: "</a>;b;c=d," },
    { name: "escapes", unit: '</a>;b="\\\\\\"",' },
    { name: "blanks", unit: " <  ,  " },
  ])("LNK-07 reading a megabyte of $name takes no quadratic time", ({ unit }) => {
    const text = unit.repeat(Math.ceil(1_000_000 / unit.length));
    const before = process.cpuUsage();
    parseLinkFormat(text);
    parseLinkFormatTolerantly(text);
    // CPU time, because others may use the machine as well; a quadratic reader needs minutes for this.
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(10_000);
  });
});

describe("RFC 6690 section 2, writing", () => {
  test.each(serialising)("LNK-02 $name: $why", ({ links = [], expect: expected }) => {
    if (typeof expected === "object") {
      expect(() => serialiseLinks(links)).toThrow();
      return;
    }
    expect(parseLinkFormat(serialiseLinks(links))).toEqual({ ok: true, links });
  });

  const name = fc.stringMatching(/^[A-Za-z0-9!#$&+.^_`|~-]{1,8}$/);
  const value = fc.oneof(
    fc.constant(null),
    fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => text.replace(/[\u0000-\u001f\u007f]/g, "")),
  );
  const link = fc.record({
    target: fc.webUrl(),
    attributes: fc.array(fc.tuple(name, value) as fc.Arbitrary<Attribute>, { maxLength: 5 }),
  });

  test("LNK-02 what was written reads back the same", () => {
    fc.assert(
      fc.property(fc.array(link, { maxLength: 5 }), (links) => {
        expect(parseLinkFormat(serialiseLinks(links))).toEqual({ ok: true, links });
      }),
    );
  });

  test("LNK-02 cardinals and lists are written as the grammar wants them", () => {
    const attributes: Attribute[] = [
      ["sz", "4096"],
      ["ct", "40"],
      ["ct", "0 60"],
      ["rt", "x"],
      ["obs", null],
      ["title*", "UTF-8''%e2%82%ac"],
    ];
    expect(serialiseLink({ target: "/a", attributes })).toBe(
      `</a>;sz=4096;ct=40;ct="0 60";rt="x";obs;title*=UTF-8''%e2%82%ac`,
    );
  });
});

describe("attributes that stand more than once", () => {
  const link: Link = {
    target: "/a",
    attributes: [
      ["rel", "x"],
      ["rel", "y"],
      ["provenance", "/1"],
      ["provenance", "/2"],
      ["et", "a"],
      ["et", "b"],
      ["obs", null],
    ],
  };
  test("LNK-03 LNK-05 LNK-06 the first counts", () => expect(firstValue(link, "rel")).toBe("x"));
  test("LNK-04 of provenance the last counts", () => expect(lastValue(link, "provenance")).toBe("/2"));
  test("all are kept", () => expect(valuesOf(link, "et")).toEqual(["a", "b"]));
  test("without value and absent differ", () =>
    expect([firstValue(link, "obs"), firstValue(link, "no")]).toEqual([null, undefined]));
});

describe("reading what other RDs write", () => {
  test.each([
    {
      name: "a value with blanks",
      text: "</a>;rt=a b;if=c,</b>",
      links: [
        [
          "/a",
          [
            ["rt", "a b"],
            ["if", "c"],
          ],
        ],
        ["/b", []],
      ],
    },
    {
      name: "an empty value",
      text: "</a>;rt=;if=c",
      links: [
        [
          "/a",
          [
            ["rt", ""],
            ["if", "c"],
          ],
        ],
      ],
    },
    {
      name: "empty elements",
      text: "</a>,,</b>,",
      links: [
        ["/a", []],
        ["/b", []],
      ],
    },
    { name: "empty attributes", text: "</a>;;rt=x;", links: [["/a", [["rt", "x"]]]] },
    { name: "UTF-8 in a token", text: "</a>;title=Füße", links: [["/a", [["title", "Füße"]]]] },
    { name: "a newline in quotes", text: '</a>;title="x\ny"', links: [["/a", [["title", "x y"]]]] },
    { name: "a link cut off at the end", text: '</a>;rt="x",</b', links: [["/a", [["rt", "x"]]]] },
    {
      name: "a comma in an unquoted value",
      text: "</a>;title=a,b;rt=x,</c>",
      links: [
        [
          "/a",
          [
            ["title", "a,b"],
            ["rt", "x"],
          ],
        ],
        ["/c", []],
      ],
    },
    {
      name: "text between links",
      text: "</a>,oops,</c>",
      links: [
        ["/a", []],
        ["/c", []],
      ],
    },
  ])("$name", ({ text, links }) => {
    const result = parseLinkFormatTolerantly(text);
    expect(result.links.map(({ target, attributes }) => [target, attributes])).toEqual(links);
    expect(result.problems.length).toBeGreaterThan(0);
  });

  test("a valid document is read as it is, without problems", () => {
    expect(parseLinkFormatTolerantly('</a>;rt="x"')).toEqual({
      isTruncated: false,
      links: [{ target: "/a", attributes: [["rt", "x"]] }],
      problems: [],
      leftOut: 0,
    });
  });

  test("problems are bounded", () => {
    expect(parseLinkFormatTolerantly("<a b>,".repeat(1000)).problems.length).toBeLessThanOrEqual(16);
  });
});
