import { type Link, parseCriterion, parseLookupQuery } from "@tributary/link-model";
import { type LookupContext, type LookupRefusal, type LookupResult, lookupScope } from "@tributary/lookup-interface";
import { createDirectory, type Directory, type LookupInterface } from "@tributary/merge-engine";
import { type Environment, silentLogger } from "@tributary/runtime";
import {
  type Losses,
  type Upstream,
  UpstreamError,
  type UpstreamPlanning,
  type UpstreamStatus,
} from "@tributary/upstream-sync";
import { describe, expect, test } from "vitest";
import { createFederatedLookup, type FederatedLookupOptions } from "./federated-lookup.js";
import { ResponseCache } from "./response-cache.js";

const env: Environment = {
  clock: { nowMs: () => 1000, wallMs: () => 0, setTimer: () => ({ cancel() {} }) },
  random: () => 0.5,
  logger: silentLogger,
};

interface RegistrationRow {
  readonly href: string;
  readonly ep: string;
  readonly d?: string;
  readonly renewedAtMs?: number;
  readonly rt?: string;
}

function fill(directory: Directory, source: string, authority: string | null, rows: readonly RegistrationRow[]): void {
  directory.openSource(source, { authority });
  directory.setConnected(source, true, 0);
  for (const { href, ep, d, renewedAtMs = 0, rt = "t" } of rows) {
    const times = { renewedAtMs, expiresAtMs: 1e9, ltMs: 1e9, expiry: "exact" as const };
    const links = [{ target: `coap://${ep}/s`, attributes: [["rt", rt] as const] }];
    directory.put(
      source,
      { href, ep, ...(d === undefined ? {} : { d }), base: `coap://${ep}`, attributes: [], links, ...times },
      0,
    );
  }
}

/** An RD that is asked: answers with the query code of every RD, and counts what it was asked. */
class AskedUpstream implements Upstream {
  readonly name: string;
  readonly asked: string[][] = [];
  readonly directory = createDirectory();
  state: Partial<UpstreamStatus>;
  capabilities: Partial<UpstreamStatus["capabilities"]> = { provenance: "yes", lifetimeAge: "yes", paging: "yes" };
  isDown = false;
  losses: Losses = new Map();

  constructor(name: string, rows: readonly RegistrationRow[], state: Partial<UpstreamStatus> = {}) {
    this.name = name;
    this.state = {
      mode: "forward",
      phase: "live",
      isComplete: false,
      coverage: [],
      sources: [name],
      replicates: state.coverage ?? [],
      lossyCoverage: [],
      leftOut: new Map(),
      ...state,
    };
    fill(this.directory, "self", `coap://${name}`, rows);
  }

  start(): void {}
  onStatus(): () => void {
    return () => {};
  }
  async close(): Promise<void> {}

  status(): UpstreamStatus {
    return { name: this.name, capabilities: this.capabilities, ...this.state } as UpstreamStatus;
  }
  planning(): UpstreamPlanning {
    return { ...this.status(), countsLookups: false };
  }
  noteLookup(): void {}
  copyUnderWay(): Promise<void> | undefined {
    return undefined;
  }

  async ask(kind: LookupInterface, items: readonly string[], _control: { readonly signal?: AbortSignal } = {}) {
    this.asked.push([...items]);
    if (this.isDown) throw new Error("timed out");
    const parsed = parseLookupQuery(items.filter((item) => item !== "lt-age"));
    if (!parsed.ok) throw new Error(parsed.message);
    const links = [...this.directory.lookup(kind, parsed.query, 1000)];
    const shown = items.includes("lt-age") ? links.map((link) => this.#aged(link)) : links;
    return { links: shown, received: links.length, maxAgeS: 30, bytes: 100, losses: this.losses };
  }

  observe(): never {
    throw new Error("not observed here");
  }

  #aged(link: Link): Link {
    const { renewedAtMs } = this.directory.candidates(ep(link), sector(link))[0] ?? { renewedAtMs: 0 };
    return {
      target: link.target,
      attributes: [...link.attributes, ["lt", "90000"], ["lt-age", String(Math.floor((1000 - renewedAtMs) / 1000))]],
    };
  }
}

const ep = (link: Link) => link.attributes.find(([name]) => name === "ep")?.[1] ?? "";
const sector = (link: Link) => link.attributes.find(([name]) => name === "d")?.[1] ?? undefined;

function ask(kind: LookupInterface, items: string[], hopLimit?: number): LookupContext {
  const parsed = parseLookupQuery(items);
  if (!parsed.ok) throw new Error(parsed.message);
  const request = {
    peer: { address: "192.0.2.1" },
    ...(hopLimit === undefined ? {} : { hopLimit }),
  } as LookupContext["request"];
  return { kind, items, query: parsed.query, scope: lookupScope(request, parsed.query.criteria), request };
}

/** Asks every time. */
function cacheless(concurrency: number): ResponseCache {
  return new ResponseCache(
    { env },
    { concurrency, entries: 0, bytes: 0, staleMs: 0, observeAfter: 0, observations: 0 },
  );
}

function proxy(
  upstreams: readonly Upstream[],
  directory = createDirectory(),
  { concurrency = 4, ...options }: Partial<FederatedLookupOptions> & { readonly concurrency?: number } = {},
) {
  const lookup = createFederatedLookup(
    { directory, upstreams: () => upstreams, env, cache: cacheless(concurrency) },
    { timeoutMs: 1000, onPartial: "serve", ...options },
  );
  return async (kind: LookupInterface, ...items: string[]) => lookup(ask(kind, items));
}

function answered(answer: LookupResult | LookupRefusal): LookupResult & { targets: string[]; all: Link[] } {
  if (!("links" in answer)) throw new Error(answer.message);
  const all = [...answer.links];
  return { ...answer, all, targets: all.map(({ target }) => target) };
}

describe("draft 4.3, a copy that is under way", () => {
  function copying() {
    const upstream = new AskedUpstream("a", [{ href: "/1", ep: "n1" }], { mode: "auto", coverage: [] });
    const directory = createDirectory();
    fill(directory, "a#1", "coap://a", [{ href: "/1", ep: "n1" }]);
    let finish = () => {};
    const copy = new Promise<void>((resolve) => {
      finish = resolve;
    });
    return { upstream: Object.assign(upstream, { copyUnderWay: () => copy }), directory, finish };
  }

  test("is waited for, and answers instead of the upstream", async () => {
    const { upstream, directory, finish } = copying();
    const answer = proxy([upstream], directory)("ep", "ep=n1");
    upstream.state = { ...upstream.state, isComplete: true, coverage: [[parseCriterion("ep=n*")]] };
    finish();
    expect(answered(await answer)).toMatchObject({ origin: "local", targets: ["coap://a/1"] });
    expect(upstream.asked).toEqual([]);
  });

  test("that was given up leaves the lookup to the upstream", async () => {
    const { upstream, directory, finish } = copying();
    directory.closeSource("a#1", 0);
    const answer = proxy([upstream], directory)("ep", "ep=n1");
    finish();
    expect(answered(await answer)).toMatchObject({ origin: "forwarded", targets: ["coap://a/1"] });
  });

  test("is not waited for longer than half of the deadline", async () => {
    const { upstream, directory } = copying();
    const timers: { readonly ms: number; readonly fire: () => void }[] = [];
    const setTimer = (ms: number, fire: () => void) => {
      timers.push({ ms, fire });
      return { cancel() {} };
    };
    const lookup = createFederatedLookup(
      {
        directory,
        upstreams: () => [upstream],
        env: { ...env, clock: { ...env.clock, setTimer } },
        cache: cacheless(1),
      },
      { timeoutMs: 1000, onPartial: "serve" },
    );
    const answer = lookup(ask("ep", ["ep=n1"]));
    expect(timers.map(({ ms }) => ms)).toEqual([500]);
    timers[0]?.fire();
    expect(answered(await answer)).toMatchObject({ origin: "forwarded" });
  });
});

describe("draft 4.4.2, what is registered here", () => {
  const rows = [{ href: "/1", ep: "n1" }];
  const states: Partial<UpstreamStatus>[] = [
    { mode: "replicate", isComplete: true, coverage: [[]] },
    { mode: "replicate", isComplete: true, coverage: [[parseCriterion("d=f1")]] },
    { mode: "auto" },
    { mode: "forward" },
    { mode: "replicate", phase: "stale" },
  ];

  test.each(
    states.flatMap((state) =>
      [["href=/*"], ["href=/reg/1"], ["provenance=/*"], ["provenance=/reg/*", "rt=t"], [], ["count=1", "page=0"]].map(
        (items) => ({ name: `${state.mode} ${state.phase ?? "live"}`, state, items, query: items.join("&") }),
      ),
    ),
  )("LPX-11 LPX-12 never leaves the node, mode $name, query '$query'", ({ state, items }) => {
    for (const isCohosted of [true, false]) {
      const directory = createDirectory();
      fill(directory, "a", "coap://a", rows);
      if (isCohosted) fill(directory, "local", null, [{ href: "/reg/1", ep: "own" }]);
      const upstream = Object.assign(new AskedUpstream("a", rows, state), {
        copyUnderWay: () => new Promise<void>(() => {}),
      });
      const lookup = createFederatedLookup(
        { directory, upstreams: () => [upstream], env, cache: cacheless(1) },
        { timeoutMs: 1, onPartial: "fail", ...(isCohosted ? { ownSource: "local" } : {}) },
      );
      const isByPath = items.some((item) => item.includes("/"));
      for (const kind of ["ep", "res"] as const) {
        const answer = lookup(ask(kind, items, isByPath ? undefined : 1)) as LookupResult;
        const want = isCohosted ? [kind === "ep" ? "/reg/1" : "coap://own/s"] : [];
        expect([...answer.links].map(({ target }) => target)).toEqual(want);
        expect(answer).toMatchObject({ origin: "local", isCacheable: true });
      }
      expect(upstream.asked).toEqual([]);
    }
  });

  test("a proxy below asks RDs for a tier above it, and no other tier", async () => {
    const rd = new AskedUpstream("rd", rows);
    const tier = new AskedUpstream("tier", [{ href: "/1", ep: "n2" }], { isTier: true });
    const lookup = createFederatedLookup(
      { directory: createDirectory(), upstreams: () => [rd, tier], env, cache: cacheless(2) },
      { timeoutMs: 1000, onPartial: "serve" },
    );
    expect(answered(await lookup(ask("ep", ["rt=t"], 2)))).toMatchObject({
      targets: ["coap://rd/1"],
      missing: ["tier"],
    });
    expect(answered(await lookup(ask("ep", ["rt=t"], 16))).targets).toEqual(["coap://rd/1", "coap://tier/1"]);
  });
});

describe("draft 6.2.1, coverage", () => {
  const filters = [[parseCriterion("d=f1")], [parseCriterion("ep=pump*")]];

  test("LPX-13 a covered query costs the upstream nothing and is answered without a promise", () => {
    const directory = createDirectory();
    fill(directory, "a", "coap://a", [{ href: "/1", ep: "n1", d: "f1" }]);
    const upstream = new AskedUpstream("a", [], { mode: "replicate", isComplete: true, coverage: filters });
    const lookup = createFederatedLookup(
      { directory, upstreams: () => [upstream], env, cache: cacheless(1) },
      { timeoutMs: 1, onPartial: "serve" },
    );
    const answer = lookup(ask("ep", ["d=f1", "rt=t"])) as LookupResult;
    expect([...answer.links].map(({ target }) => target)).toEqual(["coap://a/1"]);
    expect(answer.origin).toBe("local");
    expect(upstream.asked).toEqual([]);
  });

  test.each([
    { name: "the sector itself", query: ["d=f1"], asked: 0 },
    { name: "the second conjunction", query: ["ep=pump7", "if=x"], asked: 0 },
    { name: "a prefix of the sector", query: ["d=f*"], asked: 1 },
    { name: "another key", query: ["rt=t"], asked: 1 },
    { name: "everything", query: [], asked: 1 },
  ])("LPX-14 LPX-15 $name asks the upstream $asked times", async ({ query, asked }) => {
    const upstream = new AskedUpstream("a", [], { mode: "replicate", isComplete: true, coverage: filters });
    await proxy([upstream])("res", ...query);
    expect(upstream.asked).toHaveLength(asked);
  });

  test.each([
    { name: "a link attribute", held: "rt=t", query: ["et=x"] },
    { name: "a link attribute, asked for both", held: "rt=t*", query: ["et=x", "rt=u"] },
    { name: "an endpoint attribute", held: "et=x", query: ["rt=t"] },
  ])("LPX-16 a copy by $name does not answer for another attribute: it is forwarded", async ({ held, query }) => {
    const directory = createDirectory();
    fill(directory, "a", "coap://a", [{ href: "/1", ep: "n1" }]);
    const coverage = [[parseCriterion(held)]];
    const upstream = new AskedUpstream("a", [], { mode: "replicate", isComplete: true, coverage });
    await proxy([upstream], directory)("res", ...query);
    expect(upstream.asked).toEqual([[...query, "provenance"]]);
  });

  test("an unfinished copy is not taken for the whole", async () => {
    const upstream = new AskedUpstream("a", [{ href: "/1", ep: "n1" }], {
      mode: "replicate",
      phase: "copying",
      coverage: [[]],
    });
    expect(answered(await proxy([upstream])("ep")).targets).toEqual(["coap://a/1"]);
    expect(upstream.asked).toHaveLength(1);
  });
});

describe("an upstream of which something is left out", () => {
  const lossy = { leftOut: new Map([["no-name" as const, 2]]) };

  test("the answer of its copy is partial: short-lived, and refused where partial answers are", async () => {
    const directory = createDirectory();
    fill(directory, "a", "coap://a", [{ href: "/1", ep: "n1" }]);
    const coverage = [[]];
    const state = { mode: "replicate", isComplete: true, coverage, lossyCoverage: coverage, ...lossy } as const;
    const upstream = new AskedUpstream("a", [], state);
    const answer = answered(await proxy([upstream], directory)("ep"));
    expect(answer).toMatchObject({ targets: ["coap://a/1"], origin: "partial", maxAgeS: 5 });
    expect(await proxy([upstream], directory, { onPartial: "fail" })("ep")).toEqual({
      code: 0xa4,
      message: "upstreams missing: a (left out: 2 no-name)",
    });
  });

  test("only answers from the part of the coverage that misses something are partial", async () => {
    const [floor1, floor2] = [[parseCriterion("d=f1")], [parseCriterion("d=f2")]];
    const state = { mode: "auto", isComplete: true, coverage: [floor1, floor2], lossyCoverage: [floor1] } as const;
    const upstream = new AskedUpstream("a", [], { ...state, ...lossy });
    expect(answered(await proxy([upstream])("ep", "d=f1")).origin).toBe("partial");
    expect(answered(await proxy([upstream])("ep", "d=f2")).origin).toBe("local");
  });

  test("what it answers when it is asked is partial as well, and a cached answer stays so", async () => {
    const upstream = new AskedUpstream("a", [{ href: "/1", ep: "n1" }]);
    upstream.losses = new Map([["malformed", { count: 1, example: "a link" }]]);
    const ask = proxy([upstream]);
    for (const times of [1, 2]) {
      const answer = answered(await ask("ep"));
      expect([times, answer.origin, answer.maxAgeS]).toEqual([times, "partial", 5]);
    }
    expect(await proxy([upstream], createDirectory(), { onPartial: "fail" })("ep")).toEqual({
      code: 0xa4,
      message: "upstreams missing: a (left out: 1 malformed)",
    });
  });
});

describe("draft 4.4, the union", () => {
  test("LPX-05 LPX-14 copy and answers make one answer", async () => {
    const directory = createDirectory();
    fill(directory, "a", "coap://a", [{ href: "/1", ep: "n1" }]);
    const replicated = new AskedUpstream("a", [], { mode: "replicate", isComplete: true, coverage: [[]] });
    const answer = answered(
      await proxy([replicated, new AskedUpstream("b", [{ href: "/9", ep: "n2" }])], directory)("ep"),
    );
    expect(answer.targets).toEqual(["coap://a/1", "coap://b/9"]);
    expect(answer).toMatchObject({ origin: "forwarded", maxAgeS: 30 });
  });

  test("LPX-06 of one endpoint only the registration renewed last is shown, and no age", async () => {
    const older = new AskedUpstream("a", [{ href: "/1", ep: "n", renewedAtMs: -50_000 }]);
    const newer = new AskedUpstream("b", [{ href: "/9", ep: "n", renewedAtMs: 0 }]);
    const answer = answered(await proxy([newer, older])("ep", "ep=n"));
    expect(answer.targets).toEqual(["coap://b/9"]);
    expect(answer.all[0]?.attributes.map(([name]) => name)).not.toContain("lt-age");
  });

  test("a copy's known age competes with a reported one", async () => {
    const directory = createDirectory();
    fill(directory, "a", "coap://a", [{ href: "/1", ep: "n", renewedAtMs: -50_000 }]);
    const replicated = new AskedUpstream("a", [], { mode: "replicate", isComplete: true, coverage: [[]] });
    const asked = new AskedUpstream("b", [{ href: "/9", ep: "n", renewedAtMs: 0 }]);
    expect(answered(await proxy([replicated, asked], directory)("ep")).targets).toEqual(["coap://b/9"]);
  });

  test("equal links of two upstreams are one; provenance is shown on request only", async () => {
    const rows = [{ href: "/1", ep: "n" }];
    const both = [new AskedUpstream("a", rows), new AskedUpstream("b", rows)];
    expect(answered(await proxy(both)("res")).all).toEqual([{ target: "coap://n/s", attributes: [["rt", "t"]] }]);
    expect(answered(await proxy(both)("res", "provenance")).all[0]?.attributes).toContainEqual([
      "provenance",
      "coap://a/1",
    ]);
  });

  test("LKP-26 pages over asked upstreams are disjoint and complete, with count pushed down", async () => {
    const names = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, index) => ({ href: `/${index}`, ep: `${prefix}${index}` }));
    const upstreams = [new AskedUpstream("a", names("x", 5)), new AskedUpstream("b", names("y", 4))];
    const pages = await Promise.all(
      [0, 1, 2, 3, 4].map(async (page) => answered(await proxy(upstreams)("ep", `page=${page}`, "count=2")).targets),
    );
    expect(pages.map((page) => page.length)).toEqual([2, 2, 2, 2, 1]);
    expect(new Set(pages.flat()).size).toBe(9);
    expect(upstreams[0]?.asked[0]).toContain("count=2");
  });

  test("a page stays full when duplicates took places within the pushed-down count", async () => {
    const rows = ["n1", "n2", "n3", "n4"].map((name, index) => ({ href: `/${index}`, ep: name }));
    const upstreams = [new AskedUpstream("a", rows.slice(0, 2)), new AskedUpstream("b", rows)];
    expect(answered(await proxy(upstreams)("ep", "count=3")).targets).toHaveLength(3);
  });
});

describe("draft 6.2, one answer per endpoint", () => {
  const OLD = { href: "/1", ep: "n", renewedAtMs: -50_000, rt: "t" };
  const NEW = { href: "/9", ep: "n", renewedAtMs: 0, rt: "t" };
  const WHOLE = { mode: "replicate", isComplete: true, coverage: [[]] } as const;

  function federation(oldState: Partial<UpstreamStatus>, newState: Partial<UpstreamStatus>, newRow = NEW) {
    const directory = createDirectory();
    const make = (name: string, row: RegistrationRow, state: Partial<UpstreamStatus>) => {
      if (state.mode === "replicate") fill(directory, name, `coap://${name}`, [row]);
      return new AskedUpstream(name, [row], state);
    };
    const upstreams = [make("a", OLD, oldState), make("b", newRow, newState)];
    return { directory, upstreams };
  }

  test.each([
    { name: "forward and forward", older: {}, newer: {} },
    { name: "replicate and forward", older: WHOLE, newer: {} },
    { name: "forward and replicate", older: {}, newer: WHOLE },
    { name: "auto and auto", older: { mode: "auto" }, newer: { mode: "auto" } },
    { name: "auto and replicate", older: { mode: "auto" }, newer: WHOLE },
  ] as const)("LPX-06 both interfaces show the newer registration alone, $name", async ({ older, newer }) => {
    const { upstreams, directory } = federation(older, newer);
    const lookup = proxy(upstreams, directory);
    expect(answered(await lookup("ep", "ep=n")).targets).toEqual(["coap://b/9"]);
    for (const items of [["ep=n"], ["rt=t"], ["rt=t", "count=1"], ["provenance"]])
      expect(answered(await lookup("res", ...items, "provenance")).all, items.join()).toEqual([
        {
          target: "coap://n/s",
          attributes: [
            ["rt", "t"],
            ["provenance", "coap://b/9"],
          ],
        },
      ]);
  });

  test("LPX-06 a newer registration that is copied supersedes although it does not match", async () => {
    const { upstreams, directory } = federation({}, WHOLE, { ...NEW, rt: "other" });
    const lookup = proxy(upstreams, directory);
    expect(answered(await lookup("res", "rt=t")).targets).toEqual([]);
    expect(answered(await lookup("ep", "rt=t")).targets).toEqual([]);
  });

  describe("a newer registration of a copy that is connected, of an RD that is asked", () => {
    const PART = { mode: "replicate", isComplete: true, coverage: [[parseCriterion("d=f1")]] } as const;

    /** What RD b says of itself when it is asked; its copy has the newer registration. */
    function asked(atB: readonly RegistrationRow[], copied: typeof NEW = NEW) {
      const { directory, upstreams } = federation({}, PART, copied);
      return proxy([upstreams[0] as AskedUpstream, new AskedUpstream("b", atB, PART)], directory);
    }

    test.each([["ep"], ["res"]] as const)(
      "LPX-06 does not supersede when the RD does not have it any more, or not yet: %s",
      async (kind) => {
        const target = kind === "ep" ? "coap://a/1" : "coap://n/s";
        expect(answered(await asked([])(kind, "rt=t")).targets).toEqual([target]);
        expect(answered(await asked([])(kind)).targets).toEqual([target]);
      },
    );

    test("LPX-06 does not hide another copy when the RD does not have it", async () => {
      const { directory, upstreams } = federation(WHOLE, PART);
      const lookup = proxy([upstreams[0] as AskedUpstream, new AskedUpstream("b", [], PART)], directory);
      expect(answered(await lookup("ep", "rt=t")).targets).toEqual(["coap://a/1"]);
      expect(answered(await lookup("res", "rt=t", "provenance")).all[0]?.attributes).toContainEqual([
        "provenance",
        "coap://a/1",
      ]);
    });

    test("LPX-06 supersedes when the RD has it, and when it does not match", async () => {
      expect(answered(await asked([NEW])("ep", "rt=t")).targets).toEqual(["coap://b/9"]);
      const other = { ...NEW, rt: "other" };
      expect(answered(await asked([other], other)("ep", "rt=t")).targets).toEqual([]);
      expect(answered(await asked([other], other)("res", "rt=t")).targets).toEqual([]);
    });

    test("LPX-06 supersedes when the RD was asked for the beginning of its list only", async () => {
      const others = [1, 2].map((index) => ({ href: `/${index}`, ep: `m${index}` }));
      const answer = answered(await asked([...others, NEW])("ep", "count=2"));
      expect(answer.targets).not.toContain("coap://a/1");
    });
  });

  test("a resource lookup costs one request on each interface, and with a single origin one in all", async () => {
    const { upstreams, directory } = federation({}, {});
    await proxy(upstreams, directory)("res", "rt=t");
    expect(upstreams.map(({ asked }) => asked)).toEqual([
      [
        ["rt=t", "provenance"],
        ["rt=t", "lt-age"],
      ],
      [
        ["rt=t", "provenance"],
        ["rt=t", "lt-age"],
      ],
    ]);
    const [alone] = federation({}, {}).upstreams as [AskedUpstream];
    await proxy([alone])("res", "rt=t");
    expect(alone.asked).toEqual([["rt=t", "provenance"]]);
  });

  test("endpoints that were cached before a registration are asked for again", async () => {
    const cache = new ResponseCache(
      { env },
      { concurrency: 4, entries: 100, bytes: 1e6, staleMs: 0, observeAfter: 0, observations: 0 },
    );
    const upstreams = [new AskedUpstream("a", []), new AskedUpstream("b", [NEW])];
    const lookup = createFederatedLookup(
      { directory: createDirectory(), upstreams: () => upstreams, env, cache },
      { timeoutMs: 1000, onPartial: "serve" },
    );
    const [a] = upstreams as [AskedUpstream];
    await lookup(ask("ep", ["rt=t"]));
    fill(a.directory, "self", "coap://a", [OLD]);
    const shown = answered(await lookup(ask("res", ["rt=t", "provenance"]))).all;
    expect(shown.map((link) => link.attributes.at(-1))).toEqual([["provenance", "coap://b/9"]]);
    expect(a.asked).toEqual([
      ["rt=t", "lt-age"],
      ["rt=t", "provenance"],
      ["rt=t", "lt-age"],
    ]);
  });

  test("an RD that does not answer for its endpoints makes the answer partial, one that refuses does not", async () => {
    const { upstreams, directory } = federation({}, {});
    const [a] = upstreams as [AskedUpstream];
    const ask = a.ask.bind(a);
    const failing = (error: Error) => async (kind: LookupInterface, items: readonly string[]) => {
      if (kind === "ep") throw error;
      return ask(kind, items);
    };
    a.ask = failing(new UpstreamError("UPSTREAM_TIMEOUT", "silence"));
    expect(answered(await proxy(upstreams, directory)("res", "rt=t"))).toMatchObject({
      missing: ["a"],
      targets: ["coap://n/s"],
    });
    a.ask = failing(new UpstreamError("UPSTREAM_REFUSED", "4.00"));
    const unattributed = answered(await proxy(upstreams, directory)("res", "rt=t"));
    expect([unattributed.origin, unattributed.missing]).toEqual(["forwarded", undefined]);
  });

  test("of an upstream that fails what was copied is shown", async () => {
    const { upstreams, directory } = federation(
      {},
      { mode: "replicate", coverage: [[parseCriterion("d=f1")]], isComplete: true },
    );
    Object.assign(upstreams[1] as AskedUpstream, { isDown: true });
    expect(answered(await proxy(upstreams, directory)("ep", "rt=t"))).toMatchObject({
      targets: ["coap://b/9"],
      missing: ["b"],
    });
  });
});

describe("parts that are missing", () => {
  const up = () => new AskedUpstream("a", [{ href: "/1", ep: "n1" }]);
  const down = () => Object.assign(new AskedUpstream("b", []), { isDown: true });

  test("LPX-14 the rest is served, marked and short-lived", async () => {
    expect(answered(await proxy([up(), down()])("ep"))).toMatchObject({
      targets: ["coap://a/1"],
      origin: "partial",
      missing: ["b"],
      maxAgeS: 5,
    });
  });

  test("with on-partial fail it is 5.04 instead", async () => {
    expect(await proxy([up(), down()], createDirectory(), { onPartial: "fail" })("ep")).toMatchObject({
      code: 164,
      message: expect.stringContaining("b"),
    });
  });

  test("when nothing at all is known it is 5.04", async () => {
    expect(await proxy([down()])("ep")).toMatchObject({ code: 164 });
    const unknown = new AskedUpstream("c", [], { mode: "replicate", phase: "discovering" });
    expect(await proxy([unknown])("ep")).toMatchObject({ code: 164, message: expect.stringContaining("c") });
  });

  test("an upstream that is lost after a part was copied contributes that part", async () => {
    const directory = createDirectory();
    fill(directory, "a", "coap://a", [{ href: "/1", ep: "n1" }]);
    const lost = new AskedUpstream("a", [], { mode: "replicate", phase: "stale", coverage: [[]] });
    expect(answered(await proxy([lost], directory)("ep"))).toMatchObject({
      targets: ["coap://a/1"],
      origin: "partial",
    });
  });

  test("LPX-23 a refused upstream is left out without making answers partial", async () => {
    const refused = new AskedUpstream("self", [], { phase: "refused" });
    expect(answered(await proxy([up(), refused])("ep"))).toMatchObject({ origin: "forwarded" });
    expect(refused.asked).toEqual([]);
  });

  test("every lookup is answered at its deadline, also when upstreams that do not answer take every place", async () => {
    const timers: (() => void)[] = [];
    const setTimer = (_delayMs: number, callback: () => void) => {
      timers.push(callback);
      return { cancel() {} };
    };
    let asked = 0;
    const silent = new AskedUpstream("silent", []);
    silent.ask = (_kind, _items, { signal } = {}) => {
      asked++;
      return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("given up"))));
    };
    const clock = { ...env.clock, setTimer };
    const lookup = createFederatedLookup(
      { directory: createDirectory(), upstreams: () => [silent], env: { ...env, clock }, cache: cacheless(2) },
      { timeoutMs: 1000, onPartial: "serve", ownSource: "local" },
    );
    const answers = Array.from({ length: 5 }, (_, index) => lookup(ask("ep", [`ep=n${index}`])));
    // The last one's deadline comes first: it waits for nobody.
    timers.at(-1)?.();
    expect(await answers.at(-1)).toMatchObject({ origin: "partial", missing: ["silent"] });
    for (const timer of timers) timer();
    expect(await Promise.all(answers)).toHaveLength(5);
    expect(asked, "one whose deadline has passed asks nobody").toBe(2);
  });

  test("no more requests are under way than the limit allows", async () => {
    let running = 0;
    let most = 0;
    const upstreams = Array.from({ length: 8 }, (_, index) => {
      const upstream = new AskedUpstream(`u${index}`, []);
      upstream.ask = async () => {
        most = Math.max(most, ++running);
        await Promise.resolve();
        running--;
        return { links: [], received: 0, maxAgeS: 60, bytes: 0, losses: new Map() };
      };
      return upstream;
    });
    await proxy(upstreams, createDirectory(), { concurrency: 3 })("ep");
    expect(most).toBe(3);
  });
});
