import { METHOD } from "@tributary/coap-transport";
import { describe, expect, test } from "vitest";
import { Federation, type Host, type Scheme } from "./federation.js";
import { type AnswerKind, MODES, type Mode, PROMISES, UPSTREAM_KINDS, type UpstreamKind } from "./promises.js";

interface Cell {
  readonly mode: Mode;
  readonly kind: UpstreamKind;
  readonly isCohosted: boolean;
  readonly scheme: Scheme;
}

const CELLS: (Cell & { readonly name: string })[] = UPSTREAM_KINDS.flatMap((kind) =>
  [true, false].flatMap((isCohosted) =>
    (["coap", "coap+tcp"] as const).map((scheme) => {
      const name = `${kind} RD, ${isCohosted ? "co-hosted" : "proxy alone"}, ${scheme}`;
      return { name, kind, isCohosted, scheme };
    }),
  ),
).flatMap((cell) => MODES.map((mode) => ({ ...cell, mode, name: `mode ${mode}, ${cell.name}` })));

const SETTINGS: Readonly<Record<Mode, string>> = {
  replicate: "mode: replicate",
  filters: 'filters: ["d=f1"]',
  auto: "mode: auto",
  forward: "mode: forward",
};

/** Lookups by what this mode does with them; in mode `auto`, those of a family are copied once it is frequent. */
function queriesOf(mode: Mode): readonly (readonly [AnswerKind, string])[] {
  if (mode === "replicate") return [["copied", "rt=temp"]];
  if (mode === "forward") return [["asked", "rt=temp"]];
  return [
    ["copied", mode === "filters" ? "d=f1" : "rt=temp"],
    ["asked", mode === "filters" ? "rt=temp" : "d=f1"],
  ];
}

/**
 * A proxy over an RD of the given kind and a Tributary RD. Co-hosted: the proxy is an RD itself, and so is a proxy at each
 * Tributary RD, which follows it in turn.
 */
async function open({ mode, kind, isCohosted, scheme }: Cell, answered?: AnswerKind) {
  const federation = new Federation(scheme);
  const proxyUri = federation.nextUri(2);
  const back = isCohosted ? `\nlookup: { upstreams: [{ name: back, uri: "${proxyUri}", ${SETTINGS[mode]} }] }` : "";
  const rd = `registration: { replicas: ["any"] }${back}`;
  const first = kind === "plain" ? await federation.openPlainRd() : await federation.openNode(rd);
  const second = await federation.openNode(rd);
  const upstreams = [first, second].map(
    ({ uri }, index) => `{ name: u${index}, uri: "${uri}", poll: 20s, ${SETTINGS[mode]} }`,
  );
  const proxy = await federation.openNode(
    `${isCohosted ? 'registration: { replicas: ["any"] }\n' : ""}lookup: { timeout: 2s, upstreams: [${upstreams.join(", ")}] }`,
  );
  await federation.until(() => proxy.node.upstreams().every(({ phase }) => phase === "live"), "both upstreams");
  if (mode === "auto" && answered === "copied") {
    for (let title = 0; title < 8; title++) await federation.lookup(proxy, "res", `rt=temp&title=${title}`);
    await federation.until(
      () => proxy.node.upstreams().every(({ coverage, isComplete }) => isComplete && coverage.length > 0),
      "the family",
    );
  }
  const put = (host: Host, ep: string, more = "") =>
    federation.register(host, `ep=${ep}&d=f1&base=coap://${ep}${more}.example`, "</t>;rt=temp");
  const clear = () => {
    for (const { lookups } of [first, second, proxy]) lookups.length = 0;
  };
  return { federation, first, second, proxy, put, clear };
}

describe.each(CELLS)("$name", (cell) => {
  const { mode, kind, isCohosted } = cell;
  const promises = PROMISES[kind];

  test("LPX-11 LPX-12 what is registered here: the node's own registrations, and no request to anybody", async () => {
    const { federation, first, second, proxy, put, clear } = await open(cell);
    await put(first, "a");
    await put(second, "b");
    const own = isCohosted ? await put(proxy, "own") : undefined;
    await federation.until(
      async () => (await federation.lookup(proxy, "ep", "rt=temp")).targets.length === (isCohosted ? 3 : 2),
      "all",
    );
    // What a plain RD is asked until all is attributed is no part of a lookup.
    await federation.world.clock.advance(5000);
    clear();
    const wanted =
      own === undefined ? { ep: [], res: [] } : { ep: [own.slice(proxy.uri.length)], res: ["coap://own.example/t"] };
    for (const kind of ["ep", "res"] as const) {
      for (const query of [
        "href=/*",
        "provenance=/*",
        "href=/reg/*",
        "provenance=/reg/*&rt=temp",
        "href=/*&count=5&page=0",
      ])
        expect((await federation.lookup(proxy, kind, query)).targets, `${kind}?${query}`).toEqual(wanted[kind]);
      expect((await federation.lookup(proxy, kind, "rt=temp", 1)).targets, "Hop-Limit 1").toEqual(wanted[kind]);
      expect((await federation.lookup(proxy, kind, "href=/reg/none")).targets).toEqual([]);
    }
    expect([first.lookups, second.lookups, proxy.lookups]).toEqual([[], [], []]);
  });

  test.runIf(isCohosted)(
    "LPX-12 what is registered here stays when the endpoint has registered elsewhere since, and its end is notified",
    async () => {
      const { federation, second, proxy, put } = await open(cell);
      const own = (await put(proxy, "m")).slice(proxy.uri.length);
      await federation.world.clock.advance(3000);
      await put(second, "m", "-new");
      await federation.world.clock.advance(3000);
      expect((await federation.lookup(proxy, "ep", "ep=m")).links).toHaveLength(1);
      expect((await federation.lookup(proxy, "ep", "href=/*")).targets).toEqual([own]);
      expect((await federation.lookup(proxy, "res", "ep=m", 1)).targets).toEqual(["coap://m.example/t"]);
      const [aged] = (await federation.lookup(proxy, "ep", "href=/*&lt-age")).links;
      expect(Number(aged?.attributes.find(([name]) => name === "lt-age")?.[1])).toBeGreaterThanOrEqual(6);
      const bodies = federation.observe(proxy, "ep", "href=/*");
      await federation.world.clock.advance(1000);
      await federation.request(proxy, own, { method: METHOD.DELETE });
      await federation.world.clock.advance(1000);
      expect(bodies.map((text) => text.includes(own))).toEqual([true, false]);
      expect((await federation.lookup(proxy, "ep", "href=/*")).targets).toEqual([]);
    },
  );

  test.each(queriesOf(mode))(
    "LPX-11 LPX-13 LPX-14 no loops: one lookup that is %s, %s, costs no more than promised",
    async (answered, query) => {
      const { federation, first, second, proxy, put, clear } = await open(cell, answered);
      await put(first, "a");
      await put(second, "b");
      if (isCohosted) await put(proxy, "own");
      const { freshS, requests } = promises[answered];
      await federation.world.clock.advance(Math.max(freshS, 1) * 1000 + 61_000);
      for (const interfaceKind of ["ep", "res"] as const) {
        clear();
        const { links } = await federation.lookup(proxy, interfaceKind, query);
        expect(links).toHaveLength(isCohosted ? 3 : 2);
        // Readers of a plain RD poll it.
        const asked = (host: Host) => host.lookups.filter((lookup) => lookup.includes(query)).length;
        expect(asked(first)).toBeLessThanOrEqual(requests[interfaceKind]);
        expect(second.lookups.length).toBeLessThanOrEqual(PROMISES.Tributary[answered].requests[interfaceKind]);
        expect(proxy.lookups, "nobody asks back").toEqual([]);
        await federation.world.clock.advance(61_000);
      }
    },
  );

  test.each(queriesOf(mode))(
    "LPX-06 one answer per endpoint after moves, by lookups that are %s, %s",
    async (answered, query) => {
      const { federation, first, second, proxy, put } = await open(cell, answered);
      const { duplicates, freshS } = promises[answered];
      for (const [from, to] of [
        [first, second],
        [second, first],
      ] as const) {
        await put(from, "m", "-old");
        await federation.world.clock.advance(3000);
        const moved = await put(to, "m", "-new");
        // What was answered before is kept for its Max-Age.
        await federation.world.clock.advance(freshS * 1000 + 61_000);
        const ep = await federation.lookup(proxy, "ep", `ep=m&${query}`);
        const res = await federation.lookup(proxy, "res", `ep=m&${query}`);
        expect([ep.links.length, res.links.length], "one on either interface").toEqual([1, 1]);
        const [base] = ep.links[0]?.attributes.filter(([name]) => name === "base").map(([, value]) => value) ?? [];
        expect(res.targets, "of the same registration").toEqual([`${base}/t`]);
        // A plain RD that is asked tells no age: what it has gives way to what is known to be of some age.
        if (duplicates === "newest" || to === second) expect(ep.targets).toEqual([moved]);
      }
    },
  );

  test.each(queriesOf(mode))(
    "LPX-09 LPX-14 freshness, and an upstream that is lost, in lookups that are %s, %s",
    async (answered, query) => {
      const { federation, first, second, proxy, put } = await open(cell, answered);
      await put(second, "b");
      await put(first, "early");
      const { freshS, whenLost } = promises[answered];
      await federation.world.clock.advance(60_000 + freshS * 1000);
      await federation.lookup(proxy, "ep", query);
      await put(first, "late");
      await federation.until(
        async () => (await federation.lookup(proxy, "ep", `${query}`)).links.length === 3,
        "the late one",
        freshS * 1000 + 1000,
      );
      federation.cutOff(first);
      await federation.world.clock.advance(61_000);
      const { links, maxAgeS } = await federation.lookup(proxy, "ep", query);
      // Where filters are, what they hold of it is shown in other lookups as well; here that is all of it.
      const isCopied = answered === "copied" || mode === "filters";
      expect(links).toHaveLength(isCopied ? 3 : 1);
      if (whenLost !== "its copy") expect(maxAgeS).toBeLessThanOrEqual(5);
      expect((await federation.lookup(proxy, "res", query)).links).toHaveLength(isCopied ? 3 : 1);
    },
  );
});
