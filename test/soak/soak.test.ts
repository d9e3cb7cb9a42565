import { expect, test } from "vitest";
import { describeSoak, soak } from "./soak.ts";
import { fitTrend, type Sample } from "./trend.ts";

const sample = (atMs: number, liveBytes: number): Sample => ({ atMs, liveBytes, rss: 0, delayMs: 1, longestMs: 2 });

test("the trend is the slope of the line through the samples after warm-up", () => {
  const samples = [sample(0, 9e9), sample(10_000, 1000), sample(40_000, 2500), sample(70_000, 3000)];
  expect(fitTrend(samples, 10_000)).toMatchObject({ liveBytesPerMinute: 2000, firstBytes: 1000, samples: 3 });
  expect(() => fitTrend(samples, 70_000)).toThrow("1 samples");
});

test("a minute of load: registrations, lookups, observers that come and go, hostile datagrams; memory settles", {
  timeout: 150_000,
}, async () => {
  const report = await soak({ minutes: 1 });
  process.stderr.write(`${describeSoak(report)}\n`);
  expect(report.failures).toEqual([]);
});
