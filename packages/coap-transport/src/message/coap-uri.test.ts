import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatAuthority, parseCoapUri } from "./coap-uri.js";

describe("RFC 7252 section 6.4", () => {
  test.each([
    { name: "a name", uri: "coap://Example.COM/a", want: { host: "example.com", hostIsLiteral: false, path: ["a"] } },
    { name: "default port", uri: "coap://h", want: { port: 5683, path: [], query: [] } },
    { name: "default secure port", uri: "coaps+tcp://h", want: { port: 5684, scheme: "coaps+tcp" } },
    { name: "empty port", uri: "coap://h:/", want: { port: 5683 } },
    { name: "scheme in capitals", uri: "COAP://h:61616", want: { scheme: "coap", port: 61_616 } },
    {
      name: "IPv6",
      uri: "coap://[2001:DB8:0:0::1]:5684/x",
      want: { host: "2001:db8::1", hostIsLiteral: true, port: 5684 },
    },
    { name: "IPv4-mapped", uri: "coap://[::ffff:192.0.2.1]", want: { host: "192.0.2.1", hostIsLiteral: true } },
    { name: "zone as RFC 6874 has it", uri: "coap://[fe80::1%25eth0]", want: { host: "fe80::1", zone: "eth0" } },
    { name: "zone as people write it", uri: "coap://[fe80::1%eth0]", want: { host: "fe80::1", zone: "eth0" } },
    { name: "root with slash", uri: "coap://h/", want: { path: [] } },
    { name: "trailing slash", uri: "coap://h/rd/", want: { path: ["rd", ""] } },
    { name: "double slash", uri: "coap://h//rd", want: { path: ["", "rd"] } },
    { name: "dot segments", uri: "coap://h/a/./b/../c", want: { path: ["a", "c"] } },
    { name: "dots at the end", uri: "coap://h/a/b/..", want: { path: ["a", ""] } },
    { name: "dots above the root", uri: "coap://h/../../x", want: { path: ["x"] } },
    {
      name: "encoded slash and ampersand",
      uri: "coap://h/a%2Fb?x=%26&y",
      want: { path: ["a/b"], query: ["x=&", "y"] },
    },
    { name: "UTF-8", uri: "coap://h/%C3%BC?q=ü", want: { path: ["ü"], query: ["q=ü"] } },
    { name: "plus is a plus", uri: "coap://h/a+b", want: { path: ["a+b"] } },
    { name: "query without path", uri: "coap://h?a=b", want: { path: [], query: ["a=b"] } },
    { name: "empty query", uri: "coap://h/x?", want: { query: [""] } },
    { name: "encoded name", uri: "coap://%45xample", want: { host: "example" } },
  ])("$name", ({ uri, want }) => {
    expect(parseCoapUri(uri)).toMatchObject(want);
  });

  test.each([
    ["relative", "/rd"],
    ["fragment", "coap://h/#x"],
    ["other scheme", "http://h/"],
    ["no host", "coap:///rd"],
    ["user information", "coap://me@h/"],
    ["port too large", "coap://h:65536"],
    ["port not a number", "coap://h:x"],
    ["open bracket", "coap://[::1"],
    ["not an address", "coap://[::g]"],
    ["IPv4 in brackets", "coap://[192.0.2.1]"],
    ["bare IPv6", "coap://2001:db8::1/"],
    ["bad percent-encoding", "coap://h/%zz"],
    ["not UTF-8", "coap://h/%ff"],
    ["encoded dots", "coap://h/%2e%2e/x"],
    ["blank", "coap://h/a b"],
    ["control character", "coap://h/a\nb"],
    ["lone surrogate", "coap://h/\ud800"],
    ["segment of 256 bytes", `coap://h/${"a".repeat(256)}`],
  ])("refuses: %s", (_name, uri) => {
    expect(() => parseCoapUri(uri)).toThrow(expect.objectContaining({ code: "BAD_URI" }));
  });

  test("anything at all is parsed or refused with BAD_URI", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        for (const uri of [text, `coap://${text}`, `coap://h/${text}`, `coap://[${text}]`]) {
          try {
            parseCoapUri(uri);
          } catch (error) {
            expect(error).toMatchObject({ code: "BAD_URI" });
          }
        }
      }),
    );
  });
});

test.each([
  ["2001:db8::1", 5683, "[2001:db8::1]"],
  ["2001:db8::1", 5684, "[2001:db8::1]:5684"],
  ["192.0.2.1", 5683, "192.0.2.1"],
  ["fe80::1%eth0", 61_616, "[fe80::1%25eth0]:61616"],
])("authority of %s port %i is %s", (address, port, want) => {
  expect(formatAuthority(address, port)).toBe(want);
});
