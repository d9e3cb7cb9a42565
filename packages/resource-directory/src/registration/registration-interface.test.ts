import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { codeOf, linksOf, openClient, serveDirectory, textOf } from "../testing/served-directory.js";

const serve = (options = {}) => serveDirectory(createVirtualWorld(), options);
const endpointLink = (served: ReturnType<typeof serve>, query = "") => served.lookup("ep", query)[0];
const attributesOf = (served: ReturnType<typeof serve>, query = "") => endpointLink(served, query)?.attributes ?? [];
const attributeValue = (served: ReturnType<typeof serve>, name: string) =>
  attributesOf(served).find(([attribute]) => attribute === name)?.[1];

describe("RFC 9176 section 5: registration", () => {
  test("REG-01 a registration answers 2.01 with Location-Path and no Location-Query", () => {
    const served = serve();
    const answer = served.ask("POST", "/rd?ep=a", { contentFormat: 40, payload: "</x>;rt=t" });
    expect(codeOf(answer)).toBe("2.01");
    expect(answer.locationPath?.[0]).toBe("reg");
    expect(answer.locationPath).toHaveLength(2);
    expect(answer.locationPath?.[1]).toMatch(/^[0-9a-z]{5,12}$/);
    expect(answer.locationQuery).toBeUndefined();
    expect(served.lookup("res")).toEqual([{ target: "coap://[2001:db8::2]:40000/x", attributes: [["rt", "t"]] }]);
  });

  test("REG-01 over the message layer", async () => {
    const world = createVirtualWorld();
    serveDirectory(world);
    const answer = await openClient(world).request("POST", "/rd?ep=a", { contentFormat: 40, text: "</x>" });
    expect(codeOf(answer)).toBe("2.01");
    expect(answer.locationPath).toHaveLength(2);
    expect(answer.locationQuery).toEqual([]);
  });

  test("REG-02 registering again keeps the location and replaces links and parameters, merging nothing", () => {
    const served = serve();
    const first = served.register("ep=a&d=s&lt=60&et=x&base=coap://one", "</x>,</y>");
    const second = served.register("ep=a&d=s&ex.q=1&base=coap://two", "</z>");
    expect(second).toBe(first);
    expect(served.lookup("res").map(({ target }) => target)).toEqual(["coap://two/z"]);
    expect(attributesOf(served)).toEqual([
      ["ep", "a"],
      ["d", "s"],
      ["base", "coap://two"],
      ["rt", "core.rd-ep"],
      ["ex.q", "1"],
    ]);
    expect(served.directory.get("local", first)?.ltMs).toBe(90_000_000);
  });

  test("REG-03 another sector, or none, is another registration", () => {
    const served = serve();
    const locations = new Set([served.register("ep=a"), served.register("ep=a&d=x"), served.register("ep=a&d=y")]);
    expect(locations.size).toBe(3);
    expect(served.lookup("ep")).toHaveLength(3);
  });

  test.each([
    { name: "REG-04 empty d", query: "ep=a&d=" },
    { name: "REG-05 no ep", query: "d=x" },
    { name: "REG-05 no query at all", query: "" },
    { name: "REG-06 empty ep", query: "ep=" },
    { name: "REG-06 ep without value", query: "ep" },
    { name: "REG-06 ep twice", query: "ep=a&ep=a" },
    { name: "REG-06 d twice", query: "ep=a&d=x&d=y" },
    { name: "REG-06 lt twice", query: "ep=a&lt=60&lt=60" },
    { name: "REG-06 base twice", query: "ep=a&base=coap://h&base=coap://h" },
    { name: "REG-09 control character in ep", query: "ep=a\u0000" },
    { name: "REG-09 C1 control character in ep", query: "ep=a\u0085" },
    { name: "REG-09 DEL in d", query: "ep=a&d=\u007f" },
    { name: "REG-09 tab in d", query: "ep=a&d=\t" },
    { name: "REG-12 lt=0", query: "ep=a&lt=0" },
    { name: "REG-12 lt of 2^32", query: "ep=a&lt=4294967296" },
    { name: "REG-12 negative lt", query: "ep=a&lt=-1" },
    { name: "REG-12 fractional lt", query: "ep=a&lt=1.5" },
    { name: "REG-12 lt of letters", query: "ep=a&lt=abc" },
    { name: "REG-12 empty lt", query: "ep=a&lt=" },
    { name: "REG-12 lt without value", query: "ep=a&lt" },
    { name: "REG-12 hexadecimal lt", query: "ep=a&lt=0x10" },
    { name: "REG-13 signed lt", query: "ep=a&lt=+5" },
    { name: "REG-13 lt with a blank", query: "ep=a&lt= 5" },
    { name: "REG-15 relative base", query: "ep=a&base=/x" },
    { name: "REG-15 base without scheme", query: "ep=a&base=//host" },
    { name: "REG-15 base without host", query: "ep=a&base=coap://" },
    { name: "REG-15 unparsable base", query: "ep=a&base=coap://[2001:db8::1" },
    { name: "REG-15 empty base", query: "ep=a&base=" },
    { name: "REG-16 base with query", query: "ep=a&base=coap://h/?q" },
    { name: "REG-16 base with fragment", query: "ep=a&base=coap://h#f" },
    { name: "REG-17 base with zone", query: "ep=a&base=coap://[fe80::1%25eth0]" },
    { name: "REG-18 link-local base of another link", query: "ep=a&base=coap://[fe80::1]" },
    { name: "REG-18 link-local base in capitals", query: "ep=a&base=coap://[FE80:0::1]:61616" },
    { name: "REG-20 page", query: "ep=a&page=1" },
    { name: "REG-20 count", query: "ep=a&count=1" },
    { name: "REG-20 href", query: "ep=a&href=/x" },
    { name: "REG-20 anchor", query: "ep=a&anchor=/x" },
    { name: "REG-20 rt", query: "ep=a&rt=t" },
    { name: "REG-20 if", query: "ep=a&if=i" },
    { name: "REG-20 rel", query: "ep=a&rel=r" },
    { name: "REG-20 lt-age", query: "ep=a&lt-age=0" },
    { name: "REG-20 provenance", query: "ep=a&provenance=/reg/1" },
    { name: "REG-19 a name that no attribute can have", query: "ep=a&a b=1" },
    { name: "REG-19 a name with a star", query: "ep=a&title*=x" },
    { name: "REG-19 no name", query: "ep=a&=1" },
    { name: "REG-19 a value that no attribute can have", query: "ep=a&ex=\u0001" },
  ])("REG-26 4.00 and nothing registered: $name", ({ query }) => {
    const served = serve();
    const answer = served.ask("POST", query === "" ? "/rd" : `/rd?${query}`, { payload: "</x>" });
    expect(codeOf(answer)).toBe("4.00");
    expect(textOf(answer)).not.toBe("");
    expect(served.directory.counts().total).toBe(0);
    expect(served.rd.rejected.get("bad-request")).toBe(1);
  });

  test.each([
    { name: "63 bytes", value: "x".repeat(63), code: "2.01" },
    { name: "64 bytes", value: "x".repeat(64), code: "4.00" },
    { name: "21 characters of three bytes", value: "€".repeat(21), code: "2.01" },
    { name: "22 characters of three bytes", value: "€".repeat(22), code: "4.00" },
  ])("REG-07 REG-08 names are limited in UTF-8 bytes: $name", ({ value, code }) => {
    expect(codeOf(serve().ask("POST", `/rd?ep=${value}`))).toBe(code);
    expect(codeOf(serve().ask("POST", `/rd?ep=a&d=${value}`))).toBe(code);
  });

  test("REG-10 without lt the lifetime is 90000 s", () => {
    const served = serve();
    const location = served.register("ep=a");
    expect(served.directory.get("local", location)).toMatchObject({
      ltMs: 90_000_000,
      expiresAtMs: 90_000_000,
      expiry: "exact",
    });
  });

  test.each([
    { name: "REG-11 lt=1", lt: "1", seconds: 1 },
    { name: "REG-11 lt=4294967295", lt: "4294967295", seconds: 4_294_967_295 },
    { name: "REG-13 lt=007", lt: "007", seconds: 7 },
  ])("$name is accepted", ({ lt, seconds }) => {
    const served = serve();
    const location = served.register(`ep=a&lt=${lt}`);
    expect(served.directory.get("local", location)?.ltMs).toBe(seconds * 1000);
  });

  test.each([
    {
      name: "IPv6",
      from: { address: "2001:db8::7", port: 61_616 },
      scheme: "coap",
      base: "coap://[2001:db8::7]:61616",
    },
    {
      name: "default port",
      from: { address: "2001:db8::7", port: 5683 },
      scheme: "coap",
      base: "coap://[2001:db8::7]",
    },
    { name: "IPv4", from: { address: "192.0.2.9", port: 5684 }, scheme: "coap", base: "coap://192.0.2.9:5684" },
    {
      name: "secure default port",
      from: { address: "192.0.2.9", port: 5684 },
      scheme: "coaps+tcp",
      base: "coaps+tcp://192.0.2.9",
    },
  ])("REG-14 without base it is the source: $name", ({ from, scheme, base }) => {
    const served = serve();
    served.register("ep=a", "", { from, scheme });
    expect(attributeValue(served, "base")).toBe(base);
  });

  test("REG-14 REG-18 LKP-34 a link-local source without base gives a base without zone, shown on its link only", () => {
    const served = serve();
    const from = { address: "fe80::7", zone: "eth0", port: 5683 };
    served.register("ep=a", "</x>", { from });
    expect(served.lookup("ep")).toEqual([]);
    expect(served.lookup("res")).toEqual([]);
    expect(served.lookup("ep", "", { from: { address: "fe80::8", zone: "eth1" } })).toEqual([]);
    const [seen] = served.lookup("ep", "", { from: { address: "fe80::8", zone: "eth0" } });
    expect(seen?.attributes).toContainEqual(["base", "coap://[fe80::7]"]);
    expect(served.lookup("res", "", { from: { address: "fe80::8", zone: "eth0" } })[0]?.target).toBe(
      "coap://[fe80::7]/x",
    );
  });

  test("REG-18 a link-local base is accepted from that very address", () => {
    const served = serve();
    const from = { address: "fe80::7", zone: "eth0", port: 40_000 };
    served.register("ep=a&base=coap://[FE80:0:0::7]", "", { from });
    expect(served.lookup("ep")).toEqual([]);
    expect(served.lookup("ep", "", { from })).toHaveLength(1);
    expect(codeOf(served.ask("POST", "/rd?ep=b&base=coap://[fe80::9]", { from }))).toBe("4.00");
  });

  test.each([
    { name: "once", query: "ex.q=1", want: [["ex.q", "1"]], find: "ex.q=1" },
    {
      name: "twice",
      query: "ex.q=1&ex.q=2",
      want: [
        ["ex.q", "1"],
        ["ex.q", "2"],
      ],
      find: "ex.q=2",
    },
    { name: "without value", query: "ex.q", want: [["ex.q", null]], find: "ex.q" },
    { name: "with an empty value", query: "ex.q=", want: [["ex.q", ""]], find: "ex.q" },
  ])("REG-19 an extension parameter is stored, shown and found: $name", ({ query, want, find }) => {
    const served = serve();
    served.register(`ep=a&${query}`);
    served.register("ep=b");
    expect(attributesOf(served, find).filter(([name]) => name === "ex.q")).toEqual(want);
    expect(served.lookup("ep", find)).toHaveLength(1);
  });

  test.each([
    { name: "relative target", payload: "<sub/x>" },
    { name: "dot-dot target", payload: "<../x>" },
    { name: "query only", payload: "<?q>" },
    { name: "empty target", payload: "<>" },
    { name: "network path", payload: "<//host/x>" },
    { name: "relative anchor", payload: '</x>;anchor="sub/y"' },
    { name: "network path as anchor", payload: '</x>;anchor="//host/y"' },
    { name: "empty anchor", payload: '</x>;anchor=""' },
  ])("REG-21 outside the limited link format: $name", ({ payload }) => {
    expect(codeOf(serve().ask("POST", "/rd?ep=a", { payload }))).toBe("4.00");
  });

  test.each([
    { name: "unclosed target", payload: "</x" },
    { name: "no separator", payload: "</x></y>" },
    { name: "text", payload: "hello" },
    { name: "invalid UTF-8", payload: Uint8Array.of(0x3c, 0x2f, 0xff, 0x3e) },
    { name: "a byte order mark", payload: "\ufeff</x>" },
  ])("REG-22 REG-26 an unreadable document leaves the earlier registration untouched: $name", ({ payload }) => {
    const served = serve();
    served.register("ep=a&lt=60", "</old>");
    const before = served.ask("GET", "/rd-lookup/res").payload;
    expect(codeOf(served.ask("POST", "/rd?ep=a&lt=70", { payload }))).toBe("4.00");
    expect(served.ask("GET", "/rd-lookup/res").payload).toEqual(before);
    expect(served.directory.winner("a", undefined)?.ltMs).toBe(60_000);
  });

  test.each([
    { name: "payload without Content-Format", more: { payload: "</x>" }, links: 1 },
    { name: "no payload, no Content-Format", more: {}, links: 0 },
    { name: "no payload, Content-Format 40", more: { contentFormat: 40 }, links: 0 },
  ])("REG-23 REG-25 simple clients leave things out: $name", ({ more, links }) => {
    const served = serve();
    expect(codeOf(served.ask("POST", "/rd?ep=a", more))).toBe("2.01");
    expect(served.lookup("ep")).toHaveLength(1);
    expect(served.lookup("res")).toHaveLength(links);
  });

  test.each([0, 41, 50, 51, 65_535])("REG-24 Content-Format %i is not supported", (contentFormat) => {
    const served = serve();
    expect(codeOf(served.ask("POST", "/rd?ep=a", { contentFormat, payload: "</x>" }))).toBe("4.15");
    expect(served.directory.counts().total).toBe(0);
  });

  test("REG-27 repeating a registration is idempotent and restarts the lifetime", async () => {
    const world = createVirtualWorld();
    const served = serveDirectory(world);
    const first = served.register("ep=a&lt=60", "</x>");
    const before = served.ask("GET", "/rd-lookup/ep").payload;
    await world.clock.advance(59_000);
    expect(served.register("ep=a&lt=60", "</x>")).toBe(first);
    expect(served.ask("GET", "/rd-lookup/ep").payload).toEqual(before);
    expect(served.directory.get("local", first)).toMatchObject({ renewedAtMs: 59_000, expiresAtMs: 119_000 });
  });

  test("REG-27 repeating a registration is a renewal, not a change", () => {
    const served = serve();
    served.register("ep=a&et=x", "</x>");
    const kinds: string[] = [];
    served.directory.on("source", ({ kind }) => kinds.push(kind));
    served.register("ep=a&et=x", "</x>");
    expect(kinds).toEqual([]);
    served.register("ep=a&et=y", "</x>");
    expect(kinds).toEqual(["replaced"]);
  });

  test("REG-28 repeated et stay apart", () => {
    const served = serve();
    served.register("ep=a&et=a&et=b");
    expect(attributesOf(served).filter(([name]) => name === "et")).toEqual([
      ["et", "a"],
      ["et", "b"],
    ]);
    expect(served.lookup("ep", "et=b")).toHaveLength(1);
    expect(served.lookup("ep", "et=a b")).toHaveLength(0);
  });

  test.each(["GET", "PUT", "DELETE", "FETCH", "PATCH", "IPATCH"] as const)(
    "REG-30 %s on the registration interface",
    (method) => {
      expect(codeOf(serve().ask(method, "/rd?ep=a"))).toBe("4.05");
    },
  );

  test("REG-29 a payload by Block1 is one registration", async () => {
    const world = createVirtualWorld();
    const served = serveDirectory(world);
    const text = Array.from({ length: 200 }, (_, at) => `</sensors/${at}>;rt=temperature`).join(",");
    expect(codeOf(await openClient(world).request("POST", "/rd?ep=big", { text }))).toBe("2.01");
    expect(served.lookup("res")).toHaveLength(200);
  });

  test("REG-33 the location is unique, and stable over registrations and updates", () => {
    const served = serve();
    const locations = Array.from({ length: 100 }, (_, at) => served.register(`ep=e${at}`));
    expect(new Set(locations).size).toBe(100);
    expect(codeOf(served.ask("POST", `${locations[3]}?lt=60`))).toBe("2.04");
    expect(served.register("ep=e3", "</changed>")).toBe(locations[3]);
    expect(endpointLink(served, "ep=e3")?.target).toBe(locations[3]);
  });

  test.each([
    { name: "a parameter of other drafts", item: "proxy=on", shown: ["proxy", "on"] },
    { name: "one without a value", item: "proxy", shown: ["proxy", null] },
    { name: "the former name of base", item: "con=coap://192.0.2.9:5683", shown: ["con", "coap://192.0.2.9:5683"] },
    { name: "a name of nobody", item: "ex.floor=3", shown: ["ex.floor", "3"] },
    { name: "an empty value", item: "ex.floor=", shown: ["ex.floor", ""] },
    { name: "a name that JavaScript objects have", item: "constructor=x", shown: ["constructor", "x"] },
  ])("RFC 9176 section 5: $name is stored and shown", ({ item, shown }) => {
    const served = serve();
    served.register(`ep=a&${item}&et=board`);
    expect(endpointLink(served, "ep=a")?.attributes).toContainEqual(shown);
    const [name, value] = shown;
    expect(served.lookup("ep", value === null ? "ep=a" : `${name}=${value}`)).toHaveLength(1);
    expect(served.lookup("ep", `${name}=other`)).toHaveLength(0);
  });

  test("`con` beside `base` does not become the base", () => {
    const served = serve();
    served.register("ep=a&con=coap://old&base=coap://new", "</x>");
    expect(served.lookup("res", "ep=a")[0]?.target).toBe("coap://new/x");
  });

  test("an endpoint name is a name, whatever it is", () => {
    const served = serve();
    for (const ep of ["__proto__", "constructor", "/reg/1", "a b", 'q"q', "ü", "a\\b"]) served.register(`ep=${ep}`);
    expect(served.lookup("ep")).toHaveLength(7);
    expect(served.lookup("ep", 'ep=q"q')).toHaveLength(1);
  });
});

describe("SEC-12 limits", () => {
  test.each([
    { name: "payload", limits: { registrationBytes: 10 }, payload: "</12345678>", code: "4.13", cause: "too-large" },
    { name: "links", limits: { links: 2 }, payload: "</a>,</b>,</c>", code: "4.13", cause: "too-large" },
    {
      name: "bytes of a patch",
      limits: {},
      payload: `${"</>,".repeat(4095)}</>${';anchor="/"'.repeat(4400)}`,
      code: "4.13",
      cause: "too-large",
    },
    { name: "attributes", limits: { attributes: 1 }, payload: "", code: "4.00", cause: "bad-request" },
  ])("too much of $name", ({ limits, payload, code, cause }) => {
    const served = serve({ limits });
    expect(codeOf(served.ask("POST", "/rd?ep=a&x=1&y=2", { payload }))).toBe(code);
    expect(served.rd.rejected.get(cause)).toBe(1);
    expect(served.directory.counts().total).toBe(0);
  });

  test("a full directory refuses newcomers and still serves those it has", () => {
    const served = serve({ limits: { registrations: 2 } });
    const first = served.register("ep=a");
    served.register("ep=b");
    expect(codeOf(served.ask("POST", "/rd?ep=c"))).toBe("5.03");
    expect(served.register("ep=a", "</x>")).toBe(first);
    expect(codeOf(served.ask("DELETE", first))).toBe("2.02");
    expect(served.register("ep=c")).not.toBe(first);
    expect(linksOf(served.ask("GET", "/rd-lookup/ep"))).toHaveLength(2);
  });

  test("as many links as a registration may have", () => {
    const served = serve();
    const links = Array.from({ length: 4096 }, (_, at) => `</${at}>`);
    served.register("ep=a", links.join(","));
    expect(served.lookup("res", "count=5000")).toHaveLength(4096);
    expect(codeOf(served.ask("POST", "/rd?ep=a", { payload: [...links, "</one/more>"].join(",") }))).toBe("4.13");
  });
});
