import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkBase, checkLimitedLinkFormat, resolveLink } from "./registration-links.js";
import { isAbsoluteUri, isPathAbsolute, originOf, resolveReference, splitUri } from "./uri.js";

/** RFC 3986 sections 5.4.1 and 5.4.2, base http://a/b/c/d;p?q. */
const EXAMPLES = `
g:h g:h|g http://a/b/c/g|./g http://a/b/c/g|g/ http://a/b/c/g/|/g http://a/g|//g http://g|?y http://a/b/c/d;p?y
g?y http://a/b/c/g?y|#s http://a/b/c/d;p?q#s|g#s http://a/b/c/g#s|g?y#s http://a/b/c/g?y#s|;x http://a/b/c/;x
g;x http://a/b/c/g;x|g;x?y#s http://a/b/c/g;x?y#s| http://a/b/c/d;p?q|. http://a/b/c/|./ http://a/b/c/|.. http://a/b/
../ http://a/b/|../g http://a/b/g|../.. http://a/|../../ http://a/|../../g http://a/g|../../../g http://a/g
../../../../g http://a/g|/./g http://a/g|/../g http://a/g|g. http://a/b/c/g.|.g http://a/b/c/.g|g.. http://a/b/c/g..
..g http://a/b/c/..g|./../g http://a/b/g|./g/. http://a/b/c/g/|g/./h http://a/b/c/g/h|g/../h http://a/b/c/h
g;x=1/./y http://a/b/c/g;x=1/y|g;x=1/../y http://a/b/c/y|g?y/./x http://a/b/c/g?y/./x|g?y/../x http://a/b/c/g?y/../x
g#s/./x http://a/b/c/g#s/./x|g#s/../x http://a/b/c/g#s/../x|http:g http:g`;

const examples = EXAMPLES.trim()
  .split(/[|\n]/)
  .map((line) => ({ reference: line.slice(0, line.lastIndexOf(" ")), want: line.slice(line.lastIndexOf(" ") + 1) }));

describe("RFC 3986 section 5.4", () => {
  test("every example is there", () => expect(examples).toHaveLength(42));
  test.each(examples)("<$reference> is $want", ({ reference, want }) => {
    expect(resolveReference("http://a/b/c/d;p?q", reference)).toBe(want);
  });
});

describe("RFC 9176 section 6.1", () => {
  test.each([
    { name: "LKP-04 an absolute path replaces the path of the base", target: "/a", want: "coap://gw:5700/a" },
    { name: "LKP-04 dot segments go", target: "/x/./y/../z", want: "coap://gw:5700/x/z" },
    {
      name: "LKP-05 a full URI stays to the byte",
      target: "coap://Other:5683/a/../b",
      want: "coap://Other:5683/a/../b",
    },
    { name: "LKP-37 non-ASCII stays as it is", target: "/Malmö", want: "coap://gw:5700/Malmö" },
  ])("$name", ({ target, want }) => {
    expect(resolveLink("coap://gw:5700/prefix", { target, attributes: [] }).target).toBe(want);
  });

  test("LKP-06 LKP-07 LKP-08 an anchor is resolved, never added, and nothing else changes", () => {
    const link = {
      target: "/a",
      attributes: [
        ["rt", "x"],
        ["anchor", "/t"],
        ["rt", null],
      ],
    } as const;
    expect(resolveLink("coap://h", link).attributes).toEqual([
      ["rt", "x"],
      ["anchor", "coap://h/t"],
      ["rt", null],
    ]);
    expect(resolveLink("coap://h", { target: "/a", attributes: [["rt", "x"]] }).attributes).toEqual([["rt", "x"]]);
    expect(resolveLink("coap://h", { target: "/a", attributes: [["anchor", "coap://H/../x"]] }).attributes).toEqual([
      ["anchor", "coap://H/../x"],
    ]);
  });
});

describe("RFC 9176 appendix C", () => {
  test.each(["sub/x", "../x", "?q", "", "//host/x", "#f"])("REG-21 <%s> is outside Limited Link Format", (target) => {
    expect(
      checkLimitedLinkFormat([
        { target: "/ok", attributes: [] },
        { target, attributes: [] },
      ]),
    ).toContain(`<${target}>`);
    expect(checkLimitedLinkFormat([{ target: "/ok", attributes: [["anchor", target]] }])).toContain("anchor");
  });
  test.each(["/", "/a/../b", "coap://h/x", "urn:x:y"])("REG-21 <%s> is inside", (target) => {
    expect(checkLimitedLinkFormat([{ target, attributes: [["anchor", target]] }])).toBeUndefined();
  });
});

describe("RFC 9176 section 5, base", () => {
  test.each([
    "/x",
    "h/x",
    "",
    "coap:x",
    "coap://",
    "coap:///x",
    "coap://h?q",
    "coap://h#f",
    "coap://h?",
    "coap://[fe80::1%25eth0]",
    "coap://[fe80::1%eth0]",
    "coap://h:p",
    "coap://[::1",
    "coap://a b",
  ])("REG-15 REG-16 REG-17 %j is refused", (base) => {
    expect(checkBase(base)).toEqual(expect.any(String));
  });
  test.each([
    "coap://h",
    "coap://[2001:db8::1]:61616",
    "coap+tcp://h/",
    "coap://gw.example:5700/prefix",
    "http://10.0.0.1",
  ])("REG-15 %j is accepted", (base) => {
    expect(checkBase(base)).toBeUndefined();
  });
});

test("forms of references", () => {
  expect([isAbsoluteUri("coap:x"), isAbsoluteUri("/a:b"), isAbsoluteUri("1a:b")]).toEqual([true, false, false]);
  expect([isPathAbsolute("/"), isPathAbsolute("//h"), isPathAbsolute("a")]).toEqual([true, false, false]);
  expect([originOf("coap://h:1/x?y"), originOf("urn:x")]).toEqual(["coap://h:1", undefined]);
});

describe("RFC 3986 appendix B", () => {
  /** Its regular expression, with the scheme held to its grammar. */
  const REFERENCE = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#([\s\S]*))?$/;
  const piece = fc.constantFrom(
    "coap",
    "a",
    "Z",
    "9",
    "+",
    "-",
    ".",
    ":",
    "/",
    "//",
    "?",
    "#",
    "[::1]",
    "@",
    "é",
    "\n",
    " ",
  );
  const reference = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));

  test("any text is taken apart as it says", () => {
    fc.assert(
      fc.property(reference, (text) => {
        const [, scheme, authority, path, query, fragment] = REFERENCE.exec(text) ?? [];
        expect(splitUri(text)).toEqual({ scheme, authority, path, query, fragment });
        expect(isAbsoluteUri(text)).toBe(scheme !== undefined);
        const hasOrigin = scheme !== undefined && authority !== undefined;
        expect(originOf(text)).toBe(hasOrigin ? `${scheme}://${authority}` : undefined);
      }),
      { numRuns: 2000 },
    );
  });
});
