import { type MetricSamples, quantilesBetween, sumsBy } from "./metrics.ts";
import type { NodeView, UpstreamView } from "./types.ts";

/** What the charts show of one moment. Rates are per second, since the moment before. */
export interface Moment {
  /** Seconds since the Unix epoch. */
  readonly atS: number;
  readonly visible: number;
  readonly superseded: number;
  readonly stale: number;
  readonly memory: number;
  readonly lookups: ReadonlyMap<string, number>;
  /** Seconds; null without lookups. */
  readonly p50: number | null;
  readonly p99: number | null;
  readonly feedBytes: ReadonlyMap<string, number>;
}

/** One reading of the node. */
export interface Reading {
  readonly atMs: number;
  readonly node: NodeView;
  readonly upstreams: readonly UpstreamView[];
  readonly metrics: MetricSamples;
}

const LATENCY = "tributary_lookup_seconds";

/** What happened between two readings. A counter that became smaller began again with the node. Pure. */
export function momentBetween(before: Reading | null, now: Reading): Moment {
  const { visible, superseded, stale } = now.node.registrations;
  const [p50 = null, p99 = null] =
    before === null ? [] : quantilesBetween(before.metrics, now.metrics, LATENCY, [0.5, 0.99]);
  return {
    atS: now.atMs / 1000,
    visible,
    superseded,
    stale,
    memory: now.node.memory.used,
    lookups: ratesOf(before, now, ({ metrics }) => sumsBy(metrics, "tributary_lookups_total", "answer")),
    p50,
    p99,
    feedBytes: ratesOf(
      before,
      now,
      ({ upstreams }) => new Map(upstreams.map(({ name, feedBytes }) => [name, feedBytes])),
    ),
  };
}

function ratesOf(
  before: Reading | null,
  now: Reading,
  count: (reading: Reading) => ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  if (before === null || now.atMs <= before.atMs) return new Map();
  const earlier = count(before);
  const seconds = (now.atMs - before.atMs) / 1000;
  return new Map([...count(now)].map(([key, value]) => [key, Math.max(0, value - (earlier.get(key) ?? 0)) / seconds]));
}

/** Sum of all values. Pure. */
export function total(rates: ReadonlyMap<string, number>): number {
  return [...rates.values()].reduce((sum, value) => sum + value, 0);
}
