import { createVirtualWorld } from "@tributary/coap-transport/testing";
import type { Attribute } from "@tributary/link-model";
import { codeOf, DIRECTORY_ADDRESS, openClient, serveDirectory, textOf } from "@tributary/resource-directory/testing";
import { describe, expect, test } from "vitest";
import type { LookupSource } from "./types.js";

function serve(options = {}) {
  const world = createVirtualWorld();
  return { ...serveDirectory(world, options), world, clock: world.clock };
}

const OWN = `coap://[${DIRECTORY_ADDRESS}]`;

describe("RFC 9176 section 6: lookup", () => {
  test("LKP-01 LKP-02 LKP-03 both interfaces without a query, complete and in link format", () => {
    const { register, ask, lookup } = serve();
    const location = register("ep=a&d=s&et=x&et=y&ex=1&lt=60&base=coap://h", "</x>;rt=t");
    register("ep=b&base=coap://k");
    const answer = ask("GET", "/rd-lookup/ep");
    expect(codeOf(answer)).toBe("2.05");
    expect(answer.contentFormat).toBe(40);
    const links = lookup("ep");
    expect(links).toHaveLength(2);
    expect(links.find(({ target }) => target === location)?.attributes).toEqual([
      ["ep", "a"],
      ["d", "s"],
      ["base", "coap://h"],
      ["rt", "core.rd-ep"],
      ["et", "x"],
      ["et", "y"],
      ["ex", "1"],
    ]);
    expect(textOf(answer)).not.toMatch(/;lt\b/);
    expect(ask("GET", "/rd-lookup/res").contentFormat).toBe(40);
    expect(lookup("res")).toEqual([{ target: "coap://h/x", attributes: [["rt", "t"]] }]);
  });

  test("LKP-04 LKP-05 LKP-06 LKP-07 LKP-08 LKP-37 targets, anchors and attributes", () => {
    const { register, ask } = serve();
    register(
      "ep=a&base=coap://H:5683/prefix",
      '</a/../Malmö>;rt="b  a";obs;empty="";obs,<coap://Other:5683/a/../b>;anchor="/z"',
    );
    expect(textOf(ask("GET", "/rd-lookup/res"))).toBe(
      '<coap://H:5683/Malmö>;rt="b  a";obs;empty="";obs,<coap://Other:5683/a/../b>;anchor="coap://H:5683/z"',
    );
  });

  test("LKP-24 nothing matches: 2.05, format 40, empty", () => {
    const { ask } = serve();
    for (const kind of ["ep", "res"]) {
      const answer = ask("GET", `/rd-lookup/${kind}?ep=none`);
      expect(codeOf(answer)).toBe("2.05");
      expect(answer.contentFormat).toBe(40);
      expect(answer.payload).toHaveLength(0);
    }
  });

  test.each([
    { name: "page without count", query: "page=1" },
    { name: "page of letters", query: "page=x&count=1" },
    { name: "negative count", query: "count=-1" },
    { name: "count twice", query: "count=1&count=1" },
    { name: "empty count", query: "count=" },
  ])("LKP-28 4.00 with a diagnostic: $name", ({ query }) => {
    const { ask } = serve();
    const answer = ask("GET", `/rd-lookup/ep?${query}`);
    expect(codeOf(answer)).toBe("4.00");
    expect(textOf(answer)).not.toBe("");
  });

  test("LKP-25 LKP-26 LKP-27 LKP-28 LKP-29 pages partition the filtered answer", () => {
    const { register, lookup } = serve();
    for (let at = 0; at < 7; at++) register(`ep=e${at}&et=x`, "</x>");
    register("ep=other");
    const all = lookup("ep", "et=x");
    const pages = [0, 1, 2, 3].map((page) => lookup("ep", `page=${page}&et=x&count=3`));
    expect(pages.map((page) => page.length)).toEqual([3, 3, 1, 0]);
    expect(pages.flat()).toEqual(all);
    expect(lookup("res", "count=2")).toHaveLength(2);
    expect(lookup("res", "count=0")).toHaveLength(0);
  });

  test.each([
    { name: "nothing", accept: undefined, code: "2.05" },
    { name: "link-format", accept: 40, code: "2.05" },
    { name: "JSON", accept: 50, code: "4.06" },
    { name: "CBOR", accept: 60, code: "4.06" },
    { name: "an unknown one", accept: 65_000, code: "4.06" },
  ])("LKP-30 Accept: $name", ({ accept, code }) => {
    const { ask } = serve();
    expect(codeOf(ask("GET", "/rd-lookup/res", accept === undefined ? {} : { accept }))).toBe(code);
  });

  test("LKP-31 linkset+json has the same links with explicit anchors", () => {
    const { register, ask } = serve({ linksetFormat: 65_000 });
    register("ep=a&base=coap://h", '</x>;rt=t,</y>;anchor="/z";rel=describedby');
    const answer = ask("GET", "/rd-lookup/res", { accept: 65_000 });
    expect(answer.contentFormat).toBe(65_000);
    expect(JSON.parse(textOf(answer))).toEqual({
      linkset: [
        { anchor: "coap://h/", hosts: [{ href: "coap://h/x", rt: ["t"] }] },
        { anchor: "coap://h/z", describedby: [{ href: "coap://h/y" }] },
      ],
    });
  });

  test("LKP-32 an answer of many blocks is consistent", async () => {
    const { world, register, lookup } = serve();
    for (let at = 0; at < 100; at++) register(`ep=e${at}`, "</a>;rt=x,</b>;rt=y");
    const answer = await openClient(world).request("GET", "/rd-lookup/res");
    expect(answer.payload.length).toBeGreaterThan(4096);
    expect(textOf(answer).split(",")).toHaveLength(lookup("res").length);
  });

  test("LKP-33 revalidation by ETag: 2.03 while unchanged", () => {
    const { register, ask } = serve();
    register("ep=a");
    const first = ask("GET", "/rd-lookup/ep");
    expect(first.etag).toHaveLength(8);
    const etags = [Uint8Array.of(1), first.etag as Uint8Array];
    const again = ask("GET", "/rd-lookup/ep", { etags });
    expect(codeOf(again)).toBe("2.03");
    expect(again.etag).toEqual(first.etag);
    expect(again.payload).toBeUndefined();
    register("ep=b");
    const changed = ask("GET", "/rd-lookup/ep", { etags });
    expect(codeOf(changed)).toBe("2.05");
    expect(changed.etag).not.toEqual(first.etag);
  });

  test.each(["POST", "PUT", "DELETE", "FETCH", "PATCH", "IPATCH"] as const)("LKP-35 %s is 4.05", (method) => {
    const { ask } = serve();
    expect(codeOf(ask(method, "/rd-lookup/ep"))).toBe("4.05");
    expect(codeOf(ask(method, "/rd-lookup/res", { accept: 51 }))).toBe("4.05");
  });

  test("LKP-36 percent signs in a query are literal", () => {
    const { register, lookup } = serve();
    register("ep=50%25");
    expect(lookup("ep", "ep=50%25")).toHaveLength(1);
    expect(lookup("ep", "ep=50%")).toHaveLength(0);
  });

  test("LKP-34 no zone in any URI, from whatever address a request comes", () => {
    const { register, ask } = serve();
    const from = { address: "fe80::7", zone: "eth0", port: 61_616 };
    register("ep=a", '</x>;anchor="/y"', { from });
    expect(textOf(ask("GET", "/rd-lookup/ep", { from }))).toContain("[fe80::7]:61616");
    expect(textOf(ask("GET", "/rd-lookup/res", { from }))).not.toContain("eth0");
    expect(textOf(ask("GET", "/rd-lookup/ep", { from }))).not.toContain("%");
  });

  test("one link that link format cannot express does not cost the others", () => {
    const { register, directory, lookup } = serve();
    register("ep=a&base=coap://h", "</x>");
    directory.openSource("elsewhere", { authority: "coap://rd" });
    directory.put(
      "elsewhere",
      {
        href: "/r/1",
        ep: "b",
        base: "coap://k",
        attributes: [["bad name", "x"]],
        links: [],
        renewedAtMs: 0,
        expiresAtMs: 9e9,
        expiry: "exact",
      },
      0,
    );
    expect(lookup("ep")).toHaveLength(1);
  });
});

describe("RFC 9176 section 6.2: registrations by href", () => {
  test("LKP-19 LKP-20 path and full URI of a registration are both recognised, on both interfaces", () => {
    const { register, lookup } = serve();
    const location = register("ep=a&base=coap://h", "</x>");
    register("ep=b&base=coap://k", "</y>");
    for (const href of [
      location,
      `${OWN}${location}`,
      `coap://[2001:DB8:23:0::3]:5683${location}`,
      `${OWN}${location.slice(0, -1)}*`,
    ]) {
      expect(lookup("ep", `href=${href}&ep=a`)).toHaveLength(1);
      expect(lookup("res", `href=${href}&ep=a`).map(({ target }) => target)).toEqual(["coap://h/x"]);
    }
    expect(lookup("ep", `href=${OWN}/*`)).toHaveLength(2);
    expect(lookup("res", `provenance=${OWN}${location}`)).toHaveLength(1);
    expect(lookup("res", `provenance=${OWN}/*`)).toHaveLength(2);
  });

  test("LKP-20 the host that the client called is this server's too", () => {
    const { register, lookup } = serve();
    const location = register("ep=a");
    const called = { uriHost: "Rd.Example", uriPort: 61_616 };
    expect(lookup("ep", `href=coap://rd.example:61616${location}`, called)).toHaveLength(1);
    expect(lookup("ep", `href=coap://rd.example${location}`, called)).toHaveLength(0);
    expect(lookup("ep", `href=coap://rd.example:61616${location}`)).toHaveLength(0);
  });

  test("LKP-20 a socket for all addresses answers to those of this machine", () => {
    const { register, lookup } = serve();
    const location = register("ep=a");
    const isAlso = (address: string) => address === "127.0.0.1";
    const wildcard = { local: { address: "::", port: 5683, isAlso } };
    expect(lookup("ep", `href=coap://127.0.0.1${location}`, wildcard)).toHaveLength(1);
    expect(lookup("ep", `href=coap://192.0.2.77${location}`, wildcard)).toHaveLength(0);
  });

  test.each([
    { name: "another host", href: (location: string) => `coap://[2001:db8:23::4]${location}` },
    { name: "another port", href: (location: string) => `${OWN}:61616${location}` },
    { name: "another scheme", href: (location: string) => `coap+tcp://[${DIRECTORY_ADDRESS}]${location}` },
    { name: "unreadable", href: (location: string) => `coap://[::${location}` },
    { name: "with user information", href: (location: string) => `coap://u@h${location}` },
  ])("LKP-20 a registration of $name is not ours", ({ href }) => {
    const { register, lookup } = serve();
    const location = register("ep=a", "</x>");
    expect(lookup("ep", `href=${href(location)}`)).toHaveLength(0);
    expect(lookup("res", `href=${href(location)}`)).toHaveLength(0);
  });

  test("LKP-21 a path criterion does not match the path of a resource", () => {
    const { register, lookup } = serve();
    register("ep=a&base=coap://h", "</x>");
    expect(lookup("res", "href=/x")).toHaveLength(0);
    expect(lookup("ep", "href=/x")).toHaveLength(0);
    expect(lookup("res", "href=coap://h/x")).toHaveLength(1);
  });

  test("LKP-19 resources at the address of the RD itself are found by their URI", () => {
    const { register, lookup } = serve();
    register(`ep=self&base=${OWN}`, "</temp>");
    expect(lookup("res", `href=${OWN}/temp`)).toHaveLength(1);
    expect(lookup("res", `href=${OWN}/*`)).toHaveLength(1);
  });
});

describe("answers that come from elsewhere", () => {
  const source =
    (answer: Awaited<ReturnType<LookupSource>>): LookupSource =>
    async () =>
      answer;

  test("are waited for, with their Max-Age", async () => {
    const link = { target: "coap://rd/reg/1", attributes: [["ep", "a"] as Attribute] };
    const { call } = serve({ source: source({ links: [link], maxAgeS: 7, origin: "forwarded" }) });
    const answer = await call("GET", "/rd-lookup/ep", { observe: 0 });
    expect(textOf(answer)).toBe('<coap://rd/reg/1>;ep="a"');
    expect(answer.maxAgeS).toBe(7);
    expect(answer.observation).toBeUndefined();
  });

  test("a refusal is passed on with its words", async () => {
    const { call } = serve({ source: source({ code: 164, message: "no upstream could be reached: rd-b" }) });
    const answer = await call("GET", "/rd-lookup/ep");
    expect(codeOf(answer)).toBe("5.04");
    expect(textOf(answer)).toContain("rd-b");
  });
});
