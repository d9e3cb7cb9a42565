import { expect, test } from "vitest";
import { momentBetween, type Reading, total } from "./history.ts";
import { parseMetrics, quantilesBetween, sumOf, sumsBy } from "./metrics.ts";
import type { NodeView } from "./types.ts";

const histogram = (counts: readonly number[]): string =>
  ["0.001", "0.01", "0.1", "+Inf"]
    .map((le, at) => `seconds_bucket{le="${le}",interface="ep"} ${counts[at]}`)
    .join("\n");

test("samples with their labels; comments and other lines are left out", () => {
  const samples = parseMetrics(
    '# HELP a b\nup 1\ntotal{upstream="a \\"b\\" \\\\c\\n",x="1"} 2.5\ntotal{x="2"} 1e3\nodd line here\n\n',
  );
  expect([...samples]).toEqual([
    ["up", [{ labels: {}, value: 1 }]],
    [
      "total",
      [
        { labels: { upstream: 'a "b" \\c\n', x: "1" }, value: 2.5 },
        { labels: { x: "2" }, value: 1000 },
      ],
    ],
  ]);
  expect(sumOf(samples, "total")).toBe(1002.5);
  expect(sumOf(samples, "total", ({ labels }) => labels.x === "2")).toBe(1000);
  expect([...sumsBy(samples, "total", "x")]).toEqual([
    ["1", 2.5],
    ["2", 1000],
  ]);
});

test("quantiles are those of what was counted in between", () => {
  const before = parseMetrics(histogram([1000, 1000, 1000, 1000]));
  const after = parseMetrics(histogram([1000, 1050, 1090, 1100]));
  const [median, p90, p99] = quantilesBetween(before, after, "seconds", [0.5, 0.9, 0.99]);
  expect(median).toBeCloseTo(0.01);
  expect(p90).toBeCloseTo(0.1);
  // Beyond the last bucket nothing is known but its bound.
  expect(p99).toBeCloseTo(0.1);
  expect(quantilesBetween(after, after, "seconds", [0.5])).toEqual([null]);
});

test("rates are per second; a counter that became smaller gives none below zero", () => {
  const node = {
    registrations: { visible: 3, superseded: 1, stale: 0, total: 4 },
    memory: { used: 10, sources: [], onDisk: 0 },
  } as unknown as NodeView;
  const reading = (atMs: number, local: number, cached: number): Reading => ({
    atMs,
    node,
    upstreams: [],
    metrics: parseMetrics(
      `tributary_lookups_total{answer="local"} ${local}\ntributary_lookups_total{answer="cached"} ${cached}`,
    ),
  });
  const moment = momentBetween(reading(1000, 10, 50), reading(3000, 30, 40));
  expect(Object.fromEntries(moment.lookups)).toEqual({ local: 10, cached: 0 });
  expect(total(moment.lookups)).toBe(10);
  expect(momentBetween(null, reading(1000, 10, 5)).lookups.size).toBe(0);
});
