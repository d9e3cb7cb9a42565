import type { Random } from "@tributary/runtime";
import { seededRandom } from "@tributary/runtime/testing";

/** What nodes and endpoints speak to each other. */
export type Scheme = "coap" | "coap+tcp";

/** How a proxy follows RDs; `filters` copies what is in one sector. */
export type Mode = "replicate" | "filters" | "auto" | "forward";
/** Sector that proxies with filters copy. */
export const FILTERED_SECTOR = "north";

export interface NodePlan {
  readonly name: string;
  readonly address: string;
  readonly isRd: boolean;
  /** Names of the RDs that it follows; null: it is no lookup proxy. */
  readonly upstreams: readonly string[] | null;
  /** Names of the lookup proxies that it follows as such. */
  readonly tiers?: readonly string[];
  /** How it follows RDs. */
  readonly mode: Mode;
  /** Port of its requests; 0: another one with each start. A fixed one meets what its predecessor left behind. */
  readonly clientPort: number;
  /** Keeps its registrations and replicas on disk. */
  readonly hasDisk: boolean;
  /** By how much its wall clock is ahead of the others, ms. Default 0. */
  readonly wallErrorMs?: number;
  /** Bytes of memory for what it holds of registrations, its own and those of others. Absent: as much as it needs. */
  readonly memory?: number;
}

export interface EndpointPlan {
  readonly ep: string;
  readonly d: string | undefined;
  readonly address: string;
  readonly isBaseExplicit: boolean;
}

/** Something to do. `endpoint` is an index into the plan's endpoints; other names are those of nodes. */
export type Deed =
  | {
      readonly kind: "register";
      readonly endpoint: number;
      readonly rd: string;
      readonly ltS: number;
      readonly et: string;
      readonly links: string;
    }
  | { readonly kind: "renew"; readonly endpoint: number; readonly rd: string; readonly ltS: number | undefined }
  | { readonly kind: "remove"; readonly endpoint: number; readonly rd: string }
  | {
      readonly kind: "weather";
      readonly loss: number;
      readonly duplication: number;
      readonly delayMs: number;
      readonly jitterMs: number;
    }
  | { readonly kind: "partition"; readonly sides: readonly (readonly string[])[] }
  | { readonly kind: "cut"; readonly from: string; readonly to: string }
  | { readonly kind: "slow"; readonly from: string; readonly to: string; readonly delayMs: number }
  | { readonly kind: "heal" }
  | { readonly kind: "crash"; readonly node: string; readonly isDiskLost: boolean }
  | { readonly kind: "start"; readonly node: string }
  | { readonly kind: "wall-jump"; readonly node: string; readonly ms: number }
  | { readonly kind: "probe"; readonly lp: string };

export interface TimedDeed {
  /** After the beginning of the episode. */
  readonly atMs: number;
  readonly deed: Deed;
}

/** Things happen, faults among them; then everything is healed, and the answers are compared with the oracle's. */
export interface Episode {
  readonly lengthMs: number;
  readonly deeds: readonly TimedDeed[];
}

export interface Plan {
  readonly seed: number;
  readonly scheme: Scheme;
  readonly nodes: readonly NodePlan[];
  readonly endpoints: readonly EndpointPlan[];
  readonly episodes: readonly Episode[];
  /** Renewals at different RDs that are further apart are distinguished by every proxy, ms. */
  readonly clockErrorMs: number;
}

export interface ScenarioSize {
  readonly rds: readonly [number, number];
  readonly lps: readonly [number, number];
  readonly endpoints: readonly [number, number];
  readonly episodes: readonly [number, number];
}

export const SMALL: ScenarioSize = { rds: [2, 4], lps: [2, 3], endpoints: [3, 16], episodes: [1, 2] };
export const FULL: ScenarioSize = { rds: [3, 5], lps: [2, 4], endpoints: [20, 200], episodes: [1, 3] };

/** What comes next in the life of an endpoint comes so much later, unless it moves again at once. */
const MOVE_SPACING_MS = 3_000;
/** How soon an endpoint may move again: within what a proxy can know of a clock. */
const HASTY_MOVES_MS = [0, 1, 5, 5, 5, 20, 200] as const;
/** From a renewal to its acknowledgement, which is what is seen of it: what it takes to keep it. */
const ACKNOWLEDGING_MS = 5;
/** What clocks that are brought together may still differ by. */
const BROUGHT_TOGETHER_MS = 1_500;
/** Room for a few registrations of every RD, bytes. */
const LEAST_MEMORY = 24_000;
const SECTORS = [undefined, undefined, "north", "south"] as const;
export const ENDPOINT_TYPES = ["urn:ex:lamp", "urn:ex:meter", "urn:ex:gate"] as const;
export const RESOURCE_TYPES = ["temperature", "light", "door"] as const;

/** The world and what happens in it: a function of the seed. */
export function createPlan(seed: number, size: ScenarioSize = SMALL, scheme: Scheme = "coap"): Plan {
  const dice = new Dice(seededRandom(seed * 7919 + 17));
  const errors = dice.pick(CLOCKS);
  const planned = planNodes(dice, size).map((node) => ({ ...node, wallErrorMs: errors(dice) }));
  const endpoints = planEndpoints(dice, dice.within(size.endpoints));
  const revision = { next: 1 };
  const episodes = Array.from({ length: dice.within(size.episodes) }, () =>
    planEpisode(dice, planned, endpoints, revision),
  );
  const ambush = planAmbush(new Dice(seededRandom(seed * 15_485_863 + 3)), planned, revision);
  if (ambush !== null) episodes.push(ambush);
  // Dice of their own: what happens besides is the same with and without budgets.
  const nodes = planBudgets(new Dice(seededRandom(seed * 104_729 + 5)), planned, endpoints.length);
  const wallErrors = planned.map(({ wallErrorMs }) => wallErrorMs);
  const spreadMs = Math.max(...wallErrors) - Math.min(...wallErrors);
  const isStepped = episodes.some(({ deeds }) => deeds.some(({ deed }) => deed.kind === "wall-jump"));
  const clockErrorMs = isStepped ? BROUGHT_TOGETHER_MS : Math.min(spreadMs, BROUGHT_TOGETHER_MS);
  return { seed, scheme, nodes, endpoints, episodes, clockErrorMs: clockErrorMs + ACKNOWLEDGING_MS };
}

/** Errors of wall clocks, ms: none, those of NTP, those of people, those of devices that never heard of either. */
const CLOCKS: readonly ((dice: Dice) => number)[] = [
  () => 0,
  () => 0,
  (dice) => dice.within([-20, 20]),
  (dice) => dice.within([-400, 400]),
  (dice) => dice.within([-5_000, 5_000]),
  (dice) => (dice.chance(0.3) ? dice.within([-3_600_000, 3_600_000]) : 0),
  (dice) => (dice.chance(0.3) ? -50 * 365 * 86_400_000 : dice.within([-50, 50])),
];

class Dice {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** A whole number from `least` to `most`, both included. */
  within([least, most]: readonly [number, number]): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }
}

function planNodes(dice: Dice, size: ScenarioSize): NodePlan[] {
  const rds = Array.from({ length: dice.within(size.rds) }, (_, index) => `rd-${index + 1}`);
  const clientPort = () => (dice.chance(0.5) ? 0 : 40_000);
  const shareWithDisk = dice.pick([0, 0.5, 1]);
  const disks = () => dice.chance(shareWithDisk);
  const cohosted = new Set(rds.filter(() => dice.chance(0.35)));
  const nodes: NodePlan[] = rds.map((name, index) => {
    const others = rds.filter((other) => other !== name);
    return {
      name,
      address: `2001:db8:1::${index + 1}`,
      isRd: true,
      ...(cohosted.has(name) ? planFollowing(dice, others) : { upstreams: null, mode: "replicate" as const }),
      clientPort: clientPort(),
      hasDisk: disks(),
    };
  });
  for (let index = 1, count = dice.within(size.lps); index <= count; index++) {
    const some = rds.filter(() => dice.chance(0.7));
    const following = planFollowing(dice, dice.chance(0.7) || some.length === 0 ? rds : some);
    nodes.push({
      name: `lp-${index}`,
      address: `2001:db8:2::${index}`,
      isRd: false,
      ...following,
      clientPort: clientPort(),
      hasDisk: disks(),
    });
  }
  return nodes;
}

/** RDs that are asked may be proxies that ask in their turn, each other among them: an RD is asked for its own registrations alone. */
function planFollowing(dice: Dice, rds: readonly string[]): { upstreams: readonly string[]; mode: Mode } {
  const mode = dice.chance(0.5) ? "replicate" : dice.pick(["filters", "auto", "forward"] as const);
  return { upstreams: rds, mode };
}

/** In some federations nodes have memory for a part only of what they receive. */
function planBudgets(dice: Dice, nodes: readonly NodePlan[], endpoints: number): NodePlan[] {
  const share = dice.pick([0, 0, 0.5]);
  return nodes.map((node) => {
    if (!dice.chance(share)) return node;
    return { ...node, memory: LEAST_MEMORY + Math.floor(dice.within([200, 1_500]) * endpoints) };
  });
}

/** Some endpoints share a name in different sectors. */
function planEndpoints(dice: Dice, count: number): EndpointPlan[] {
  const endpoints = new Map<string, EndpointPlan>();
  for (let index = 1; endpoints.size < count; index++) {
    const ep = `node-${dice.chance(0.3) ? dice.within([1, index]) : index}`;
    const d = dice.pick(SECTORS);
    const address = `2001:db8:3::${index.toString(16)}`;
    const key = `${ep} ${d}`;
    if (!endpoints.has(key)) endpoints.set(key, { ep, d, address, isBaseExplicit: dice.chance(0.5) });
  }
  return [...endpoints.values()];
}

function planEpisode(
  dice: Dice,
  nodes: readonly NodePlan[],
  endpoints: readonly EndpointPlan[],
  revision: { next: number },
): Episode {
  const lengthMs = dice.within([60, 400]) * 1000;
  const deeds: TimedDeed[] = [
    ...endpoints.flatMap((_, index) => planEndpointLife(dice, nodes, index, lengthMs, revision)),
    ...planFaults(dice, nodes, lengthMs),
    ...planProbes(dice, nodes, lengthMs),
  ];
  return { lengthMs, deeds: deeds.sort((a, b) => a.atMs - b.atMs) };
}

/** In some federations: an endpoint moves within milliseconds, and where it moved to is lost soon after. */
function planAmbush(dice: Dice, nodes: readonly NodePlan[], revision: { next: number }): Episode | null {
  if (!dice.chance(0.2)) return null;
  const rds = nodes.filter(({ isRd }) => isRd).map(({ name }) => name);
  const lps = nodes.filter(({ upstreams }) => upstreams !== null).map(({ name }) => name);
  const [from, to] = dice.chance(0.5) ? [rds[0], rds[1]] : [rds[1], rds[0]];
  const register = (rd: string): Deed => {
    const et = dice.pick(ENDPOINT_TYPES);
    return { kind: "register", endpoint: 0, rd, ltS: 90_000, et, links: planLinks(dice, revision.next++) };
  };
  const movedMs = 1_000 + dice.pick(HASTY_MOVES_MS);
  const lostMs = movedMs + dice.within([10_000, 30_000]);
  const deeds: TimedDeed[] = [
    { atMs: 1_000, deed: register(from as string) },
    { atMs: movedMs, deed: register(to as string) },
    {
      atMs: lostMs,
      deed: { kind: "partition", sides: [[to as string], nodes.map(({ name }) => name).filter((name) => name !== to)] },
    },
    { atMs: lostMs + 150_000, deed: { kind: "heal" } },
  ];
  for (let atMs = lostMs; atMs < lostMs + 150_000; atMs += 10_000)
    for (const lp of lps) deeds.push({ atMs, deed: { kind: "probe", lp } });
  return { lengthMs: lostMs + 160_000, deeds: deeds.sort((a, b) => a.atMs - b.atMs) };
}

/** An endpoint registers, roams, renews, removes, or just falls silent. */
function planEndpointLife(
  dice: Dice,
  nodes: readonly NodePlan[],
  endpoint: number,
  lengthMs: number,
  revision: { next: number },
): TimedDeed[] {
  const rds = nodes.filter(({ isRd }) => isRd).map(({ name }) => name);
  const deeds: TimedDeed[] = [];
  let rd = dice.pick(rds);
  let atMs = dice.within([1_000, 20_000]);
  while (atMs < lengthMs) {
    if (dice.chance(0.3)) rd = dice.pick(rds);
    deeds.push({ atMs, deed: planMove(dice, endpoint, rd, revision) });
    if (dice.chance(0.3)) {
      rd = dice.pick(rds);
      deeds.push({ atMs: atMs + dice.pick(HASTY_MOVES_MS), deed: planMove(dice, endpoint, rd, revision) });
    }
    atMs += MOVE_SPACING_MS + dice.within([0, dice.chance(0.3) ? 5_000 : 90_000]);
  }
  return deeds;
}

function planMove(dice: Dice, endpoint: number, rd: string, revision: { next: number }): Deed {
  const ltS = dice.chance(0.3) ? dice.within([10, 60]) : dice.chance(0.5) ? dice.within([60, 600]) : 90_000;
  if (dice.chance(0.2)) return { kind: "remove", endpoint, rd };
  if (dice.chance(0.4)) return { kind: "renew", endpoint, rd, ltS: dice.chance(0.2) ? ltS : undefined };
  const et = dice.pick(ENDPOINT_TYPES);
  return { kind: "register", endpoint, rd, ltS, et, links: planLinks(dice, revision.next++) };
}

/** Each registration differs from any before, so that a mixture of two would show. A few are larger than one patch. */
function planLinks(dice: Dice, revision: number): string {
  const links = [`</r/${revision}>;rt="revision"`];
  const count = dice.chance(0.08) ? dice.within([20, 60]) : dice.within([0, 3]);
  for (let index = 0; index < count; index++) links.push(`</s/${index}>;rt="${dice.pick(RESOURCE_TYPES)}";if="core.s"`);
  if (dice.chance(0.2)) links.push(`</about>;anchor="/s/0";rel="describedby"`);
  return links.join(",");
}

function planFaults(dice: Dice, nodes: readonly NodePlan[], lengthMs: number): TimedDeed[] {
  const deeds: TimedDeed[] = [];
  const rds = nodes.filter(({ isRd }) => isRd).map(({ name }) => name);
  const lps = nodes.filter(({ upstreams }) => upstreams !== null).map(({ name }) => name);
  let atMs = dice.within([0, 30_000]);
  while (atMs < lengthMs) {
    const lastsMs = dice.within([1, dice.chance(0.5) ? 20 : 150]) * 1000;
    const [deed, undo] = planFault(dice, nodes, rds, lps);
    deeds.push({ atMs, deed });
    if (undo !== null) deeds.push({ atMs: atMs + Math.max(lastsMs, MIN_DOWNTIME_MS), deed: undo });
    atMs += dice.within([1, dice.chance(0.3) ? 5 : 60]) * 1000;
  }
  return deeds.filter((timed) => timed.atMs < lengthMs);
}

/** Longer than any datagram stays under way: what was sent to a crashed node does not reach the next one. */
const MIN_DOWNTIME_MS = 1_000;

function planFault(
  dice: Dice,
  nodes: readonly NodePlan[],
  rds: readonly string[],
  lps: readonly string[],
): [Deed, Deed | null] {
  switch (dice.within([0, 7])) {
    case 0: {
      const left = nodes.filter(() => dice.chance(0.5)).map(({ name }) => name);
      const right = nodes.map(({ name }) => name).filter((name) => !left.includes(name));
      return [{ kind: "partition", sides: [left, right] }, { kind: "heal" }];
    }
    case 1:
      return [{ kind: "cut", from: dice.pick(rds), to: dice.pick(lps) }, { kind: "heal" }];
    case 2:
      return [{ kind: "cut", from: dice.pick(lps), to: dice.pick(rds) }, { kind: "heal" }];
    case 3:
      return [
        { kind: "slow", from: dice.pick(rds), to: dice.pick(lps), delayMs: dice.within([500, 6_000]) },
        { kind: "heal" },
      ];
    case 4: {
      const node = dice.pick(rds);
      return [
        { kind: "crash", node, isDiskLost: dice.chance(0.2) },
        { kind: "start", node },
      ];
    }
    case 5: {
      const node = dice.pick(lps);
      return [
        { kind: "crash", node, isDiskLost: dice.chance(0.2) },
        { kind: "start", node },
      ];
    }
    case 6:
      return planWallJump(dice, nodes);
    default:
      return [planWeather(dice), { kind: "heal" }];
  }
}

/** What is kept is kept by the wall clock: a jump of it while a node is down changes ages. */
function planWallJump(dice: Dice, nodes: readonly NodePlan[]): [Deed, Deed | null] {
  const node = dice.pick(nodes);
  if (!dice.chance(0.3) || node.hasDisk) return [{ kind: "heal" }, null];
  const ms = dice.chance(0.5) ? dice.within([-3_600_000, 3_600_000]) : dice.within([-3_000, 3_000]);
  return [{ kind: "wall-jump", node: node.name, ms }, null];
}

function planWeather(dice: Dice): Deed {
  return {
    kind: "weather",
    loss: dice.pick([0, 0.05, 0.2, 0.5]),
    duplication: dice.pick([0, 0.1, 0.3]),
    delayMs: dice.pick([1, 10, 200]),
    jitterMs: dice.pick([0, 20, 500]),
  };
}

function planProbes(dice: Dice, nodes: readonly NodePlan[], lengthMs: number): TimedDeed[] {
  const lps = nodes.filter(({ upstreams }) => upstreams !== null).map(({ name }) => name);
  const deeds: TimedDeed[] = [];
  for (let atMs = dice.within([2_000, 8_000]); atMs < lengthMs; atMs += dice.within([1_000, 8_000])) {
    deeds.push({ atMs, deed: { kind: "probe", lp: dice.pick(lps) } });
  }
  return deeds;
}
