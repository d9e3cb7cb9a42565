import { createHistogram } from "node:perf_hooks";
import type { Clock, Timer } from "@tributary/runtime";
import { Gauge, type Registry } from "prom-client";

/** Interval of samples, ms. Those of `perf_hooks.monitorEventLoopDelay` wake an idle process a hundred times a second. */
const SAMPLE_MS = 1000;

const PREFIX = "nodejs_eventloop_lag";
/** Names under which the process metrics of prom-client have what is measured here instead. */
const PERCENTILES = [50, 90, 99] as const;
const STATISTICS = ["min", "max", "mean", "stddev"] as const;

/** Passed to prom-client, ms: its own samples are so rare that they wake nothing. */
export const RARELY_MS = 2_147_483_647;

/**
 * Replaces the event loop metrics of prom-client by ones that are sampled once a second: how much later than asked for a timer fired
 * since the last scrape, s. Returns the function that ends it.
 */
export function measureEventLoopLag(registry: Registry, clock: Clock): () => void {
  const lags = createHistogram();
  let latestNs = 0;
  let timer: Timer | null = null;
  const sample = (): void => {
    const dueMs = clock.nowMs() + SAMPLE_MS;
    timer = clock.setTimer(SAMPLE_MS, () => {
      // Histograms count whole numbers from 1.
      latestNs = Math.max(1, Math.round((clock.nowMs() - dueMs) * 1e6));
      lags.record(latestNs);
      sample();
    });
  };
  sample();
  const add = (suffix: string, help: string, value: () => number) => {
    registry.removeSingleMetric(`${PREFIX}${suffix}_seconds`);
    const collect = function (this: Gauge): void {
      const isMeasured = lags.count > 0;
      this.set(isMeasured ? value() / 1e9 : 0);
    };
    new Gauge({ name: `${PREFIX}${suffix}_seconds`, help, registers: [registry], collect });
  };
  for (const statistic of STATISTICS)
    add(`_${statistic}`, `Lag of timers, ${statistic} since the last scrape`, () => lags[statistic]);
  for (const percentile of PERCENTILES)
    add(`_p${percentile}`, `Lag of timers, ${percentile}th percentile since the last scrape`, () =>
      lags.percentile(percentile),
    );
  // The last one that is collected: what comes next is a new interval.
  add("", "Lag of timers, latest sample", () => {
    lags.reset();
    return latestNs;
  });
  return () => timer?.cancel();
}
