import { type Link, parseLinkFormat, resolveLink, serialiseLink } from "@tributary/link-model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_RECORD_LIMITS, findParameterFault, takeLinks } from "./record-limits.js";

const good = { href: "/reg/1", ep: "one", base: "coap://h", attributes: [] };

describe("parameters of a registration of an upstream", () => {
  test.each([
    { name: "as they should be", record: {}, fault: undefined },
    { name: "without a base, where lookups show none", record: { base: undefined }, fault: undefined },
    { name: "as many attributes as there may be", record: { attributes: attributes(64) }, fault: undefined },
    { name: "one attribute more", record: { attributes: attributes(65) }, fault: "beyond-limits" },
    { name: "a name as long as a query item can be", record: { ep: "x".repeat(252) }, fault: undefined },
    { name: "a name that no query item can hold", record: { ep: "x".repeat(253) }, fault: "beyond-limits" },
    { name: "a name of 130 two-byte characters", record: { ep: "é".repeat(130) }, fault: "beyond-limits" },
    { name: "an attribute that is too long", record: { attributes: [["a", "x".repeat(300)]] }, fault: "beyond-limits" },
    { name: "a resource with an endless name", record: { href: `/${"x".repeat(2000)}` }, fault: "beyond-limits" },
    { name: "a control character in the name", record: { ep: "a\0b" }, fault: "malformed" },
    { name: "half of a surrogate pair", record: { ep: "a\ud800" }, fault: "malformed" },
    { name: "a whole surrogate pair", record: { ep: "a\u{1f4a1}" }, fault: undefined },
    { name: "a line break in the sector", record: { d: "a\nb" }, fault: "malformed" },
    { name: "an attribute name that injects", record: { attributes: [['a";rt="x', "v"]] }, fault: "malformed" },
    { name: "an attribute without name", record: { attributes: [["", "v"]] }, fault: "malformed" },
    { name: "a resource that injects", record: { href: '/a>;rt="x"' }, fault: "malformed" },
    { name: "a relative base", record: { base: "h/a" }, fault: "malformed" },
    { name: "a base that is a path", record: { base: "/a" }, fault: "malformed" },
    { name: "a base without host", record: { base: "coap:" }, fault: "malformed" },
    { name: "a base that injects", record: { base: 'coap://h";rt="x' }, fault: "malformed" },
  ] as const)("$name", ({ record, fault }) => {
    const { base, ...rest } = { ...good, ...record };
    const limited = base === undefined ? rest : { ...rest, base };
    expect(findParameterFault(limited, DEFAULT_RECORD_LIMITS)?.fault).toBe(fault);
  });

  function attributes(count: number) {
    return Array.from({ length: count }, (_, index) => [`a${index}`, null] as const);
  }
});

describe("links of a registration of an upstream", () => {
  const link = (target: string, attributes: Link["attributes"] = []): Link => ({ target, attributes });
  const fine = link("coap://h/a", [["anchor", "coap://h/b"]]);

  test("links within the limits are taken as they are", () => {
    const links = [fine, link("urn:ex:1")];
    expect(takeLinks(links, DEFAULT_RECORD_LIMITS)).toEqual({ links });
    expect(takeLinks(links, DEFAULT_RECORD_LIMITS).links).toBe(links);
  });

  test.each([
    { name: "a relative target", bad: link("rel"), fault: "relative-target" },
    { name: "an empty target", bad: link(""), fault: "relative-target" },
    { name: "a path", bad: link("/a"), fault: "relative-target" },
    { name: "a target without scheme", bad: link("//h/a"), fault: "relative-target" },
    { name: "a relative anchor", bad: link("coap://h/a", [["anchor", "/b"]]), fault: "relative-target" },
    { name: "an anchor without value", bad: link("coap://h/a", [["anchor", null]]), fault: "relative-target" },
    { name: "a target that injects", bad: link('coap://h/a>;rt="x",<coap://evil/'), fault: "malformed" },
    { name: "a line break", bad: link("coap://h/a", [["rt", "a\r\nb"]]), fault: "malformed" },
    { name: "a name that injects", bad: link("coap://h/a", [['q";rt="x', "1"]]), fault: "malformed" },
  ])("$name: this link is left out, the others are taken", ({ bad, fault }) => {
    expect(takeLinks([fine, bad, fine], DEFAULT_RECORD_LIMITS)).toMatchObject({
      links: [fine, fine],
      fault: { fault },
    });
  });

  test.each([
    { name: "links", limits: { links: 2 } },
    { name: "bytes", limits: { registrationBytes: 20 } },
  ])("beyond the limit of $name nothing is taken", ({ limits }) => {
    const given = { ...DEFAULT_RECORD_LIMITS, ...limits };
    expect(takeLinks([fine, fine, fine], given)).toMatchObject({ links: null, fault: { fault: "beyond-limits" } });
  });

  test("whatever an RD with the same limits accepts is within them, whatever its base", () => {
    const reference = fc.constantFrom("/", "/a/b?c#d", "coap://elsewhere/x", "urn:ex:1", "/é", "/../x");
    const value = fc.option(fc.constantFrom("", "t", 'a"b\\c', "ü 1", "x".repeat(50)), { nil: null });
    const written = fc.array(
      fc.record({
        target: reference,
        attributes: fc.array(fc.tuple(fc.constantFrom("rt", "sz", "title*", "anchor"), value), { maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 8 },
    );
    const base = fc.constantFrom(
      "coap://h",
      "coap://[2001:db8::1]:61616",
      `coap://${"h".repeat(200)}.example/deep/path`,
    );
    fc.assert(
      fc.property(written, base, (links, from) => {
        const text = links
          .map((one) => ({
            ...one,
            attributes: one.attributes.map(([name, text]) => [name, name === "anchor" ? "/x" : text] as const),
          }))
          .map(serialiseLink)
          .join(",");
        const parsed = parseLinkFormat(text);
        if (!parsed.ok) throw new Error(parsed.error.message);
        const resolved = parsed.links.map((one) => resolveLink(from, one));
        const limits = { ...DEFAULT_RECORD_LIMITS, registrationBytes: new TextEncoder().encode(text).length };
        expect(takeLinks(resolved, limits)).toEqual({ links: resolved });
      }),
    );
  });
});
