import type { JSX } from "preact";
import { formatBytes, formatLatency, formatNumber } from "../data/format.ts";
import type { Moment } from "../data/history.ts";
import type { LiveState } from "../data/live.ts";
import { Chart, type Line } from "../parts/chart.tsx";

/** Upstreams with lines of their own; the others are one line. */
const MAX_UPSTREAMS = 4;

const formatRate = (value: number): string => `${formatNumber(value)}/s`;
const formatByteRate = (value: number): string => `${formatBytes(value)}/s`;

/** Rates, latencies and sizes since the page was opened. */
export function Charts({ state }: { readonly state: LiveState }): JSX.Element {
  const { moments } = state;
  const times = moments.map(({ atS }) => atS);
  const line = (title: string, read: (moment: Moment) => number | null): Line => ({ title, values: moments.map(read) });
  const answers = [...(moments.at(-1)?.lookups.keys() ?? [])].sort();
  return (
    <>
      <p class="muted">
        Since this page was opened, at most 20 minutes. /metrics is for Prometheus, which remembers longer.
      </p>
      <div class="charts">
        <Chart
          title="Lookups per second, by where the result came from"
          times={times}
          format={formatRate}
          lines={answers.map((answer) => line(answer, ({ lookups }) => lookups.get(answer) ?? null))}
          empty="No lookups yet."
        />
        <Chart
          title="Time that lookups take"
          times={times}
          format={formatLatency}
          lines={[line("half of them, at most", ({ p50 }) => p50), line("99 % of them, at most", ({ p99 }) => p99)]}
          empty="No lookups since the page was opened."
        />
        <Chart
          title="Registrations"
          times={times}
          format={formatNumber}
          lines={[
            line("shown", ({ visible }) => visible),
            line("hidden", ({ superseded }) => superseded),
            line("stale", ({ stale }) => stale),
          ]}
          empty=""
        />
        <Chart
          title="Received from upstreams"
          times={times}
          format={formatByteRate}
          lines={upstreamLines(moments)}
          empty="This node follows no other RD."
        />
        <Chart
          title="Memory of registrations"
          times={times}
          format={formatBytes}
          lines={[line("used", ({ memory }) => memory)]}
          empty=""
        />
      </div>
    </>
  );
}

/** Those that sent most have lines of their own. */
function upstreamLines(moments: readonly Moment[]): Line[] {
  const sums = new Map<string, number>();
  for (const { feedBytes } of moments)
    for (const [name, rate] of feedBytes) sums.set(name, (sums.get(name) ?? 0) + rate);
  const names = [...sums].sort(([, one], [, other]) => other - one).map(([name]) => name);
  const own = names
    .slice(0, MAX_UPSTREAMS)
    .map((name) => ({ title: name, values: moments.map(({ feedBytes }) => feedBytes.get(name) ?? null) }));
  const others = names.slice(MAX_UPSTREAMS);
  if (others.length === 0) return own;
  const rest = moments.map(({ feedBytes }) => others.reduce((sum, name) => sum + (feedBytes.get(name) ?? 0), 0));
  return [...own, { title: `${others.length} others`, values: rest }];
}
