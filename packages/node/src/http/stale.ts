import { setImmediate as nextTurn } from "node:timers/promises";
import type { Directory, SourcedRegistration } from "@tributary/merge-engine";
import type { Clock } from "@tributary/runtime";
import { type Route, sendJson } from "./router.js";
import { toSeconds } from "./upstream-view.js";

/** What is stale, in `/api/stale`. Times until ends are in seconds. */
export interface StaleView {
  /** Sources that are not reached, with what they have. */
  readonly sources: readonly StaleSourceView[];
  /** The stale registrations that end first. */
  readonly next: readonly StaleRegistrationView[];
}

export interface StaleSourceView {
  readonly source: string;
  readonly registrations: number;
  readonly firstEnd: number;
  readonly lastEnd: number;
}

export interface StaleRegistrationView {
  readonly source: string;
  readonly ep: string;
  readonly d?: string;
  readonly expiresIn: number;
  readonly expiry: SourcedRegistration["expiry"];
}

interface Ends {
  readonly sources: ReadonlyMap<string, { registrations: number; firstMs: number; lastMs: number }>;
  readonly next: readonly SourcedRegistration[];
}

/** Registrations examined per turn of the event loop. */
const TURN_SIZE = 1000;
const MAX_NEXT = 20;
/** How long a result is given again, ms: it takes a pass over the whole directory. */
const REUSE_MS = 2000;

/** `GET /api/stale`: how long what is stale is still shown. */
export function staleRoute({ directory, clock }: { readonly directory: Directory; readonly clock: Clock }): Route {
  let latest: { readonly atMs: number; readonly ends: Promise<Ends> } | null = null;
  return {
    path: "/api/stale",
    async handle(_request, response) {
      const nowMs = clock.nowMs();
      if (latest === null || nowMs - latest.atMs >= REUSE_MS) latest = { atMs: nowMs, ends: findEnds(directory) };
      sendJson(response, 200, viewEnds(await latest.ends, clock));
    },
  };
}

async function findEnds(directory: Directory): Promise<Ends> {
  const sources = new Map<string, { registrations: number; firstMs: number; lastMs: number }>();
  const next: SourcedRegistration[] = [];
  if (directory.counts().stale === 0) return { sources, next };
  let seen = 0;
  for (const { registration, stale } of directory.inspect()) {
    if (++seen % TURN_SIZE === 0) await nextTurn();
    if (!stale) continue;
    const { source, expiresAtMs } = registration;
    const known = sources.get(source) ?? { registrations: 0, firstMs: Number.POSITIVE_INFINITY, lastMs: 0 };
    known.registrations++;
    known.firstMs = Math.min(known.firstMs, expiresAtMs);
    known.lastMs = Math.max(known.lastMs, expiresAtMs);
    sources.set(source, known);
    keepFirst(next, registration);
  }
  return { sources, next };
}

/** Inserts by the end of the lifetime, and drops what ends later than the others. */
function keepFirst(next: SourcedRegistration[], registration: SourcedRegistration): void {
  const last = next.at(-1);
  if (next.length >= MAX_NEXT && last !== undefined && last.expiresAtMs <= registration.expiresAtMs) return;
  const at = next.findIndex(({ expiresAtMs }) => expiresAtMs > registration.expiresAtMs);
  next.splice(at === -1 ? next.length : at, 0, registration);
  if (next.length > MAX_NEXT) next.pop();
}

function viewEnds({ sources, next }: Ends, clock: Clock): StaleView {
  const left = (ms: number): number => toSeconds(Math.max(0, ms - clock.nowMs()));
  return {
    sources: [...sources].map(([source, { registrations, firstMs, lastMs }]) => ({
      source,
      registrations,
      firstEnd: left(firstMs),
      lastEnd: left(lastMs),
    })),
    next: next.map(({ source, ep, d, expiresAtMs, expiry }) => ({
      source,
      ep,
      ...(d === undefined ? {} : { d }),
      expiresIn: left(expiresAtMs),
      expiry,
    })),
  };
}
