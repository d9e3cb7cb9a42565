import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { alternativesOf, type HostAbilities } from "./alternatives.js";
import { parseOscoreUri } from "./oscore-uri.js";

const NAME = "VGhhdCdzIHRoZSBLZXlJZENvbnRleHQgdXNlZCB3aXRoIHRoaXMgZGV2aWNl";
const EVERYTHING: HostAbilities = { schemes: ["coap", "coap+tcp"], families: { ipv4: true, ipv6: true } };

describe("draft 6.3: oscore URIs", () => {
  test.each([
    [`oscore://${NAME}/sensor/temp`, NAME, "/sensor/temp"],
    ["OSCORE://abc", "abc", "/"],
    ["oscore://abc?x=1", "abc", "/?x=1"],
    ["oscore://M%C3%BChle/a%20b?c", "Mühle", "/a%20b?c"],
    ["oscore://ed25519.abc-_~/", "ed25519.abc-_~", "/"],
  ])("%j names an endpoint and a resource of it", (text, name, reference) => {
    expect(parseOscoreUri(text)).toEqual({ ok: true, value: { name, reference } });
  });

  test.each([
    "",
    "abc",
    "oscore:abc",
    "oscore:///x",
    "coap://abc/",
    "oscore://user@abc/",
    "oscore://abc:5683/",
    "oscore://[::1]/",
    "oscore://abc/#x",
    "oscore://a b/",
    "oscore://abc/ä",
    "oscore://%FF/",
    "oscore://%00/",
    `oscore://${"a".repeat(64)}/`,
  ])("%j is refused with a reason", (text) => {
    expect(parseOscoreUri(text)).toEqual({ ok: false, message: expect.stringMatching(/^it/) });
  });

  test("whatever is read is the name of an endpoint", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), (text) => {
        const read = parseOscoreUri(`oscore://${text}`);
        if (!read.ok) return;
        expect(Buffer.byteLength(read.value.name)).toBeLessThanOrEqual(63);
        expect(read.value.reference).toMatch(/^\//);
      }),
    );
  });
});

describe("draft 6.3: RD-assisted protocol negotiation", () => {
  const uri = { name: NAME, reference: "/sensor/temp" };
  const registered = (...attributes: [string, string][]) => ({
    target: "coap+tcp://[2001:db8:1:2::3]/reg/123",
    attributes: [["ep", NAME] as const, ...attributes],
  });

  test("base and alternatives, in the order of what this host prefers", () => {
    const links = [
      registered(
        ["base", "coap+tcp://[2001:db8:1:2::3]:10123"],
        ["at", "coap://[2001:db8:1:2::3]:10123 coaps://[2001:db8:1:2::3]:10124"],
        ["at", "coap://192.0.2.3:10123"],
      ),
    ];
    const { uris, unusable } = alternativesOf(uri, links, EVERYTHING);
    expect(uris).toEqual([
      "coap://[2001:db8:1:2::3]:10123/sensor/temp",
      "coap://192.0.2.3:10123/sensor/temp",
      "coap+tcp://[2001:db8:1:2::3]:10123/sensor/temp",
    ]);
    expect(unusable).toEqual([{ uri: "coaps://[2001:db8:1:2::3]:10124", reason: "this host does not speak coaps" }]);
    const overTcp = alternativesOf(uri, links, { ...EVERYTHING, schemes: ["coap+tcp", "coap"] });
    expect(overTcp.uris[0]).toMatch(/^coap\+tcp:/);
  });

  test("addresses of a family that this host does not have are left out, with the reason; its own are not", () => {
    const links = [registered(["base", "coap://[2001:db8::3]"], ["at", "coap://192.0.2.3"], ["at", "coap://[::1]"])];
    const only4 = { ...EVERYTHING, families: { ipv4: true, ipv6: false } };
    expect(alternativesOf(uri, links, only4)).toEqual({
      uris: ["coap://192.0.2.3/sensor/temp", "coap://[::1]/sensor/temp"],
      unusable: [{ uri: "coap://[2001:db8::3]", reason: "this host has no IPv6 address" }],
      registrations: 1,
    });
  });

  test("other names, repetitions and what is no URI do not count", () => {
    const other = {
      target: "/reg/1",
      attributes: [["ep", `${NAME}x`] as const, ["base", "coap://192.0.2.9"] as const],
    };
    const links = [other, registered(["base", "coap://192.0.2.3"], ["at", "coap://192.0.2.3"], ["at", "nonsense"])];
    expect(alternativesOf(uri, links, EVERYTHING)).toEqual({
      uris: ["coap://192.0.2.3/sensor/temp"],
      unusable: [{ uri: "nonsense", reason: "it is not a URI" }],
      registrations: 1,
    });
  });

  test("a result with any number of addresses costs no more than 64", () => {
    const many = Array.from({ length: 1000 }, (_, at): [string, string] => ["at", `coap://192.0.2.3:${1000 + at}`]);
    expect(alternativesOf(uri, [registered(["base", "coap://192.0.2.3"], ...many)], EVERYTHING).uris).toHaveLength(64);
  });
});
