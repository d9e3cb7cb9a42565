import { type Criterion, formatCriterion } from "@tributary/link-model";
import type { Clock } from "@tributary/runtime";
import type { CapabilityReport, FamilyStatus, UpstreamPhase, UpstreamStatus } from "@tributary/upstream-sync";

/** An upstream in `/api/upstreams`. Times are ISO 8601, ages and lags seconds; unknown values are absent. */
export interface UpstreamView {
  readonly name: string;
  readonly uri: string;
  readonly mode: UpstreamStatus["mode"];
  /** Whether it is followed as a lookup proxy. */
  readonly tier: boolean;
  readonly phase: UpstreamPhase;
  readonly method: UpstreamStatus["method"];
  /** How the feed is read; absent unless the method is `feed`. */
  readonly transport?: "udp" | "tcp";
  /** Everything that the upstream has is in the copy: it is whole, and nothing is left out. */
  readonly complete: boolean;
  readonly tried: boolean;
  /** Conjunctions of criteria as in a query; `*` is everything. */
  readonly coverage: readonly string[];
  /** Mode `auto`: families of lookups that are replicated, each with its filter. */
  readonly families?: readonly FamilyView[];
  readonly registrations: number;
  /** Numbers of registrations and links of the upstream that lookups here leave out, by cause. */
  readonly leftOut: Readonly<Record<string, number>>;
  readonly lastChange?: string;
  readonly lastChangeAge?: number;
  readonly lastContact?: string;
  readonly lastContactAge?: number;
  readonly lag?: number;
  readonly feedBytes: number;
  readonly attempts: number;
  readonly error?: string;
  readonly capabilities: CapabilityReport;
}

export interface FamilyView {
  readonly filter: string;
  readonly phase: UpstreamPhase;
  readonly complete: boolean;
  readonly registrations: number;
  /** Time since its last lookup. */
  readonly idle: number;
}

/** Converts a status to its JSON form, with monotonic times as wall-clock times and ages. */
export function viewUpstream(status: UpstreamStatus, clock: Clock): UpstreamView {
  return {
    name: status.name,
    uri: status.uri,
    mode: status.mode,
    tier: status.isTier,
    phase: status.phase,
    method: status.method,
    ...(status.transport === undefined ? {} : { transport: status.transport }),
    complete: status.isComplete && status.leftOut.size === 0,
    tried: status.wasTried,
    coverage: status.coverage.map(formatConjunction),
    ...(status.families === undefined ? {} : { families: status.families.map((family) => viewFamily(family, clock)) }),
    registrations: status.registrations,
    // The causes come from this program, not from an upstream, so they are safe as keys.
    leftOut: Object.fromEntries(status.leftOut),
    ...timeFields("lastChange", status.lastChangeMs, clock),
    ...timeFields("lastContact", status.lastContactMs, clock),
    ...(status.lagMs === undefined ? {} : { lag: toSeconds(status.lagMs) }),
    feedBytes: status.feedBytes,
    attempts: status.attempts,
    ...(status.lastError === undefined ? {} : { error: status.lastError }),
    capabilities: status.capabilities,
  };
}

function viewFamily({ filter, phase, isComplete, registrations, usedAtMs }: FamilyStatus, clock: Clock): FamilyView {
  const idle = toSeconds(Math.max(0, clock.nowMs() - usedAtMs));
  return { filter: formatConjunction(filter), phase, complete: isComplete, registrations, idle };
}

/** Converts milliseconds to seconds with three decimals. Pure. */
export function toSeconds(ms: number): number {
  return Math.round(ms) / 1000;
}

/** Converts a monotonic time to wall-clock time in ISO 8601. The result changes when the wall clock is set. */
export function toIsoTime(atMs: number, clock: Clock): string {
  const wallMs = clock.wallMs() - clock.nowMs() + atMs;
  return new Date(Math.min(Math.max(wallMs, 0), MAX_DATE_MS)).toISOString();
}

/** Largest time of a Date (ECMA-262 section 21.4.1.1). */
const MAX_DATE_MS = 8.64e15;

function timeFields(name: "lastChange" | "lastContact", atMs: number | undefined, clock: Clock): Partial<UpstreamView> {
  if (atMs === undefined) return {};
  return { [name]: toIsoTime(atMs, clock), [`${name}Age`]: toSeconds(Math.max(0, clock.nowMs() - atMs)) };
}

function formatConjunction(criteria: readonly Criterion[]): string {
  if (criteria.length === 0) return "*";
  return criteria.map(formatCriterion).join("&");
}
