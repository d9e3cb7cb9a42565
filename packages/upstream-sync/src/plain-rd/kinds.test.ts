import { CODE } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { firstValue, type Link, parseLookupQuery } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { DEFAULTS, type Following, follow } from "../testing/following.js";
import { PLAIN_RD_URI, PlainRd, type Quirks } from "../testing/plain-rd.js";
import type { AskedResult, UpstreamOptions } from "../types.js";

interface Kind {
  readonly name: string;
  readonly quirks: Quirks;
  readonly options?: Partial<UpstreamOptions>;
  /** The endpoint lookup shows its endpoints under these URIs instead of the registration resources. */
  readonly shown?: (ep: string, href: string) => string;
  /** What is left out, by cause; it makes results partial. */
  readonly leftOut?: readonly string[];
  /** Part of a remark to operators. */
  readonly remark?: string;
}

const RD_NAME = "coap://rd.example.com";

/** What Resource Directories that were not written for this project do. */
const KINDS: readonly Kind[] = [
  { name: "like aiocoap's", quirks: {} },
  { name: "without Observe", quirks: { observe: "ignored" } },
  {
    name: "with a default sector",
    quirks: { defaultSector: "local", criteria: "all" },
    options: { defaultSector: "local" },
  },
  { name: "resets queries that it does not like", quirks: { resetOn: ["href=", "rt=core", "provenance", "nobody-"] } },
  { name: "resets every query", quirks: { resetOn: ["href=", "ep=", "count=", "rt=core", "provenance"] } },
  { name: "no Content-Format in what is empty", quirks: { bareEmpty: true } },
  { name: "4.04 where nothing matches", quirks: { emptyCode: CODE.NOT_FOUND } },
  { name: "blocks of 512 bytes", quirks: { blockSize: 512 } },
  { name: "blocks of 16 bytes", quirks: { blockSize: 16 } },
  { name: "the last of several criteria counts", quirks: { criteria: "last" } },
  { name: "all criteria count", quirks: { criteria: "all" } },
  { name: "provenance on request", quirks: { provenance: "on-request", criteria: "all" } },
  { name: "shows ages", quirks: { showsAge: true } },
  { name: "no prefixes", quirks: { hasPrefixes: false } },
  { name: "other paths", quirks: { epPath: ["a", "b", "c"], resPath: ["r", ""] } },
  { name: "a comma at the end", quirks: { write: (text) => (text === "" ? "" : `${text},`) } },
  { name: "newlines after commas", quirks: { write: (text) => text.replaceAll(",<", ",\r\n <") } },
  {
    name: "no commas between links",
    quirks: { write: (text) => text.replaceAll('",<', '"<') },
    remark: "not valid link format",
  },
  { name: "newlines instead of commas", quirks: { write: (text) => text.replaceAll('",<', '"\n<') } },
  { name: "empty attributes", quirks: { write: (text) => text.replaceAll(";rt", ";;rt") } },
  { name: "unquoted values", quirks: { write: (text) => text.replaceAll('"', "") } },
  { name: "con instead of base", quirks: { write: (text) => text.replaceAll("base=", "con=") } },
  { name: "full URIs under the name that it is asked by", quirks: { authority: PLAIN_RD_URI } },
  { name: "full URIs with the default port", quirks: { authority: `${PLAIN_RD_URI}:5683` } },
  { name: "full URIs under another name", quirks: { authority: RD_NAME } },
  {
    name: "full URIs under another name, which is configured",
    quirks: { authority: RD_NAME },
    options: { authorities: ["coap://RD.example.com:5683"] },
  },
  {
    name: "discovery under another name, which is configured",
    quirks: {
      authority: RD_NAME,
      discovery: `<${RD_NAME}/endpoint-lookup/>;rt="core.rd-lookup-ep",<${RD_NAME}/resource-lookup/>;rt="core.rd-lookup-res"`,
    },
    options: { authorities: [RD_NAME] },
  },
  {
    name: "lists endpoints by their base",
    quirks: { listsBases: true, criteria: "all" },
    shown: (ep) => `coap://${ep}.example`,
  },
];

const ENDPOINTS = ["n1", "n2", "n3"];

function setUp({ quirks, options = {} }: Kind, mode: "replicate" | "forward") {
  const world = createVirtualWorld();
  const rd = new PlainRd(world, quirks);
  const hrefs = new Map(ENDPOINTS.map((ep) => [ep, rd.register(ep, { links: ['/t>;rt="temp"', `/${ep}>;if="x"`] })]));
  const lp = follow(world, { uri: PLAIN_RD_URI, mode, ...options });
  return { rd, hrefs, lp, world };
}

/** A lookup as it is answered from the copy, or by the RD. */
async function lookup(lp: Following, mode: string, kind: "ep" | "res", items: readonly string[] = []): Promise<Link[]> {
  if (mode === "forward") {
    const answer = lp.upstream.ask(kind, items, {});
    answer.catch(() => undefined);
    await lp.world.clock.advance(3 * DEFAULTS.timeoutMs);
    return [...((await answer) as AskedResult).links];
  }
  const query = parseLookupQuery(items);
  if (!query.ok) throw new Error(query.message);
  return [...lp.directory.lookup(kind, query.query, lp.world.clock.nowMs())];
}

/** What the copy, or the whole endpoint lookup of the RD, leaves out. */
async function lossesOf(lp: Following, mode: "replicate" | "forward"): Promise<ReadonlyMap<string, unknown>> {
  if (mode === "replicate") return lp.upstream.status().leftOut;
  const answer = lp.upstream.ask("ep", [], {});
  await lp.world.clock.advance(3 * DEFAULTS.timeoutMs);
  return ((await answer) as AskedResult).losses;
}

describe("RDs of many kinds are followed and asked", () => {
  const rows = KINDS.flatMap((kind) => (["replicate", "forward"] as const).map((mode) => ({ ...kind, mode })));

  test.each(rows)("$name, $mode", async ({ mode, shown, remark, leftOut = [], ...kind }) => {
    const { lp, rd, hrefs, world } = setUp({ ...kind }, mode);
    await lp.untilLive(120_000);
    const expected = (eps: readonly string[]) =>
      eps.map((ep) => [ep, shown?.(ep, hrefs.get(ep) ?? "") ?? `${PLAIN_RD_URI}${hrefs.get(ep)}`]).sort();
    const found = async () =>
      (await lookup(lp, mode, "ep")).map((link) => [firstValue(link, "ep"), link.target]).sort();
    expect(await found()).toEqual(expected(ENDPOINTS));
    // What is shown can be asked for by what it is shown as.
    for (const [ep, href] of expected(shown === undefined ? ENDPOINTS : []))
      if (kind.quirks.resetOn === undefined && kind.quirks.criteria !== "last")
        expect((await lookup(lp, mode, "ep", [`href=${href}`])).map((link) => firstValue(link, "ep"))).toEqual([ep]);
    const links = (await lookup(lp, mode, "res")).map(({ target }) => target);
    expect(links.sort()).toEqual(
      ENDPOINTS.flatMap((ep) => [`coap://${ep}.example/${ep}`, `coap://${ep}.example/t`]).sort(),
    );
    for (const link of await lookup(lp, mode, "res")) expect(link.attributes).toHaveLength(1);
    expect([...lp.upstream.status().leftOut.keys()]).toEqual(leftOut);

    hrefs.set("later", rd.register("later", { links: ['/t>;rt="temp"', '/later>;if="x"'] }));
    if (mode === "replicate") await lp.until(() => lp.held("later")?.links.length === 2, 2.4 * DEFAULTS.pollMs + 5000);
    expect(await found()).toEqual(expected([...ENDPOINTS, "later"]));
    rd.remove(hrefs.get("n2") ?? "");
    if (mode === "replicate") await lp.until(() => lp.held("n2") === undefined, 2.4 * DEFAULTS.pollMs + 5000);
    expect(await found()).toEqual(expected(["n1", "n3", "later"]));
    await world.clock.advance(1000);
    if (remark !== undefined) expect(lp.upstream.status().capabilities.remarks.join()).toContain(remark);
    expect([...lp.upstream.status().leftOut.keys()]).toEqual(leftOut);
  });
});

describe("entries that may be registered elsewhere", () => {
  const core = '</endpoint-lookup/>;rt="core.rd-lookup-ep",</resource-lookup/>;rt="core.rd-lookup-res"';
  const OTHER = "<coap://other.example/reg/9>;ep=x;base=coap://x";

  test.each(
    (
      [
        {
          name: "own ones beside those of others",
          quirks: {
            write: (text: string) => text.replace("<coap://n1.example>", OTHER).replace(/^<\/reg/, `${OTHER},</reg`),
          },
          taken: ENDPOINTS,
        },
        {
          name: "others of two authorities",
          quirks: {
            authority: RD_NAME,
            write: (text: string) => text.replace(`<${RD_NAME}/reg/1`, "<coap://two/reg/1"),
          },
          taken: [],
        },
        {
          name: "one authority, of an RD that takes no registrations",
          quirks: { authority: RD_NAME, discovery: core },
          taken: [],
        },
        {
          name: "bases beside registration resources",
          quirks: { write: (text: string) => text.replace("</reg/1/>", "<coap://n1.example>") },
          taken: ["n2", "n3"],
        },
      ] as const
    ).flatMap((row) => (["replicate", "forward"] as const).map((mode) => ({ ...row, mode }))),
  )(
    "$name, $mode: what is not certainly registered there is left out, and reported",
    async ({ quirks, taken, mode }) => {
      const { lp } = setUp({ name: "", quirks }, mode);
      await lp.untilLive(120_000);
      const found = (await lookup(lp, mode, "ep")).map((link) => firstValue(link, "ep"));
      expect(found.sort()).toEqual(taken);
      expect([...lp.upstream.status().leftOut.keys()]).toContain("other-authority");
      if (quirks !== undefined && "authority" in quirks)
        expect(lp.upstream.status().capabilities.remarks.join()).toContain('write authorities: ["coap://');
    },
  );

  test("several endpoints with one base, listed by it, are distinguished by name and sector", async () => {
    const { lp, rd } = setUp({ name: "", quirks: { listsBases: true, criteria: "all" } }, "replicate");
    rd.register("twin", { base: "coap://n1.example", links: ["/twin>"] });
    rd.register("n1", { d: "f", base: "coap://n1.example", links: ["/f>"] });
    await lp.untilLive(120_000);
    const found = (await lookup(lp, "replicate", "ep")).map((link) => [firstValue(link, "ep"), firstValue(link, "d")]);
    expect(found.sort()).toEqual([
      ["n1", undefined],
      ["n1", "f"],
      ["n2", undefined],
      ["n3", undefined],
      ["twin", undefined],
    ]);
    expect(lp.held("twin")?.links.map(({ target }) => target)).toEqual(["coap://n1.example/twin"]);
  });

  test("what is registered at another source is not taken a second time from one that shows it", async () => {
    const { lp, rd } = setUp({ name: "", quirks: { authority: RD_NAME } }, "replicate");
    lp.directory.openSource("local", { authority: null });
    const times = { renewedAtMs: 0, expiresAtMs: Number.POSITIVE_INFINITY, expiry: "exact" as const };
    lp.directory.put("local", { href: "/reg/2/", ep: "n2", base: "coap://n2", attributes: [], links: [], ...times }, 0);
    await lp.until(() => lp.upstream.status().leftOut.has("other-authority"), 60_000);
    expect(lp.endpoints()).toEqual([]);
    expect(rd.entries.size).toBe(3);
  });

  test("what was taken stays, whatever is registered elsewhere since", async () => {
    const { lp, rd } = setUp({ name: "", quirks: { authority: RD_NAME } }, "replicate");
    await lp.untilLive();
    lp.directory.openSource("local", { authority: null });
    const times = { renewedAtMs: 0, expiresAtMs: Number.POSITIVE_INFINITY, expiry: "exact" as const };
    lp.directory.put("local", { href: "/reg/2/", ep: "n2", base: "coap://n2", attributes: [], links: [], ...times }, 0);
    rd.register("later");
    await lp.until(() => lp.held("later") !== undefined, 2.4 * DEFAULTS.pollMs + 5000);
    expect(lp.endpoints()).toEqual(["later", ...ENDPOINTS]);
    expect([...lp.upstream.status().leftOut.keys()]).toEqual([]);
  });

  test("the name of another upstream is not taken for its own", async () => {
    const world = createVirtualWorld();
    const rd = new PlainRd(world, { authority: RD_NAME });
    rd.register("n1");
    const lp = follow(world, { uri: PLAIN_RD_URI }, { isConfigured: (origin) => origin === RD_NAME });
    await lp.untilLive();
    expect(lp.endpoints()).toEqual([]);
    const { leftOut, capabilities } = lp.upstream.status();
    expect([...leftOut.keys()], "they are taken from there").toEqual([]);
    expect(capabilities.remarks.join()).toContain("registrations of other servers that are known here");
  });

  /** Shows one registration of another RD beside its own, with its link. */
  const showsOneOfOther: Quirks = {
    criteria: "all",
    write: (text) =>
      text.includes(';ep="n1"')
        ? `${text},<coap://other.example/reg/9>;ep="o1";base="coap://o1.example"`
        : text.includes("/n1>")
          ? `${text},<coap://o1.example/t>;rt="temp"`
          : text,
  };

  test.each([
    { mode: "replicate", isConfigured: true, leftOut: [] },
    { mode: "replicate", isConfigured: false, leftOut: ["other-authority"] },
    { mode: "forward", isConfigured: true, leftOut: [] },
    { mode: "forward", isConfigured: false, leftOut: ["other-authority"] },
  ] as const)(
    "$mode: a registration of another RD is left out unless that is an upstream ($isConfigured)",
    async ({ mode, isConfigured, leftOut }) => {
      const world = createVirtualWorld();
      const rd = new PlainRd(world, showsOneOfOther);
      for (const ep of ENDPOINTS) rd.register(ep, { links: [`/${ep}>;if="x"`] });
      const rules = { isConfigured: (origin: string) => isConfigured && origin === "coap://other.example" };
      const lp = follow(world, { uri: PLAIN_RD_URI, mode }, rules);
      await lp.untilLive();
      const found = await lookup(lp, mode, "ep");
      expect(found.map((link) => firstValue(link, "ep")).sort()).toEqual(ENDPOINTS);
      await world.clock.advance(2 * DEFAULTS.pollMs);
      expect([...(await lossesOf(lp, mode)).keys()]).toEqual(leftOut);
    },
  );
});
