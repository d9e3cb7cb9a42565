// npm run soak -- --minutes 30: an RD and a proxy under load for so long; fails when their memory keeps growing.
import { parseArgs } from "node:util";
import { describeSoak, soak } from "./soak.ts";

const DEFAULT_MINUTES = 30;
const { values } = parseArgs({ options: { minutes: { type: "string" }, seed: { type: "string" } } });
const minutes = Number(values.minutes ?? DEFAULT_MINUTES);
const seed = Number(values.seed ?? 1);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  process.stderr.write("usage: soak [--minutes M] [--seed S]\n");
  process.exit(2);
}
const report = await soak({ minutes, seed, onProgress: (line) => void process.stdout.write(`${line}\n`) });
process.stdout.write(`${describeSoak(report)}\n`);
if (report.failures.length > 0) process.exitCode = 1;
