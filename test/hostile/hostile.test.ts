import { expect, test } from "vitest";
import { runCampaign } from "./campaign.ts";
import { SURFACES } from "./surfaces.ts";

/** `npm run hostile` goes further. */
const INPUTS = 100_000;

test("SEC-12 100,000 hostile inputs: no crash, no growth, no delay, and everything still works", {
  timeout: 300_000,
}, async () => {
  const report = await runCampaign(SURFACES, { inputs: INPUTS, seed: 1 });
  const inputs = [...report.inputs].map(([name, count]) => `${count} ${name}`).join(", ");
  process.stderr.write(
    `${inputs} in ${(report.durationMs / 1000).toFixed(1)} s; slowest ${report.slowestMs.toFixed(1)} ms; ` +
      `heap ${(report.grownBytes / 1_048_576).toFixed(1)} MiB larger\n`,
  );
  expect([...report.inputs.values()].reduce((sum, count) => sum + count, 0)).toBe(INPUTS);
});
