import { isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkBase, checkLimitedLinkFormat } from "./registration-links.js";
import { checkIriReference, checkUriReference, isIpv6Address } from "./uri-grammar.js";

/** RFC 3986 section 1.1.2 and what endpoints use. */
const RIGHT = [
  "ftp://ftp.is.co.za/rfc/rfc1808.txt",
  "http://www.ietf.org/rfc/rfc2396.txt",
  "ldap://[2001:db8::7]/c=GB?objectClass?one",
  "mailto:John.Doe@example.com",
  "news:comp.infosystems.www.servers.unix",
  "tel:+1-816-555-1212",
  "telnet://192.0.2.16:80/",
  "urn:oasis:names:specification:docbook:dtd:xml:4.1.2",
  "coap://H.Example:5683/",
  "coap://[::ffff:192.0.2.1]:61616",
  "coap+tcp://[2001:DB8::1]:/a",
  "coap://[v1.x:y]/",
  "coap://user:pass@h/",
  "coap://h/x%20y?a=%C3%B6#f/?",
  "coap://h:65535",
  "/",
  "/a/b;c=d,e:@!$&'()*+",
  "?q",
  "",
  "a/b",
];

const WRONG = [
  { name: "a port that is too large", text: "coap://h.example:99999", problem: "port" },
  { name: "a port one too large", text: "coap://h:65536/", problem: "port" },
  { name: "a port that is no number", text: "coap://h:p", problem: "port" },
  { name: "two ports", text: "coap://h:1:2", problem: "port" },
  { name: "an IPv6 address that is too short", text: "coap://[1:2]", problem: "IP address" },
  { name: "an IPv6 address with two gaps", text: "coap://[1::2::3]", problem: "IP address" },
  { name: "an IPv6 address without brackets", text: "coap://2001:db8::1/", problem: "port" },
  { name: "a bracket that is not closed", text: "coap://[::1", problem: "cannot be read" },
  { name: "something behind the bracket", text: "coap://[::1]x/", problem: "cannot be read" },
  { name: "a zone identifier", text: "coap://[fe80::1%25eth0]/", problem: "zone" },
  { name: "a broken percent-encoding", text: "coap://h.example/%zz", problem: "percent" },
  { name: "a percent sign at the end", text: "/a%", problem: "percent" },
  { name: "a percent sign in the host", text: "coap://h%z/", problem: "percent" },
  { name: "a backslash in the host", text: "coap://h\\x", problem: "host" },
  { name: "a backslash in the path", text: "/a\\b", problem: "path" },
  { name: "a template", text: "coap://h.example/{a}", problem: "path" },
  { name: "brackets in the path", text: "/a[0]", problem: "path" },
  { name: "a caret in the query", text: "/a?b^c", problem: "query" },
  { name: "two fragments", text: "/a#b#c", problem: "fragment" },
  { name: "a blank", text: "/a b", problem: "path" },
  { name: "a line end", text: "/a\n", problem: "path" },
  { name: "a control character beyond ASCII", text: "/a\u0085", problem: "path" },
  { name: "half a surrogate pair", text: "/a\ud800", problem: "path" },
  { name: "a blank in the user information", text: "coap://u s@h/", problem: "user" },
];

describe("RFC 3986 appendix A", () => {
  test.each(RIGHT)("%j is a URI reference", (text) => {
    expect(checkUriReference(text)).toBeUndefined();
    expect(checkIriReference(text)).toBeUndefined();
  });

  test.each(WRONG)("$name", ({ text, problem }) => {
    expect(checkUriReference(text)).toContain(problem);
    expect(checkIriReference(text)).toContain(problem);
  });

  test("characters beyond ASCII are for IRIs only", () => {
    for (const text of ["/Malmö", "coap://malmö.example/", "/a?ö", "/a#ö", "/\u{1f600}"]) {
      expect(checkUriReference(text)).toBeDefined();
      expect(checkIriReference(text)).toBeUndefined();
    }
  });

  test("an IPv6 address is what sockets take for one", () => {
    const group = fc.constantFrom("", "0", "1", "db8", "FFFF", "12345", "g", "192.0.2.1", "256.0.0.1", "1.2.3", "::");
    const text = fc.array(group, { maxLength: 9 }).map((groups) => groups.join(":"));
    const address = fc.oneof(text, fc.ipV6());
    fc.assert(
      fc.property(address, (one) => {
        expect(isIpv6Address(one)).toBe(isIPv6(one));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("RFC 9176: what an endpoint calls a URI is one", () => {
  const absolute = WRONG.filter(({ text }) => text.startsWith("coap:"));
  test.each(absolute)("REG-15 base with $name is refused", ({ text }) => {
    expect(checkBase(text)).toMatch(/^base /);
  });

  test.each(["coap://:5683", "coap://user@", "coap://@:1/x"])("REG-15 base %j has no host", (base) => {
    expect(checkBase(base)).toBe("base has no host");
  });

  test.each(WRONG.filter(({ text }) => text !== ""))("REG-21 target or anchor with $name is refused", ({ text }) => {
    expect(checkLimitedLinkFormat([{ target: text, attributes: [] }])).toContain("not a URI reference");
    expect(checkLimitedLinkFormat([{ target: "/x", attributes: [["anchor", text]] }])).toContain("not a URI reference");
  });

  test("LKP-37 targets and anchors may be IRIs", () => {
    expect(checkLimitedLinkFormat([{ target: "/Malmö", attributes: [["anchor", "/Ö"]] }])).toBeUndefined();
  });
});
