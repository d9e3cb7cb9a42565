import { CODE } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { DEFAULTS, type Following, follow } from "../testing/following.js";
import { PLAIN_RD_URI, PlainRd, type Quirks } from "../testing/plain-rd.js";
import type { UpstreamOptions } from "../types.js";

const encode = (text: string) => new TextEncoder().encode(text);

function setUp(quirks: Quirks = {}, options: Partial<UpstreamOptions> = {}) {
  const log: string[] = [];
  const say = (message: string) => log.push(message);
  const world = createVirtualWorld({ logger: { debug() {}, info: say, warn: say, error: say } });
  const rd = new PlainRd(world, quirks);
  return { rd, world, log, follow: () => follow(world, { uri: PLAIN_RD_URI, ...options }) };
}

const targets = (links: readonly { target: string }[] | undefined) => links?.map(({ target }) => target).sort();

describe("an RD like aiocoap's", () => {
  test("DIS-11 LPX-22 it is copied with the links of each registration, and observed", async () => {
    const { rd, follow } = setUp();
    rd.register("n1", { links: ['/t>;rt="temp"', "/h>;obs"], attributes: 'et="oic.d"' });
    rd.register("n2", { d: "f1" });
    rd.register("n3", { links: [] });
    const lp = follow();
    await lp.untilLive();
    expect(lp.endpoints()).toEqual(["n1", "n2", "n3"]);
    expect(lp.held("n1")).toMatchObject({
      href: "/reg/1/",
      shownHref: `${PLAIN_RD_URI}/reg/1/`,
      base: "coap://n1.example",
      attributes: [["et", "oic.d"]],
      expiry: "assumed",
    });
    expect(targets(lp.held("n1")?.links)).toEqual(["coap://n1.example/h", "coap://n1.example/t"]);
    expect(lp.held("n2")).toMatchObject({ d: "f1" });
    expect(lp.held("n3")?.links).toEqual([]);
    await lp.until(() => lp.upstream.status().method === "observe");
    await lp.world.clock.advance(100);
    expect(lp.upstream.status()).toMatchObject({
      isComplete: true,
      wasTried: true,
      capabilities: {
        feed: "no",
        observe: "yes",
        hrefFilter: "yes",
        provenance: "no",
        attribution: "href",
        paging: "no",
        etag: "no",
      },
    });
    expect(lp.directory.isConnected("rd-f")).toBe(true);
  });

  test.each([
    { name: "one registration", endpoints: ["n1"] },
    { name: "three registrations", endpoints: ["n1", "n2", "n3"] },
    { name: "four registrations", endpoints: ["n1", "n2", "n3", "n4"] },
  ])("$name: links of no registration prove nothing against a way of asking", async ({ endpoints }) => {
    const orphans = '<coap://gone.example/t>;rt="temp",<coap://elsewhere.example/x>;anchor="coap://gone.example"';
    const { rd, follow, world } = setUp({
      // Reading the registrations one by one would be no way out.
      hasResources: false,
      write: (text) => (text.includes("/n1>") && !text.includes("ep=") && isWhole ? `${text},${orphans}` : text),
    });
    let isWhole = true;
    const { answer } = rd.quirks;
    rd.quirks = {
      ...rd.quirks,
      answer: (kind, query) => {
        isWhole = kind === "res" && query.length === 0;
        return answer?.(kind, query);
      },
    };
    for (const ep of endpoints) rd.register(ep, { links: [`/${ep}>;if="x"`] });
    const lp = follow();
    await lp.untilLive();
    for (let polls = 0; polls < 4; polls++) {
      const { leftOut, capabilities } = lp.upstream.status();
      expect(capabilities.attribution).toBe("href");
      expect(leftOut.has("no-links")).toBe(false);
      for (const ep of endpoints) expect(targets(lp.held(ep)?.links)).toEqual([`coap://${ep}.example/${ep}`]);
      await world.clock.advance(2 * DEFAULTS.pollMs);
    }
    expect(Object.fromEntries(lp.upstream.status().leftOut)).toEqual({ "no-registration": 2 });
    expect(lp.endpoints()).toEqual(endpoints);
  });

  test("a registration arrives with its notification, at a price that does not depend on the others", async () => {
    const { rd, follow, world } = setUp();
    for (let index = 0; index < 100; index++) rd.register(`n${index}`);
    const lp = follow();
    await lp.untilLive();
    await world.clock.advance(500);
    rd.requests.length = 0;
    rd.register("late", { d: "f2", base: "coap://elsewhere.example" });
    expect(await lp.until(() => lp.held("late")?.links.length === 1)).toBeLessThan(200);
    await world.clock.advance(500);
    expect(rd.requests.filter((request) => request.startsWith("res?")).length).toBeLessThan(5);
  });

  test("links that come from another host than the base are found too", async () => {
    const { rd, follow } = setUp();
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    await lp.world.clock.advance(500);
    rd.register("late", { base: "coap://proxy.example", links: ['/t>;anchor="coap://else.example"'] });
    await lp.until(() => lp.held("late")?.links.length === 1, 500);
  });

  test("a path given to another endpoint is a removal and an addition", async () => {
    const { rd, follow } = setUp();
    const href = rd.register("old", { links: ["/old>"] });
    const lp = follow();
    await lp.untilLive();
    await lp.world.clock.advance(500);
    rd.register("new", { href, links: ["/new>"] });
    await lp.until(() => lp.held("new") !== undefined, 500);
    expect(lp.endpoints()).toEqual(["new"]);
    expect(targets(lp.held("new")?.links)).toEqual(["coap://new.example/new"]);
  });

  test("another order of listing is no change", async () => {
    const { rd, follow } = setUp();
    for (const ep of ["a", "b", "c"]) rd.register(ep);
    const lp = follow();
    await lp.untilLive();
    await lp.world.clock.advance(500);
    let changes = 0;
    lp.directory.on("source", () => changes++);
    rd.shuffle();
    await lp.world.clock.advance(500);
    expect(changes).toBe(0);
  });

  test("links that change without a notification are found by reconciliation", async () => {
    const { rd, follow } = setUp();
    const href = rd.register("n1");
    rd.register("n2");
    const lp = follow();
    await lp.untilLive();
    await lp.world.clock.advance(200_000);
    rd.setLinksSilently(href, ['/t>;rt="temp"', "/more>"]);
    await lp.until(() => lp.held("n1")?.links.length === 2, 2.4 * DEFAULTS.pollMs + 1000);
    expect(lp.held("n2")?.links).toHaveLength(1);
  });

  test("an observation that dies silently when the document outgrows a datagram is made up for", async () => {
    const { rd, follow } = setUp({ maxNotificationBytes: 900 });
    const lp = follow();
    await lp.untilLive();
    for (let index = 0; index < 30; index++) {
      rd.register(`n${index}`);
      await lp.world.clock.advance(100);
    }
    await lp.until(() => lp.endpoints().length === 30, 2.4 * DEFAULTS.pollMs + 1000);
    rd.register("later");
    await lp.until(() => lp.held("later") !== undefined, 2.4 * DEFAULTS.pollMs + 1000);
    expect(lp.upstream.status().phase).toBe("live");
  });

  test("a notification that is cut off takes nothing away", async () => {
    const { rd, follow } = setUp();
    for (const ep of ["a", "b", "c"]) rd.register(ep);
    const lp = follow();
    await lp.untilLive();
    await lp.world.clock.advance(500);
    const removed: string[] = [];
    lp.directory.on("source", ({ kind, href }) => kind === "removed" && removed.push(href));
    rd.notify("ep", '</reg/1/>;ep="a";base="coap://a.example";rt="core.rd-ep",</reg/2/>;ep="b');
    await lp.world.clock.advance(5000);
    expect([removed, lp.endpoints()]).toEqual([[], ["a", "b", "c"]]);
  });

  test("PRV-06 provenance and ages that clients stored are neither believed nor passed on", async () => {
    const { rd, follow } = setUp();
    rd.register("victim", { links: ['/t>;provenance="/reg/1/"'] });
    rd.register("forger", { links: ['/evil>;provenance="/reg/1/";lt-age=1'], attributes: "lt=60;lt-age=3" });
    const lp = follow();
    await lp.untilLive();
    await lp.world.clock.advance(120_000);
    expect(lp.upstream.status().capabilities).toMatchObject({ provenance: "no", attribution: "href" });
    expect(lp.upstream.status().capabilities.lifetimeAge).not.toBe("yes");
    expect(lp.held("victim")?.links).toEqual([{ target: "coap://victim.example/t", attributes: [] }]);
    expect(lp.held("forger")?.links).toEqual([{ target: "coap://forger.example/evil", attributes: [] }]);
    expect(lp.held("forger")?.expiry).toBe("assumed");
  });

  test("LPX-10 it is lost, its records stay; it is back, what it no longer has goes", async () => {
    const { rd, follow } = setUp();
    rd.register("stays");
    const gone = rd.register("goes");
    const lp = follow();
    await lp.untilLive();
    await rd.crash();
    await lp.until(() => lp.upstream.status().phase === "stale", 120_000);
    expect(lp.endpoints()).toEqual(["goes", "stays"]);
    expect(lp.directory.isConnected("rd-f")).toBe(false);
    expect(lp.upstream.status()).toMatchObject({ isComplete: true, phase: "stale" });
    rd.entries.delete(gone);
    rd.start();
    await lp.untilLive(90_000);
    expect(lp.endpoints()).toEqual(["stays"]);
    await lp.world.clock.advance(1000);
    expect(rd.observers).toBe(2);
  });

  test("it dies while it is copied: that is noticed although many questions were left", async () => {
    const { rd, follow, world } = setUp();
    for (let index = 0; index < 300; index++) rd.register(`n${index}`, { base: "coap://shared.example" });
    const lp = follow();
    await lp.until(() => rd.requests.some((request) => request.startsWith("res?href=/reg/20/")));
    world.network.partition(["2001:db8::1"], ["2001:db8::f"]);
    await lp.until(() => lp.upstream.status().phase === "missing", 120_000);
    world.network.heal();
    await lp.untilLive(120_000);
    await lp.until(() => lp.endpoints().length === 300, 120_000);
  });

  test("an observation that ends with an error is taken up again", async () => {
    const { rd, follow } = setUp();
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    await lp.world.clock.advance(1000);
    rd.failObservations();
    await lp.world.clock.advance(500);
    expect(rd.observers).toBe(0);
    await lp.until(() => rd.observers === 2 && lp.upstream.status().method === "observe", 3 * DEFAULTS.pollMs);
    expect(lp.upstream.status().phase).toBe("live");
  });

  test("only what matches a filter is kept, by the exact matcher", async () => {
    const { rd, follow } = setUp({}, { filters: [[{ name: "d", value: "f", isPrefix: true }]] });
    rd.register("in", { d: "f1" });
    rd.register("out", { d: "g1" });
    rd.register("none");
    const lp = follow();
    await lp.untilLive();
    expect(lp.endpoints()).toEqual(["in"]);
  });

  test("lookups that are gone mean that it is another program now, not that it is empty", async () => {
    const { rd, follow } = setUp();
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    let removed = 0;
    lp.directory.on("source", ({ kind }) => {
      if (kind === "removed") removed++;
    });
    rd.quirks = { epPath: ["e"], resPath: ["r"] };
    await lp.until(() => lp.upstream.status().capabilities.endpointLookup === `${PLAIN_RD_URI}/e`, 120_000);
    await lp.untilLive();
    expect([removed, lp.endpoints()]).toEqual([0, ["n1"]]);
  });
});

describe("an RD that is hard to please", () => {
  const grumpy: Quirks = {
    observe: "ignored",
    defaultSector: "local",
    resetOn: ["rt=core", "href=", "provenance"],
    criteria: "all",
    blockSize: 512,
    bareEmpty: true,
    epPath: ["rd-lookup", "ep"],
    resPath: ["rd-lookup", "res"],
  };

  test("it is polled, attributed by name, and its default sector is none", async () => {
    const { rd, follow } = setUp(grumpy, { defaultSector: "local" });
    for (let index = 0; index < 20; index++) rd.register(`n${index}`, index === 3 ? { d: "f1" } : {});
    const lp = follow();
    await lp.untilLive();
    expect(lp.endpoints()).toHaveLength(20);
    expect(lp.held("n1")).not.toHaveProperty("d");
    expect(lp.held("n3")).toMatchObject({ d: "f1" });
    expect(targets(lp.held("n7")?.links)).toEqual(["coap://n7.example/t"]);
    await lp.world.clock.advance(1000);
    expect(lp.upstream.status()).toMatchObject({
      method: "poll",
      capabilities: { observe: "no", hrefFilter: "no", attribution: "ep" },
    });
    rd.register("later");
    await lp.until(() => lp.held("later") !== undefined, 1.2 * DEFAULTS.pollMs + 1000);
  });

  test("an empty one is live, whatever format its nothing has", async () => {
    const lp = setUp(grumpy).follow();
    await lp.untilLive();
    expect(lp.endpoints()).toEqual([]);
  });

  test("with no way to ask for links, the registrations themselves are read", async () => {
    const { rd, follow } = setUp({ ...grumpy, resetOn: ["href=", "provenance", "ep="] });
    rd.register("n1", { links: ['/a>;rt="x"'] });
    rd.register("n2", { links: ["/b>", "/c>"] });
    const lp = follow();
    await lp.untilLive(90_000);
    expect(lp.upstream.status().capabilities.attribution).toBe("resource");
    expect(targets(lp.held("n2")?.links)).toEqual(["coap://n2.example/b", "coap://n2.example/c"]);
  });

  test("a registration without links at the head of the list proves nothing about a way of asking", async () => {
    const { rd, follow } = setUp();
    for (let index = 0; index < 5; index++) rd.register(`bare${index}`, { links: [] });
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    expect(lp.upstream.status().capabilities.attribution).toBe("href");
    expect(lp.held("n1")?.links).toHaveLength(1);
  });

  test("a resource lookup that fails does not mean that it is down", async () => {
    const { rd, follow } = setUp({
      answer: (kind, query) =>
        kind === "res" && query.length === 0 ? { code: CODE.INTERNAL, payload: encode("oops") } : undefined,
    });
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    expect(lp.held("n1")?.links).toHaveLength(1);
    rd.register("n2");
    await lp.until(() => lp.held("n2")?.links.length === 1, 2.4 * DEFAULTS.pollMs + 1000);
  });

  test("entries that cannot be used are left out and reported", async () => {
    const { follow } = setUp({
      answer: (kind, query) =>
        kind === "ep" && query.length === 0
          ? {
              code: CODE.CONTENT,
              contentFormat: 40,
              payload: encode(
                '<coap://other/1>;ep="x";base="coap://x",</2>;ep="y",</3>;base="coap://z",</4>;ep="ok";base="coap://ok"',
              ),
            }
          : undefined,
    });
    const lp = follow();
    await lp.untilLive(90_000);
    expect(lp.endpoints()).toEqual(["ok"]);
    expect(lp.upstream.status().capabilities.remarks).toEqual(
      expect.arrayContaining([
        'the entry <coap://other/1> is registered at another authority; if that is this RD, write authorities: ["coap://other"]',
        "the entry </2> has no base",
        "the entry </3> has no endpoint name",
      ]),
    );
  });

  test("DIS-16 5.03 with Max-Age is left alone for that time", async () => {
    const { rd, follow } = setUp({
      answer: () => ({ code: CODE.UNAVAILABLE, maxAgeS: 200 }),
    });
    const lp = follow();
    await lp.until(() => lp.upstream.status().phase === "missing");
    rd.requests.length = 0;
    await lp.world.clock.advance(199_000);
    expect(rd.requests).toEqual([]);
    rd.quirks = {};
    await lp.untilLive(5000);
  });

  test("DIS-16 a Max-Age of 136 years counts as ten minutes", async () => {
    const { rd, follow } = setUp({ answer: () => ({ code: CODE.UNAVAILABLE, maxAgeS: 4_294_967_295 }) });
    const lp = follow();
    await lp.until(() => lp.upstream.status().phase === "missing");
    rd.quirks = {};
    await lp.world.clock.advance(599_000);
    expect(lp.upstream.status().phase).toBe("missing");
    await lp.untilLive(5000);
  });

  test("DIS-15 one that answers nothing but errors is asked ever more rarely", async () => {
    const { rd, follow, world } = setUp({
      answer: () => ({ code: CODE.INTERNAL }),
    });
    const lp = follow();
    await world.clock.advance(600_000);
    expect(lp.upstream.status().phase).not.toBe("live");
    expect(rd.requests.length).toBeLessThan(60);
  });
});

describe("an RD that answers nonsense", () => {
  const linkFormat = (body: string) => ({ code: CODE.CONTENT, contentFormat: 40, payload: encode(body) });
  const NONSENSE = [
    { name: "bytes that are no text", answer: { ...linkFormat(""), payload: new Uint8Array(500).fill(0xfe) } },
    { name: "no link format", answer: linkFormat("<!DOCTYPE html><title>Hello</title>") },
    { name: "another content format", answer: { ...linkFormat("[]"), contentFormat: 50 } },
    { name: "5 MB of one link that never ends", answer: linkFormat(`<${"a".repeat(5_000_000)}`) },
    { name: "5 MB of quotation marks", answer: linkFormat(`</a>;x=${'"'.repeat(4_999_999)}`) },
  ];

  test.each(NONSENSE)("$name: nothing is taken away, it is counted, and over when it is over", async ({ answer }) => {
    const { rd, follow } = setUp();
    const href = rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    rd.quirks = { answer: () => answer };
    await lp.until(() => lp.upstream.status().rejected.size > 0, 120_000);
    await lp.world.clock.advance(60_000);
    expect(lp.endpoints()).toEqual(["n1"]);
    expect(lp.upstream.status().capabilities.remarks.length).toBeLessThanOrEqual(16);
    rd.quirks = {};
    rd.remove(href);
    rd.register("n2");
    await lp.until(() => lp.endpoints().join() === "n2", 120_000);
    await lp.untilLive();
  });

  const ENTRY = '</reg/1>;ep="a";base="coap://a.example";rt="core.rd-ep"';
  const LINK = '<coap://a.example/t>;rt="temp"';
  test.each([
    { name: "an entry without name", ep: `${ENTRY},</reg/2>;base="coap://b.example"`, want: { "no-name": 1 } },
    { name: "an entry without base", ep: `${ENTRY},</reg/2>;ep="b"`, want: { "no-base": 1 } },
    { name: "rubbish", ep: `${ENTRY},<a b>,<c d>`, want: { malformed: 2 } },
    { name: "a document that is cut off", ep: `${ENTRY},</reg/2`, want: { "cut-off": 1 } },
    {
      name: "entries of another authority",
      ep: `${ENTRY},<coap://rd.example/reg/2>;ep="b";base="coap://b.example"`,
      want: { "other-authority": 1 },
    },
  ])("$name is left out, and is said as long as it is so", async ({ ep, want }) => {
    const documents = { ep, res: LINK };
    const { follow, log } = setUp({
      observe: "ignored",
      answer: (kind) => linkFormat(documents[kind]),
    });
    const lp = follow();
    await lp.untilLive();
    expect(lp.endpoints()).toEqual(["a"]);
    const status = () => lp.upstream.status();
    expect(Object.fromEntries(status().leftOut)).toEqual(want);
    expect(status().lossyCoverage).toEqual([[]]);
    const logged = () => log.filter((message) => message === "part of the upstream is left out").length;
    expect(logged()).toBe(1);
    await lp.world.clock.advance(10 * DEFAULTS.pollMs);
    expect(logged()).toBe(1);
    const [counted] = status().rejected.values();
    expect(counted).toBe(Object.values(want)[0]);
    documents.ep = ENTRY;
    await lp.until(() => status().leftOut.size === 0, 10 * DEFAULTS.pollMs);
    expect(status().lossyCoverage).toEqual([]);
  });

  test("links of no registration are left out, and links that it does not list are not", async () => {
    const { rd, follow } = setUp({ observe: "ignored" });
    for (let index = 0; index < 5; index++) rd.register(`n${index}`);
    let more = ",<coap://z.example/t>";
    rd.quirks = {
      observe: "ignored",
      answer: (kind, query) =>
        kind === "res" && query.length === 0 ? linkFormat(rd.document("res", []) + more) : undefined,
    };
    const lp = follow();
    await lp.untilLive();
    expect(Object.fromEntries(lp.upstream.status().leftOut)).toEqual({ "no-registration": 1 });
    more = "";
    await lp.until(() => lp.upstream.status().leftOut.size === 0, 10 * DEFAULTS.pollMs);
    expect(lp.endpoints()).toHaveLength(5);
  });

  test("nothing at all: it is stale within a heartbeat, and copied when it speaks again", async () => {
    const { rd, follow } = setUp({ observe: "ignored" });
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    rd.quirks = { observe: "ignored", silentOn: [""] };
    await lp.until(() => lp.upstream.status().phase === "stale", 2 * DEFAULTS.pollMs + 15_000);
    expect(lp.endpoints()).toEqual(["n1"]);
    rd.quirks = { observe: "ignored" };
    rd.register("n2");
    await lp.until(() => lp.endpoints().length === 2, 60_000);
  });

  const FEED = `</rd-lookup/ep>;rt="core.rd-lookup-ep";ct="40 51";obs;tributary-node="other",</rd-lookup/res>;rt="core.rd-lookup-res";ct="40 51";obs;tributary-node="other"`;
  const patch = (text: string) => ({ code: CODE.CONTENT, contentFormat: 51, payload: encode(text) });
  const fresh = (members: string) => patch(`[{"op":"replace","path":"","value":{${members}}}]`);

  test.each([
    { name: "no JSON", answer: patch("<</a>>") },
    { name: "JSON that is no patch", answer: patch('{"version":"1-1"}') },
    { name: "a version that is none", answer: fresh('"version":"x","complete":true,"registrations":{},"links":{}') },
    { name: "a patch of the prototype", answer: patch('[{"op":"add","path":"/__proto__/x","value":1}]') },
    { name: "5 MB of one patch", answer: patch(`[{"op":"replace","path":"","value":"${"a".repeat(5_000_000)}"}]`) },
    { name: "50,000 nested arrays", answer: patch("[".repeat(50_000)) },
  ])("a feed that is $name is counted and asked for again, not too often", async ({ answer }) => {
    const { rd, follow, world } = setUp({
      discovery: FEED,
      epPath: ["rd-lookup", "ep"],
      resPath: ["rd-lookup", "res"],
      answer: () => answer,
    });
    const lp = follow();
    await world.clock.advance(60_000);
    const { rejected, phase } = lp.upstream.status();
    expect(Math.max(...rejected.values())).toBeGreaterThan(2);
    expect(phase).not.toBe("live");
    expect(rd.requests.length).toBeLessThan(120);
    rd.quirks = {
      discovery: FEED,
      epPath: ["rd-lookup", "ep"],
      resPath: ["rd-lookup", "res"],
      answer: (kind) => fresh(`"version":"1-1","complete":true,"${kind === "ep" ? "registrations" : "links"}":{}`),
    };
    await lp.untilLive(60_000);
  });
});

describe("an RD with the draft's extensions", () => {
  test("PRV-05 provenance that it generates attributes everything in one answer", async () => {
    const { rd, follow } = setUp({ provenance: "on-request" });
    for (let index = 0; index < 50; index++) rd.register(`n${index}`, { links: ["/a>", "/b>"] });
    const lp = follow();
    await lp.untilLive();
    expect(lp.upstream.status().capabilities).toMatchObject({ provenance: "yes", attribution: "provenance" });
    expect(targets(lp.held("n30")?.links)).toEqual(["coap://n30.example/a", "coap://n30.example/b"]);
    expect(rd.requests.filter((request) => request.startsWith("res?href")).length).toBeLessThan(10);
  });

  test("AGE-02 ages count once they were seen to advance; a later reading alone is no renewal", async () => {
    const { rd, follow, world } = setUp({ showsAge: true });
    const href = rd.register("n1");
    await world.clock.advance(5000);
    const lp = follow();
    await lp.untilLive();
    expect(lp.held("n1")?.expiry).toBe("assumed");
    await lp.until(() => lp.held("n1")?.expiry === "exact", 120_000);
    expect(lp.upstream.status().capabilities.lifetimeAge).toBe("yes");
    expect(Math.abs((lp.held("n1")?.renewedAtMs ?? -1) - 0)).toBeLessThanOrEqual(1500);
    expect(Math.abs((lp.held("n1")?.expiresAtMs ?? -1) - 1_000_000)).toBeLessThanOrEqual(1500);
    let changes = 0;
    lp.directory.on("source", () => changes++);
    await world.clock.advance(180_000);
    expect(changes).toBe(0);
    (rd.entries.get(href) as { renewedAtMs: number }).renewedAtMs = world.clock.nowMs();
    await lp.until(() => changes > 0, 2.4 * DEFAULTS.pollMs + 1000);
    expect(world.clock.nowMs() - (lp.held("n1")?.renewedAtMs ?? 0)).toBeLessThan(80_000);
  });
});

describe("an RD that changes while it is followed", () => {
  test("lookups that have moved are found, although the old ones go on answering", async () => {
    const { rd, follow } = setUp();
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    // As after a garbled discovery: what is followed answers, and holds nothing new.
    rd.quirks = { ...rd.quirks, epPath: ["e"], resPath: ["r"], alsoAt: ["endpoint-lookup", "resource-lookup"] };
    await lp.until(() => lp.upstream.status().capabilities.endpointLookup === `${PLAIN_RD_URI}/e`, 1_200_000);
    await lp.untilLive();
    expect(lp.endpoints()).toEqual(["n1"]);
  });

  test("a feed that it has come to give is taken, and its records stay meanwhile", async () => {
    const paths = { epPath: ["rd-lookup", "ep"], resPath: ["rd-lookup", "res"] };
    const { rd, follow } = setUp(paths);
    const href = rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    let removed = 0;
    lp.directory.on("source", ({ kind }) => {
      if (kind === "removed") removed++;
    });
    const discovery = `</rd-lookup/ep>;rt="core.rd-lookup-ep";ct="40 51",</rd-lookup/res>;rt="core.rd-lookup-res";ct="40 51"`;
    const entry = {
      ep: '{"ep":"n1","base":"coap://n1.example","lt":60,"lt-age":0}',
      res: '[{"href":"coap://n1.example/t"}]',
    };
    const member = { ep: "registrations", res: "links" };
    rd.quirks = {
      ...paths,
      discovery,
      answer: (kind) => ({
        code: CODE.CONTENT,
        contentFormat: 51,
        payload: encode(
          `[{"op":"replace","path":"","value":{"version":"1-1","complete":true,"${member[kind]}":{"${href}":${entry[kind]}}}}]`,
        ),
      }),
    };
    await lp.until(() => lp.upstream.status().method === "feed", 1_200_000);
    await lp.untilLive();
    expect(lp.held("n1")?.ltMs).toBe(60_000);
    expect(removed).toBe(0);
  });
});

describe("the end", () => {
  test("closing ends the observations and forgets the records, unless they are to stay", async () => {
    const { rd, follow, world } = setUp();
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    await world.clock.advance(1000);
    const closing = lp.upstream.close();
    await world.clock.advance(1000);
    await closing;
    expect([rd.observers, lp.directory.sources()]).toEqual([0, []]);
    const before = rd.requests.length;
    await world.clock.advance(600_000);
    expect(rd.requests.length).toBe(before);
  });

  test("with keepCopy its records stay", async () => {
    const { rd, follow, world } = setUp();
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    const closing = lp.upstream.close({ keepCopy: true });
    await world.clock.advance(15_000);
    await closing;
    expect(lp.endpoints()).toEqual(["n1"]);
  });
});

describe("an RD whose lookups are not where discovery said", () => {
  test("one that answers 4.04 where endpoints should be, and shows links, never counts as empty", async () => {
    const right = '</resource-lookup/>;rt="core.rd-lookup-res",</endpoint-lookup/>;rt="core.rd-lookup-ep"';
    const { rd, follow } = setUp({ discovery: right.replace("endpoint-lookup", "gone") });
    rd.register("n1");
    const lp = follow();
    await lp.world.clock.advance(60_000);
    expect(lp.upstream.status()).toMatchObject({ phase: "missing", isComplete: false });
    rd.quirks = { ...rd.quirks, discovery: right };
    await lp.untilLive(60_000);
    expect(lp.endpoints()).toEqual(["n1"]);
  });
});

describe("values that end in a star", () => {
  const own = (lp: Following) =>
    Object.fromEntries(lp.endpoints().map((ep) => [ep, targets(lp.held(ep)?.links)?.map((uri) => uri.slice(-2))]));

  test.each<{ name: string; quirks: Quirks }>([
    { name: "attributed by name", quirks: { resetOn: ["href=", "provenance"], criteria: "all" } },
    { name: "attributed by path", quirks: {} },
    {
      name: "attributed by name, where prefixes are unknown",
      quirks: { resetOn: ["href=", "provenance"], criteria: "all", hasPrefixes: false },
    },
  ])("endpoints with such names have their own links alone: $name", async ({ quirks }) => {
    const { rd, follow } = setUp(quirks);
    rd.register("s*", { links: ["/1>"] });
    rd.register("sb", { links: ["/2>"] });
    rd.register("sc", { links: ["/3>"] });
    rd.register("s*x", { links: ["/4>"] });
    rd.register("*", { links: ["/5>"] });
    rd.register("td", { links: ["/6>"] });
    const lp = follow();
    await lp.untilLive();
    expect(own(lp)).toEqual({ "s*": ["/1"], sb: ["/2"], sc: ["/3"], "s*x": ["/4"], "*": ["/5"], td: ["/6"] });
    rd.register("t*", { links: ["/7>"] });
    await lp.until(() => lp.held("t*")?.links.length === 1, 2.4 * DEFAULTS.pollMs + 1000);
    await lp.world.clock.advance(60_000);
    expect(own(lp)).toMatchObject({ "t*": ["/7"], td: ["/6"], sb: ["/2"] });
  });

  test("what a way of asking found that turned out to be wrong is taken back", async () => {
    const isWrong = { now: false };
    const { rd, follow, world } = setUp({
      resetOn: ["href=", "provenance"],
      criteria: "all",
      hasResources: false,
      answer: (kind, query) =>
        isWrong.now && kind === "res" && query.length > 0
          ? { code: CODE.CONTENT, contentFormat: 40, payload: encode(rd.document("res", [])) }
          : undefined,
    });
    for (const ep of ["a", "b", "c"]) rd.register(ep);
    const lp = follow();
    await lp.untilLive();
    isWrong.now = true;
    rd.register("d");
    await lp.until(() => lp.held("d") !== undefined, 2.4 * DEFAULTS.pollMs + 1000);
    await world.clock.advance(2.4 * DEFAULTS.pollMs);
    expect(lp.endpoints()).toEqual(["a", "b", "c", "d"]);
    for (const ep of lp.endpoints())
      for (const { target } of lp.held(ep)?.links ?? []) expect(target).toBe(`coap://${ep}.example/t`);
  });
});
