import { CODE, CONTENT_FORMAT } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { DEFAULTS, type Following, follow } from "../testing/following.js";
import { PLAIN_RD_URI, PlainRd, type Quirks } from "../testing/plain-rd.js";
import type { AskedResult, UpstreamOptions } from "../types.js";

function setUp(quirks: Quirks = {}, options: Partial<UpstreamOptions> = {}) {
  const world = createVirtualWorld();
  const rd = new PlainRd(world, quirks);
  return { rd, world, follow: () => follow(world, { uri: PLAIN_RD_URI, ...options }) };
}

/** Phases that an upstream went through, and whether anything was removed on the way. */
function watch(lp: Following) {
  const seen = { phases: [] as string[], removed: [] as string[] };
  lp.upstream.onStatus(({ phase }) => seen.phases.push(phase));
  lp.directory.on("source", ({ kind, href }) => {
    if (kind === "removed") seen.removed.push(href);
  });
  return seen;
}

async function ask(lp: Following, items: readonly string[], kind: "ep" | "res" = "ep"): Promise<string[] | string> {
  const answer = lp.upstream.ask(kind, items, {}).then(
    (given) => (given as AskedResult).links.map(({ target }) => target),
    (error: { code: string }) => error.code,
  );
  await lp.world.clock.advance(3 * DEFAULTS.timeoutMs);
  return answer;
}

const DENIALS = [
  { name: "4.04", code: CODE.NOT_FOUND },
  { name: "4.05", code: CODE.METHOD_NOT_ALLOWED },
  { name: "5.01", code: CODE.NOT_IMPLEMENTED },
];
const FILTER = [[{ name: "d", value: "f", isPrefix: true }]];

describe("lookups that were advertised and are not there: the last good state stays", () => {
  test.each(
    DENIALS.flatMap((denial) => [
      { ...denial, how: "polled", quirks: { observe: "ignored" } as Quirks, options: {} },
      { ...denial, how: "observed", quirks: {} as Quirks, options: {} },
      { ...denial, how: "filtered", quirks: {} as Quirks, options: { filters: FILTER } },
    ]),
  )("$name for a minute, $how", async ({ code, quirks, options }) => {
    const { rd, follow, world } = setUp(quirks, { pollMs: 2000, ...options });
    rd.register("n1", { d: "f1" });
    const lp = follow();
    await lp.untilLive();
    await world.clock.advance(1000);
    const seen = watch(lp);
    rd.quirks = { ...quirks, answer: () => ({ code }) };
    rd.failObservations();
    await lp.until(() => lp.upstream.status().phase === "stale", 20_000);
    await world.clock.advance(60_000);
    expect(lp.upstream.status()).toMatchObject({ isComplete: true, phase: "stale" });
    rd.quirks = quirks;
    rd.register("n2", { d: "f2" });
    await lp.untilLive(35_000);
    expect([seen.removed, lp.endpoints()]).toEqual([[], ["n1", "n2"]]);
    expect(lp.held("n1")?.links).toHaveLength(1);
  });

  test("only the resource lookup: registrations and their links stay", async () => {
    const { rd, follow, world } = setUp({}, { pollMs: 10_000 });
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    rd.quirks = { answer: (kind) => (kind === "res" ? { code: CODE.NOT_FOUND } : undefined) };
    rd.failObservations();
    await world.clock.advance(20_000);
    expect(lp.held("n1")?.links).toHaveLength(1);
    expect(lp.upstream.status().capabilities.remarks.join()).toContain("resource lookup");
  });

  test.each(["observed", "polled"] as const)("another RD in its place, with other paths, %s", async (how) => {
    const observe: Quirks = how === "polled" ? { observe: "ignored" } : {};
    const { rd, follow, world } = setUp(observe, { pollMs: 5000 });
    rd.register("old");
    const lp = follow();
    await lp.untilLive();
    await world.clock.advance(1000);
    const seen = watch(lp);
    rd.entries.clear();
    rd.quirks = { ...observe, epPath: ["e"], resPath: ["r"] };
    rd.failObservations();
    await lp.until(() => lp.upstream.status().phase === "stale", 10_000);
    expect([seen.removed, lp.endpoints()]).toEqual([[], ["old"]]);
    rd.register("new");
    await lp.until(() => lp.endpoints().join() === "new", 30_000);
    expect(lp.upstream.status().capabilities.endpointLookup).toBe(`${PLAIN_RD_URI}/e`);
  });

  test("another RD whose empty lookups are at the old paths too: discovery says where to look", async () => {
    const { rd, follow, world } = setUp({}, { pollMs: 5000 });
    rd.register("old");
    const lp = follow();
    await lp.untilLive();
    await world.clock.advance(10_000);
    rd.entries.clear();
    const discovery = '</e>;rt="core.rd-lookup-ep",</r>;rt="core.rd-lookup-res"';
    const at = (path: string) => ({ epPath: [path === "old" ? "endpoint-lookup" : "e"], resPath: ["r"] });
    rd.quirks = { ...at("new"), discovery, alsoAt: ["endpoint-lookup", "resource-lookup"] };
    rd.shuffle();
    await lp.until(() => lp.upstream.status().capabilities.endpointLookup === `${PLAIN_RD_URI}/e`, 30_000);
  });
});

describe("an RD that answers 4.04 where nothing matches", () => {
  const quirks: Quirks = { emptyCode: CODE.NOT_FOUND };

  test("it is believed once it was caught doing so: it may become empty, and full again", async () => {
    const { rd, follow, world } = setUp(quirks, { pollMs: 2000 });
    const href = rd.register("n1");
    rd.register("bare", { links: [] });
    const lp = follow();
    await lp.untilLive();
    expect(lp.held("bare")?.links).toEqual([]);
    expect(lp.held("n1")?.links).toHaveLength(1);
    await world.clock.advance(10_000);
    rd.entries.clear();
    rd.remove(href);
    await lp.until(() => lp.endpoints().length === 0, 30_000);
    await lp.untilLive(30_000);
    rd.register("n2");
    await lp.until(() => lp.endpoints().join() === "n2", 30_000);
  });

  test("found empty, it is not: nothing tells it from one whose lookups are elsewhere", async () => {
    const { rd, follow, world } = setUp(quirks);
    const lp = follow();
    await world.clock.advance(30_000);
    expect(lp.upstream.status()).toMatchObject({ phase: "missing", isComplete: false });
    expect(lp.upstream.status().lastError).toContain("answers 4.04");
    rd.register("n1");
    await lp.untilLive(40_000);
  });

  test("what was proven of one is not believed of another in its place", async () => {
    const { rd, follow, world } = setUp(quirks, { pollMs: 2000 });
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    await world.clock.advance(10_000);
    const seen = watch(lp);
    rd.quirks = { epPath: ["e"], resPath: ["r"], answer: () => ({ code: CODE.NOT_FOUND }) };
    rd.failObservations();
    await world.clock.advance(60_000);
    expect([seen.removed, lp.endpoints()]).toEqual([[], ["n1"]]);
  });
});

describe("an RD that answers 4.04 to a lookup of everything when it is empty, and to no other", () => {
  const MINUTE_MS = 60_000;

  function emptied(quirks: Quirks = {}, options: Partial<UpstreamOptions> = {}) {
    const { rd, world, follow } = setUp({}, { pollMs: 2000, ...options });
    rd.quirks = {
      ...quirks,
      answer: (_, query) => (rd.entries.size === 0 && query.length === 0 ? { code: CODE.NOT_FOUND } : undefined),
    };
    return { rd, world, follow };
  }

  test.each([
    { how: "observed", quirks: {} as Quirks, options: {} },
    { how: "polled", quirks: { observe: "ignored" } as Quirks, options: {} },
    { how: "filtered", quirks: {} as Quirks, options: { filters: FILTER } },
    { how: "registrations cannot be read", quirks: { hasResources: false } as Quirks, options: {} },
  ])(
    "$how: the last good state stays for minutes, then it is empty, and may be full again",
    async ({ quirks, options }) => {
      const { rd, world, follow } = emptied(quirks, options);
      const hrefs = [rd.register("n1", { d: "f1" }), rd.register("n2", { d: "f2" })];
      const lp = follow();
      await lp.untilLive();
      await world.clock.advance(10_000);
      for (const href of hrefs) rd.entries.delete(href);
      rd.failObservations();
      await lp.until(() => lp.upstream.status().phase === "stale", 20_000);
      await world.clock.advance(4 * MINUTE_MS);
      expect([lp.upstream.status().phase === "live", lp.endpoints()]).toEqual([false, ["n1", "n2"]]);
      await lp.until(() => lp.endpoints().length === 0, 3 * MINUTE_MS);
      await lp.untilLive();
      await world.clock.advance(MINUTE_MS);
      expect(lp.upstream.status()).toMatchObject({ phase: "live", isComplete: true, registrations: 0 });
      rd.register("n3", { d: "f3" });
      await lp.until(() => lp.endpoints().join() === "n3", 30_000);
    },
  );

  test("first found empty, by 2.05, it is probed when it has registrations", async () => {
    const { rd, world, follow } = setUp({ observe: "ignored" }, { pollMs: 2000 });
    const lp = follow();
    await lp.untilLive();
    const href = rd.register("n1");
    await lp.until(() => lp.endpoints().join() === "n1", 30_000);
    await world.clock.advance(10_000);
    rd.quirks = { observe: "ignored", emptyCode: CODE.NOT_FOUND };
    rd.remove(href);
    await lp.until(() => lp.endpoints().length === 0, 7 * MINUTE_MS);
  });

  test("while a registration or the resource lookup is there, it is not empty, however long that takes", async () => {
    const { rd, world, follow } = emptied();
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    await world.clock.advance(10_000);
    for (const kind of ["registration", "resource lookup"]) {
      rd.quirks = {
        answer: (asked) => (asked === "ep" || kind === "registration" ? { code: CODE.NOT_FOUND } : undefined),
      };
      rd.failObservations();
      await world.clock.advance(90 * MINUTE_MS);
      expect([kind, lp.upstream.status().phase === "live", lp.endpoints()]).toEqual([kind, false, ["n1"]]);
    }
  });

  test("lookups that have moved are found, and are no sign of emptiness", async () => {
    const { rd, world, follow } = emptied();
    const href = rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    await world.clock.advance(10_000);
    const seen = watch(lp);
    rd.entries.delete(href);
    rd.failObservations();
    await world.clock.advance(4 * MINUTE_MS);
    rd.quirks = { epPath: ["e"], resPath: ["r"], answer: () => ({ code: CODE.NOT_FOUND }) };
    await world.clock.advance(4 * MINUTE_MS);
    expect([seen.removed, lp.endpoints()]).toEqual([[], ["n1"]]);
    rd.quirks = { epPath: ["e"], resPath: ["r"] };
    rd.register("n1");
    await lp.untilLive(60_000);
    expect(lp.endpoints()).toEqual(["n1"]);
  });

  test("where registrations never answered anything but 4.04, that says less, and takes an hour", async () => {
    const { rd, world, follow } = emptied({ hidesResources: true });
    const href = rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    await world.clock.advance(10_000);
    rd.entries.delete(href);
    rd.failObservations();
    await world.clock.advance(55 * MINUTE_MS);
    expect(lp.endpoints()).toEqual(["n1"]);
    await lp.until(() => lp.endpoints().length === 0, 10 * MINUTE_MS);
  });
});

describe("mode forward", () => {
  test.each(DENIALS)(
    "$name of a lookup that is gone is no result, and a reason to discover it again",
    async ({ code }) => {
      const { rd, follow } = setUp({}, { mode: "forward" });
      rd.register("n1");
      const lp = follow();
      await lp.untilLive();
      rd.quirks = { epPath: ["e"], resPath: ["r"], answer: () => ({ code }) };
      expect(await ask(lp, ["ep=n1"])).toBe("UPSTREAM_LOOKUP_GONE");
      expect(await ask(lp, [])).toBe("UPSTREAM_LOOKUP_GONE");
      expect(lp.upstream.status()).toMatchObject({ phase: "stale", lastError: expect.stringContaining("lookup") });
      rd.quirks = { epPath: ["e"], resPath: ["r"] };
      await lp.untilLive(30_000);
      expect(await ask(lp, ["ep=n1"])).toEqual([`${PLAIN_RD_URI}/reg/1/`]);
    },
  );

  test("lookups that go on missing are asked for ever more rarely", async () => {
    const { rd, follow, world } = setUp({}, { mode: "forward" });
    rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    rd.quirks = { answer: () => ({ code: CODE.NOT_FOUND }) };
    await ask(lp, ["ep=n1"]);
    rd.requests.length = 0;
    await world.clock.advance(600_000);
    expect(rd.requests.length).toBeLessThan(80);
    expect(lp.upstream.status().phase).not.toBe("live");
  });

  test("4.04 where nothing matches is an empty answer, as long as the lookup answers others", async () => {
    const { rd, follow } = setUp({ emptyCode: CODE.NOT_FOUND }, { mode: "forward" });
    const href = rd.register("n1");
    const lp = follow();
    await lp.untilLive();
    expect(await ask(lp, ["ep=n2"])).toEqual([]);
    expect(await ask(lp, ["ep=n2"], "res")).toEqual([]);
    expect(lp.upstream.status().phase).toBe("live");
    rd.remove(href);
    expect(await ask(lp, [])).toEqual([]);
    rd.quirks = { epPath: ["e"], resPath: ["r"] };
    rd.register("n2");
    await ask(lp, ["ep=n2"]);
    await lp.untilLive(30_000);
    expect(await ask(lp, ["ep=n2"])).toHaveLength(1);
  });
});

describe("a feed that is not there", () => {
  const paths = { epPath: ["rd-lookup", "ep"], resPath: ["rd-lookup", "res"] };
  const offered = `</rd-lookup/ep>;rt="core.rd-lookup-ep";ct="40 51";tributary-node=x,</rd-lookup/res>;rt="core.rd-lookup-res";ct="40 51";tributary-node=x`;
  const patch = (kind: "ep" | "res") => ({
    code: CODE.CONTENT,
    contentFormat: CONTENT_FORMAT.JSON_PATCH,
    payload: new TextEncoder().encode(
      `[{"op":"replace","path":"","value":{"version":"1-1","complete":true,${
        kind === "ep"
          ? '"registrations":{"/reg/1":{"ep":"n1","base":"coap://n1.example","lt":600,"lt-age":0}}'
          : '"links":{"/reg/1":[{"href":"coap://n1.example/t"}]}'
      }}}]`,
    ),
  });

  test("a node of the project is followed by its feed again as soon as it is back at that address", async () => {
    const { rd, follow, world } = setUp({ ...paths, discovery: offered, answer: patch }, { pollMs: 5000 });
    const lp = follow();
    await lp.untilLive();
    expect(lp.upstream.status().method).toBe("feed");
    const seen = watch(lp);
    // Another program at other paths meanwhile.
    rd.quirks = { epPath: ["e"], resPath: ["r"] };
    rd.register("other");
    await lp.until(() => lp.endpoints().join() === "other", 90_000);
    expect(seen.phases).toContain("stale");
    rd.quirks = { ...paths, discovery: offered, answer: patch };
    rd.failObservations();
    await lp.until(() => lp.upstream.status().method === "feed", 20_000);
    await lp.untilLive();
    await world.clock.advance(1000);
    expect(lp.endpoints()).toEqual(["n1"]);
  });
});
