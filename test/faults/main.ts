/**
 * `npm run faults -- [--minutes 10] [--seed N] [--endpoints 400] [--json]`: the tests of this folder for as long as you like. The same
 * seed gives the same schedule of faults and the same habits of endpoints; `--json` prints each run's figures as one line.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startVitest } from "vitest/node";

function fail(message: string): never {
  process.stderr.write(`${message}\nusage: npm run faults -- [--minutes N] [--seed N] [--endpoints N] [--json]\n`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        minutes: { type: "string", default: "10" },
        seed: { type: "string" },
        endpoints: { type: "string", default: "400" },
        json: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function positive(name: string, text: string): string {
  return Number(text) > 0 ? text : fail(`--${name} is a number above 0, not ${text}`);
}

const { minutes, seed, endpoints, json } = readOptions();
process.env.TRIBUTARY_FAULT_MINUTES = positive("minutes", minutes);
process.env.TRIBUTARY_FAULT_ENDPOINTS = positive("endpoints", endpoints);
if (seed !== undefined) process.env.TRIBUTARY_FAULT_SEED = positive("seed", seed);
if (json) process.env.TRIBUTARY_FAULT_JSON = "1";

const vitest = await startVitest("test", ["test/faults/faults.test.ts"], {
  config: fileURLToPath(new URL("../vitest.config.ts", import.meta.url)),
  project: ["system"],
  watch: false,
});
await vitest.close();
