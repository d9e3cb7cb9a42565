import { CODE, CONTENT_FORMAT, METHOD } from "@tributary/coap-transport";
import { parseLinkFormat } from "@tributary/link-model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Federation } from "./federation.ts";
import type { NodePlan } from "./scenario.ts";

const SETTLED_MS = 90_000;

/** RDs `0..rds-1`; each proxy follows some RDs and some proxies, in any topology. */
interface Topology {
  readonly rds: number;
  readonly proxies: readonly { readonly rds: readonly number[]; readonly tiers: readonly number[] }[];
}

type Step =
  | { readonly kind: "register"; readonly ep: number; readonly rd: number; readonly ltS: number }
  | { readonly kind: "remove"; readonly index: number }
  | { readonly kind: "crash"; readonly proxy: number }
  | { readonly kind: "cut"; readonly proxy: number }
  | { readonly kind: "pass"; readonly ms: number };

interface Entry {
  readonly ep: number;
  readonly rd: number;
  readonly path: string;
  atMs: number;
  ltS: number;
}

const rdName = (index: number) => `rd-${index}`;
const proxyName = (index: number) => `lp-${index}`;

class World {
  readonly federation: Federation;
  readonly errors: string[] = [];
  readonly entries: Entry[] = [];
  readonly #topology: Topology;

  constructor(seed: number, topology: Topology) {
    this.#topology = topology;
    const common = { mode: "replicate" as const, clientPort: 0, hasDisk: false };
    const rds: NodePlan[] = Array.from({ length: topology.rds }, (_, index) => ({
      ...common,
      name: rdName(index),
      address: `2001:db8:1::${index + 1}`,
      isRd: true,
      upstreams: null,
    }));
    const proxies: NodePlan[] = topology.proxies.map((proxy, index) => ({
      ...common,
      name: proxyName(index),
      address: `2001:db8:2::${index + 1}`,
      isRd: false,
      upstreams: proxy.rds.map(rdName),
      tiers: proxy.tiers.map(proxyName),
    }));
    this.federation = new Federation(
      { seed, nodes: [...rds, ...proxies], scheme: "coap" },
      {
        note() {},
        violation: (text) => this.errors.push(text),
      },
    );
    this.names = [...rds, ...proxies].map(({ name }) => name);
  }

  readonly names: readonly string[];

  get nowMs(): number {
    return this.federation.world.clock.nowMs();
  }

  advance(ms: number): Promise<void> {
    return this.federation.world.clock.advance(ms);
  }

  async startAll(): Promise<void> {
    for (const name of this.names)
      if (!this.federation.isUp(name)) await this.federation.settled(this.federation.start(name));
  }

  async do(step: Step): Promise<void> {
    switch (step.kind) {
      case "register":
        await this.#register(step.ep, step.rd % this.#topology.rds, step.ltS);
        return;
      case "remove": {
        const entry = this.entries[step.index % Math.max(1, this.entries.length)];
        if (entry === undefined) return;
        await this.#request(METHOD.DELETE, `${this.federation.originOf(rdName(entry.rd))}/${entry.path}`);
        this.entries.splice(this.entries.indexOf(entry), 1);
        return;
      }
      case "crash": {
        const name = proxyName(step.proxy % this.#topology.proxies.length);
        this.federation.crash(name);
        await this.advance(5_000);
        await this.federation.settled(this.federation.start(name));
        return;
      }
      case "cut": {
        // One proxy loses every other node for a while.
        const { network } = this.federation.world;
        const address = `2001:db8:2::${(step.proxy % this.#topology.proxies.length) + 1}`;
        const others = this.#addresses().filter((other) => other !== address);
        network.partition([address], others);
        await this.advance(40_000);
        network.heal();
        this.federation.shieldProbe();
        return;
      }
      case "pass":
        await this.advance(step.ms);
        return;
      default:
        step satisfies never;
    }
  }

  #addresses(): string[] {
    const { rds, proxies } = this.#topology;
    return [
      ...Array.from({ length: rds }, (_, index) => `2001:db8:1::${index + 1}`),
      ...proxies.map((_, index) => `2001:db8:2::${index + 1}`),
    ];
  }

  async #register(ep: number, rd: number, ltS: number): Promise<void> {
    const query = [`ep=n${ep}`, `lt=${ltS}`, `base=coap://n${ep}.example`];
    const uri = `${this.federation.originOf(rdName(rd))}/rd`;
    const { code, locationPath } = await this.#request(METHOD.POST, uri, query, `</t>;title="${this.nowMs}"`);
    if (code !== CODE.CREATED) throw new Error(`refused with ${code}`);
    const path = locationPath.join("/");
    const known = this.entries.findIndex((entry) => entry.rd === rd && entry.ep === ep);
    if (known >= 0) this.entries.splice(known, 1);
    this.entries.push({ ep, rd, path, atMs: this.nowMs, ltS });
    // Registrations of one endpoint are further apart than clocks are known apart.
    await this.advance(3_000);
  }

  /** The RDs that a proxy hears of, by whatever way. */
  #reach(proxy: number, seen = new Set<number>()): Set<number> {
    if (seen.has(proxy)) return new Set();
    seen.add(proxy);
    const { rds, tiers } = this.#topology.proxies[proxy] as Topology["proxies"][number];
    return new Set([...rds, ...tiers.flatMap((tier) => [...this.#reach(tier, seen)])]);
  }

  /** Of each endpoint the registration that was made last among those that live at these RDs. */
  expected(proxy: number): string[] {
    const rds = this.#reach(proxy);
    const newest = new Map<number, Entry>();
    for (const entry of this.entries) {
      const isAlive = entry.atMs + entry.ltS * 1000 > this.nowMs;
      if (!rds.has(entry.rd) || !isAlive) continue;
      const known = newest.get(entry.ep);
      if (known === undefined || known.atMs < entry.atMs) newest.set(entry.ep, entry);
    }
    return [...newest.values()].map(({ rd, path }) => `${this.federation.originOf(rdName(rd))}/${path}`).sort();
  }

  async shown(proxy: number): Promise<string[]> {
    const { code, payload } = await this.#request(
      METHOD.GET,
      `${this.federation.originOf(proxyName(proxy))}/rd-lookup/ep`,
    );
    const parsed = parseLinkFormat(payload);
    if (code !== CODE.CONTENT || !parsed.ok) return [`code ${code}`];
    return parsed.links.map(({ target }) => target).sort();
  }

  /** Changes of what any proxy shows, from now on. */
  countChanges(): () => number {
    let count = 0;
    for (const [index] of this.#topology.proxies.entries())
      this.federation.node(proxyName(index))?.directory.on("visible", () => count++);
    return () => count;
  }

  close(): Promise<void> {
    return this.federation.settled(this.federation.close());
  }

  #request(method: number, uri: string, query: readonly string[] = [], payload?: string) {
    const body =
      payload === undefined
        ? {}
        : { contentFormat: CONTENT_FORMAT.LINK_FORMAT, payload: new TextEncoder().encode(payload) };
    return this.federation.settled(
      this.federation.probe.request({ method, uri, query, ...body }, { timeoutMs: 90_000 }),
    );
  }
}

const topology: fc.Arbitrary<Topology> = fc
  .record({ rds: fc.integer({ min: 1, max: 3 }), count: fc.integer({ min: 2, max: 5 }) })
  .chain(({ rds, count }) =>
    fc.record({
      rds: fc.constant(rds),
      proxies: fc.tuple(
        ...Array.from({ length: count }, (_, self) =>
          fc.record({
            rds: fc.subarray(
              Array.from({ length: rds }, (_, index) => index),
              { maxLength: Math.min(2, rds) },
            ),
            tiers: fc.subarray(
              Array.from({ length: count }, (_, index) => index).filter((index) => index !== self),
              { maxLength: Math.min(3, count - 1) },
            ),
          }),
        ),
      ),
    }),
  );

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("register" as const),
      ep: fc.nat(3),
      rd: fc.nat(2),
      ltS: fc.constantFrom(60, 600, 90_000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("remove" as const), index: fc.nat(10) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const), proxy: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cut" as const), proxy: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(500, 10_000, 50_000) }) },
);

describe("proxies that follow proxies", () => {
  test("in any topology each comes to show what the RDs hold that it hears of, and comes to rest", {
    timeout: 240_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        topology,
        fc.array(step, { minLength: 3, maxLength: 14 }),
        fc.nat(),
        async (plan, steps, seed) => {
          const world = new World(seed, plan);
          try {
            await world.startAll();
            for (const one of steps) await world.do(one);
            await world.advance(SETTLED_MS);
            for (const [index] of plan.proxies.entries()) {
              expect({ proxy: index, shown: await world.shown(index) }).toEqual({
                proxy: index,
                shown: world.expected(index),
              });
            }
            expect(world.errors).toEqual([]);
            const before = world.entries.filter((entry) => entry.atMs + entry.ltS * 1000 > world.nowMs).length;
            const changes = world.countChanges();
            await world.advance(30_000);
            const ended = before - world.entries.filter((entry) => entry.atMs + entry.ltS * 1000 > world.nowMs).length;
            // What ends by itself is the only thing that may change.
            expect(changes()).toBeLessThanOrEqual(ended * plan.proxies.length * 4);
          } finally {
            await world.close();
          }
        },
      ),
      { numRuns: 120 },
    );
  });
});
