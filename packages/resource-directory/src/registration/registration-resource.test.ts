import { OPTION } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { codeOf, openClient, serveDirectory, textOf } from "../testing/served-directory.js";

function serve(options = {}) {
  const world = createVirtualWorld();
  const served = serveDirectory(world, options);
  const link = (query = "") => served.lookup("ep", query)[0];
  const attributeValue = (name: string) => link()?.attributes.find(([attribute]) => attribute === name)?.[1];
  return { ...served, clock: world.clock, world, link, attributeValue };
}

describe("RFC 9176 section 5.3.1: update", () => {
  test("UPD-01 an update without anything restarts the stored lifetime", async () => {
    const { clock, register, ask, directory, lookup } = serve();
    const location = register("ep=a&lt=60");
    await clock.advance(59_999);
    expect(codeOf(ask("POST", location))).toBe("2.04");
    expect(directory.get("local", location)).toMatchObject({ renewedAtMs: 59_999, expiresAtMs: 119_999 });
    await clock.advance(59_999);
    expect(lookup("ep")).toHaveLength(1);
    await clock.advance(1);
    expect(lookup("ep")).toHaveLength(0);
  });

  test("UPD-02 a new lifetime is kept for later updates", async () => {
    const { clock, register, ask, directory } = serve();
    const location = register("ep=a&lt=90000");
    expect(codeOf(ask("POST", `${location}?lt=60`))).toBe("2.04");
    await clock.advance(10_000);
    expect(codeOf(ask("POST", location))).toBe("2.04");
    expect(directory.get("local", location)).toMatchObject({ ltMs: 60_000, expiresAtMs: 70_000 });
  });

  test("UPD-03 links follow a new base, full URIs do not", () => {
    const { register, ask, lookup } = serve();
    const location = register("ep=a&base=coap://old", '</x>;anchor="/y",<http://h/p>;anchor="coap://o/q"');
    expect(codeOf(ask("POST", `${location}?base=coaps://n`))).toBe("2.04");
    expect(lookup("res")).toEqual([
      { target: "coaps://n/x", attributes: [["anchor", "coaps://n/y"]] },
      { target: "http://h/p", attributes: [["anchor", "coap://o/q"]] },
    ]);
  });

  test("UPD-04 an explicit base stays when the update comes from elsewhere", () => {
    const { register, ask, attributeValue } = serve();
    const location = register("ep=a&base=coap://fixed");
    expect(codeOf(ask("POST", location, { from: { address: "2001:db8::99", port: 1 } }))).toBe("2.04");
    expect(attributeValue("base")).toBe("coap://fixed");
  });

  test("UPD-05 an implicit base follows the source, and so do the links", () => {
    const { register, ask, attributeValue, lookup } = serve();
    const location = register("ep=a", "</x>", { from: { address: "2001:db8::2", port: 5683 } });
    expect(codeOf(ask("POST", location, { from: { address: "2001:db8::99", port: 1 } }))).toBe("2.04");
    expect(attributeValue("base")).toBe("coap://[2001:db8::99]:1");
    expect(lookup("res")[0]?.target).toBe("coap://[2001:db8::99]:1/x");
  });

  test("UPD-05 LKP-34 an endpoint that moves to a link-local address is hidden from other links, and back", () => {
    const { register, ask, lookup } = serve();
    const location = register("ep=a");
    ask("POST", location, { from: { address: "fe80::7", zone: "eth0", port: 5683 } });
    expect(lookup("ep")).toHaveLength(0);
    ask("POST", location, { from: { address: "2001:db8::7", port: 5683 } });
    expect(lookup("ep")).toHaveLength(1);
  });

  test("UPD-04 a base once given explicitly stays explicit", () => {
    const { register, ask, attributeValue } = serve();
    const location = register("ep=a");
    ask("POST", `${location}?base=coap://given`);
    ask("POST", location, { from: { address: "2001:db8::99" } });
    expect(attributeValue("base")).toBe("coap://given");
  });

  test("UPD-06 a given attribute replaces all earlier values of its name, others stay", () => {
    const { register, ask, link } = serve();
    const location = register("ep=a&et=x&et=y&ex=1&ey=2");
    expect(codeOf(ask("POST", `${location}?et=z&ex`))).toBe("2.04");
    const extras = link()?.attributes.filter(([name]) => name.startsWith("e") && name !== "ep");
    expect(extras).toEqual(
      expect.arrayContaining([
        ["et", "z"],
        ["ex", null],
        ["ey", "2"],
      ]),
    );
    expect(extras).toHaveLength(3);
  });

  test.each([
    { name: "UPD-07 ep", query: "?ep=a", payload: "" },
    { name: "UPD-07 d", query: "?d=x", payload: "" },
    { name: "UPD-08 a payload", query: "", payload: "</y>" },
    { name: "UPD-09 invalid lt", query: "?lt=0", payload: "" },
    { name: "UPD-09 invalid base", query: "?base=/x", payload: "" },
    { name: "UPD-09 link-local base of another link", query: "?base=coap://[fe80::1]", payload: "" },
    { name: "UPD-09 a valid lt beside an invalid base", query: "?lt=70&base=x", payload: "" },
    { name: "UPD-09 a refused name", query: "?page=1", payload: "" },
  ])("REG-26 4.00, nothing changed, lifetime not restarted: $name", async ({ query, payload }) => {
    const { clock, register, ask, directory } = serve();
    const location = register("ep=a&lt=60&base=coap://h", "</x>");
    const before = { ...directory.get("local", location) };
    await clock.advance(1000);
    expect(codeOf(ask("POST", location + query, { payload }))).toBe("4.00");
    expect({ ...directory.get("local", location) }).toEqual(before);
  });

  test("UPD-06 SEC-12 updates cannot collect more attributes than a registration may have", () => {
    const { register, ask } = serve({ limits: { attributes: 2 } });
    const location = register("ep=a&x=1");
    expect(codeOf(ask("POST", `${location}?y=1`))).toBe("2.04");
    expect(codeOf(ask("POST", `${location}?z=1`))).toBe("4.00");
    expect(codeOf(ask("POST", `${location}?y=2`))).toBe("2.04");
  });

  test.each(["/reg/none", "/reg", "/reg/", "/reg/a/b", "/reg/__proto__"])(
    "UPD-10 DEL-02 unknown location %s",
    (path) => {
      const { register, ask } = serve();
      register("ep=a");
      for (const method of ["POST", "DELETE", "GET"] as const) expect(codeOf(ask(method, path))).toBe("4.04");
    },
  );

  test("UPD-10 below and beside a location is nothing", () => {
    const { register, ask } = serve();
    const location = register("ep=a");
    expect(codeOf(ask("POST", `${location}/`))).toBe("4.04");
    expect(codeOf(ask("POST", `${location}0`))).toBe("4.04");
  });
});

describe("RFC 9176 section 5.3.2: removal", () => {
  test("DEL-01 DELETE removes from both lookups at once", () => {
    const { register, ask, lookup } = serve();
    const location = register("ep=a", "</x>");
    expect(codeOf(ask("DELETE", location))).toBe("2.02");
    expect(lookup("ep")).toEqual([]);
    expect(lookup("res")).toEqual([]);
  });

  test("DEL-02 UPD-10 what was deleted is gone", () => {
    const { register, ask } = serve();
    const location = register("ep=a");
    ask("DELETE", location);
    expect(codeOf(ask("DELETE", location))).toBe("4.04");
    expect(codeOf(ask("POST", location))).toBe("4.04");
  });

  test("DEL-03 registering again after DELETE works, with a location never used before", () => {
    const { register, ask, lookup } = serve();
    const location = register("ep=a");
    ask("DELETE", location);
    expect(register("ep=a")).not.toBe(location);
    expect(lookup("ep")).toHaveLength(1);
  });
});

describe("RFC 9176 section 5.3.3: reading", () => {
  test("GET-01 GET shows the links as they were submitted", () => {
    const { register, ask } = serve();
    const payload = '</x> ; rt = "a  b" , <coap://h/../y>;obs';
    const answer = ask("GET", register("ep=a", payload), { accept: 40 });
    expect(codeOf(answer)).toBe("2.05");
    expect(answer.contentFormat).toBe(40);
    expect(textOf(answer)).toBe(payload);
  });

  test("GET-01 in another format", () => {
    const { register, ask } = serve();
    expect(codeOf(ask("GET", register("ep=a"), { accept: 60 }))).toBe("4.06");
  });

  test.each(["PUT", "FETCH", "PATCH", "IPATCH"] as const)("GET-02 %s is not implemented", (method) => {
    const { register, ask } = serve();
    expect(codeOf(ask(method, register("ep=a"), { contentFormat: 51, payload: "[]" }))).toBe("4.05");
  });
});

describe("RFC 9176 section 5.3: lifetime", () => {
  test("LIF-01 LIF-03 shown until the end of the lifetime, not a millisecond longer", async () => {
    const { clock, register, lookup } = serve();
    register("ep=a&lt=60", "</x>");
    await clock.advance(59_999);
    expect(lookup("ep")).toHaveLength(1);
    await clock.advance(1);
    expect(lookup("ep")).toEqual([]);
    expect(lookup("res")).toEqual([]);
  });

  test("LIF-02 UPD-11 an expired registration is revived by an update", async () => {
    const { clock, register, ask, lookup } = serve();
    const location = register("ep=a&lt=60&et=x", "</x>");
    await clock.advance(61_000);
    expect(codeOf(ask("GET", location))).toBe("4.04");
    expect(codeOf(ask("POST", location))).toBe("2.04");
    expect(lookup("ep", "et=x")[0]?.target).toBe(location);
    expect(lookup("res")).toHaveLength(1);
    await clock.advance(59_999);
    expect(lookup("ep")).toHaveLength(1);
    await clock.advance(1);
    expect(lookup("ep")).toHaveLength(0);
  });

  test("LIF-02 REG-33 registering again while expired keeps the location", async () => {
    const { clock, register, lookup } = serve();
    const location = register("ep=a&lt=60", "</x>");
    await clock.advance(61_000);
    expect(register("ep=a", "</y>")).toBe(location);
    expect(lookup("res")).toHaveLength(1);
  });

  test("LIF-05 UPD-11 revivable as long as its lifetime, and not a millisecond longer", async () => {
    const { clock, register, ask } = serve();
    const early = register("ep=early&lt=60");
    const late = register("ep=late&lt=60");
    await clock.advance(119_999);
    expect(codeOf(ask("POST", early))).toBe("2.04");
    await clock.advance(1);
    expect(codeOf(ask("POST", late))).toBe("4.04");
    expect(register("ep=late")).not.toBe(late);
  });

  test("LIF-05 revivable for a day at most", async () => {
    const { clock, register, ask } = serve();
    const location = register("ep=a&lt=1000000");
    const other = register("ep=b&lt=1000000");
    await clock.advance(1_000_000_000 + 86_399_999);
    expect(codeOf(ask("POST", location))).toBe("2.04");
    await clock.advance(1);
    expect(codeOf(ask("POST", other))).toBe("4.04");
  });

  test("LIF-05 an expired registration can be deleted", async () => {
    const { clock, register, ask } = serve();
    const location = register("ep=a&lt=60");
    await clock.advance(61_000);
    expect(codeOf(ask("DELETE", location))).toBe("2.02");
    expect(codeOf(ask("POST", location))).toBe("4.04");
  });

  test("LIF-04 the longest lifetime overflows no timer", async () => {
    const { clock, register, lookup } = serve();
    register("ep=a&lt=4294967295");
    await clock.advance(2_147_483_648);
    expect(lookup("ep")).toHaveLength(1);
    await clock.advance(4_294_967_295_000 - 2_147_483_648 - 1);
    expect(lookup("ep")).toHaveLength(1);
    await clock.advance(1);
    expect(lookup("ep")).toHaveLength(0);
  });

  test("UPD-01 DEL-01 over the message layer", async () => {
    const { world, lookup } = serve();
    const client = openClient(world);
    const { locationPath } = await client.request("POST", "/rd?ep=a", { text: "</x>" });
    const location = `/${locationPath.join("/")}`;
    expect(codeOf(await client.request("POST", location))).toBe("2.04");
    expect(codeOf(await client.request("DELETE", location))).toBe("2.02");
    expect(lookup("ep")).toEqual([]);
  });
});

describe("RFC 7252 section 5.10.8: conditional requests", () => {
  const ifMatch = (...tags: Uint8Array[]) => tags.map((value) => ({ number: OPTION.IF_MATCH, value }));
  const ANY = new Uint8Array(0);
  const NONE_MATCH = [{ number: OPTION.IF_NONE_MATCH, value: ANY }];
  const TAG = Uint8Array.of(0x55, 0x44);

  test.each([
    { name: "DELETE, a tag", method: "DELETE", options: ifMatch(TAG), code: "4.12" },
    { name: "DELETE, several tags", method: "DELETE", options: ifMatch(TAG, Uint8Array.of(1)), code: "4.12" },
    { name: "DELETE, if it exists", method: "DELETE", options: ifMatch(ANY), code: "2.02" },
    { name: "DELETE, if it does not exist", method: "DELETE", options: NONE_MATCH, code: "4.12" },
    { name: "update, a tag", method: "POST", options: ifMatch(TAG), code: "4.12" },
    { name: "update, if it exists", method: "POST", options: ifMatch(ANY), code: "2.04" },
    { name: "update, if it does not exist", method: "POST", options: NONE_MATCH, code: "4.12" },
  ] as const)("$name: $code, and nothing else happens", async ({ method, options, code }) => {
    const { world, register, directory, clock } = serve();
    const location = register("ep=a&lt=100");
    await clock.advance(1000);
    const response = await openClient(world).request(method, location, { options });
    expect(codeOf(response)).toBe(code);
    const held = directory.get("local", location);
    const expected = { "2.02": undefined, "2.04": true, "4.12": false }[code];
    expect(held === undefined ? undefined : held.renewedAtMs > 0).toBe(expected);
  });

  test("a registration that ended does not exist, though an update would bring it back", async () => {
    const { world, register, clock } = serve();
    const location = register("ep=a&lt=60");
    await clock.advance(61_000);
    const client = openClient(world);
    expect(codeOf(await client.request("POST", location, { options: ifMatch(ANY) }))).toBe("4.12");
    expect(codeOf(await client.request("POST", location))).toBe("2.04");
  });

  test("what was never there is 4.12 for If-Match and 4.04 else", async () => {
    const client = openClient(serve().world);
    expect(codeOf(await client.request("DELETE", "/reg/none", { options: ifMatch(ANY) }))).toBe("4.12");
    expect(codeOf(await client.request("DELETE", "/reg/none", { options: NONE_MATCH }))).toBe("4.04");
  });

  test("the registration interface and the lookups exist, whatever is registered", async () => {
    const { world, lookup } = serve();
    const client = openClient(world);
    expect(codeOf(await client.request("POST", "/rd?ep=a", { options: NONE_MATCH }))).toBe("4.12");
    expect(lookup("ep")).toEqual([]);
    expect(codeOf(await client.request("POST", "/rd?ep=a", { options: ifMatch(ANY) }))).toBe("2.01");
    expect(codeOf(await client.request("GET", "/rd-lookup/ep", { options: NONE_MATCH }))).toBe("4.12");
    const { etag } = await client.request("GET", "/rd-lookup/ep");
    expect(codeOf(await client.request("GET", "/rd-lookup/ep", { options: ifMatch(etag ?? ANY) }))).toBe("2.05");
    expect(codeOf(await client.request("GET", "/rd-lookup/ep", { options: ifMatch(TAG) }))).toBe("4.12");
  });
});
