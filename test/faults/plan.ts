import { seededRandom } from "@tributary/runtime/testing";
import { HOSTS, type Host, LPS, RDS } from "./hosts.js";

/** Whether a process that is started again finds what the one before had stored. */
export type Remains = "kept" | "empty";

export type Fault =
  | { readonly kind: "kill"; readonly host: Host; readonly remains: Remains }
  /** The host's link is down: senders learn it from the network. */
  | { readonly kind: "cut"; readonly host: Host }
  /** One pair cannot communicate, in both directions, without any ICMP error. */
  | { readonly kind: "apart"; readonly rd: Host; readonly lp: Host }
  | { readonly kind: "one-way"; readonly from: Host; readonly to: Host }
  /** Of a hundred packets to and from a host, these are lost. */
  | { readonly kind: "loss"; readonly host: Host; readonly toPercent: number; readonly fromPercent: number };

/** What happens from `startMs` until `endMs` after the beginning. A process that is killed is started again at the end. */
export interface PlannedFault {
  readonly fault: Fault;
  readonly startMs: number;
  readonly endMs: number;
}

export interface PlanOptions {
  readonly seed: number;
  /** No fault begins later, but that each kind comes at least once; ms. */
  readonly durationMs: number;
  /** Longest time that a fault lasts, ms. */
  readonly longestMs: number;
  /** Whether there is something that a killed process could find again. */
  readonly isKept: boolean;
}

type Random = () => number;

/** Faults at once. */
const LANES = 2;
const SHORTEST_MS = 800;
const LONGEST_PAUSE_MS = 1200;

/** One of each. */
const DECK: readonly ((random: Random, isKept: boolean) => Fault)[] = [
  (random, isKept) => kill(pick(random, onlyRds()), random, isKept),
  (random, isKept) => kill(pick(random, onlyLps()), random, isKept),
  (random, isKept) => kill("rda", random, isKept),
  (random) => ({ kind: "cut", host: pick(random, RDS) }),
  (random) => ({ kind: "cut", host: pick(random, LPS) }),
  (random) => ({ kind: "apart", rd: pick(random, onlyRds()), lp: pick(random, LPS) }),
  (random) => ({ kind: "one-way", from: pick(random, onlyRds()), to: pick(random, LPS) }),
  (random) => ({ kind: "one-way", from: pick(random, LPS), to: pick(random, onlyRds()) }),
  (random) => ({
    kind: "loss",
    host: pick(random, [...RDS, ...LPS]),
    toPercent: Math.round(40 * random()),
    fromPercent: Math.round(40 * random()),
  }),
];

function onlyRds(): Host[] {
  return RDS.filter((host) => !HOSTS[host].isLp);
}

function onlyLps(): Host[] {
  return LPS.filter((host) => !HOSTS[host].isRd);
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

function kill(host: Host, random: Random, isKept: boolean): Fault {
  // Drawn in any case, so that the schedule of a seed does not depend on the store.
  const remains = random() < 0.7 ? "kept" : "empty";
  return { kind: "kill", host, remains: isKept ? remains : "empty" };
}

function shuffled<T>(random: Random, from: readonly T[]): T[] {
  const rest = [...from];
  const result: T[] = [];
  while (rest.length > 0) result.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return result;
}

/** What must not be done twice at once: to kill a process that is dead, to cut a link that is down. */
function clashes(one: Fault, other: Fault): boolean {
  return one.kind === other.kind && "host" in one && "host" in other && one.host === other.host;
}

/** Every kind of fault once before any comes again, at random moments, a few at once. The same seed gives the same plan. Pure. */
export function planFaults({ seed, durationMs, longestMs, isKept }: PlanOptions): PlannedFault[] {
  const random = seededRandom(seed);
  const plan: PlannedFault[] = [];
  const freeFromMs = Array.from({ length: LANES }, (_, lane) => lane * SHORTEST_MS * random());
  let deck: (typeof DECK)[number][] = [];
  for (;;) {
    const lane = freeFromMs.indexOf(Math.min(...freeFromMs));
    const startMs = Math.round((freeFromMs[lane] as number) + random() * LONGEST_PAUSE_MS);
    if (startMs > durationMs && plan.length >= DECK.length) return plan;
    if (deck.length === 0) deck = shuffled(random, DECK);
    const endMs = Math.round(startMs + SHORTEST_MS + random() * (longestMs - SHORTEST_MS));
    const fault = deck[0]?.(random, isKept) as Fault;
    freeFromMs[lane] = endMs;
    if (plan.some((other) => other.endMs + SHORTEST_MS > startMs && clashes(other.fault, fault))) continue;
    deck.shift();
    plan.push({ fault, startMs, endMs });
  }
}

/** In short words, for logs. */
export function faultText(fault: Fault): string {
  switch (fault.kind) {
    case "kill":
      return `kill ${fault.host}, ${fault.remains}`;
    case "cut":
      return `cut off ${fault.host}`;
    case "apart":
      return `${fault.rd} and ${fault.lp} apart`;
    case "one-way":
      return `nothing from ${fault.from} to ${fault.to}`;
    case "loss":
      return `loss of ${fault.toPercent} % to and ${fault.fromPercent} % from ${fault.host}`;
    default:
      return fault satisfies never;
  }
}
