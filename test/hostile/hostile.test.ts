import { expect, test } from "vitest";
import { describeReport, runCampaign } from "./campaign.ts";
import { SURFACES } from "./surfaces.ts";

/** `npm run hostile` goes further. */
const INPUTS = 100_000;

test("SEC-12 100,000 hostile inputs: no crash, no growth, no delay, and everything still works", {
  timeout: 300_000,
}, async () => {
  const report = await runCampaign(SURFACES, { inputs: INPUTS, seed: 1 });
  process.stderr.write(`${describeReport(report)}\n`);
  expect([...report.inputs.values()].reduce((sum, count) => sum + count, 0)).toBe(INPUTS);
});
