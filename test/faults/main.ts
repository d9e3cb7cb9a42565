/**
 * `npm run faults -- [--minutes 10] [--seed N] [--endpoints 400] [--json] [--keep FOLDER]`: the tests of this folder for as long
 * as you like. The same seed gives the same schedule of faults and the same habits of endpoints. `--json` prints the figures
 * of each run as one line, `--keep` writes all that was recorded into a folder.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startVitest } from "vitest/node";

function fail(message: string): never {
  process.stderr.write(
    `${message}\nusage: npm run faults -- [--minutes N] [--seed N] [--endpoints N] [--json] [--keep FOLDER]\n`,
  );
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        minutes: { type: "string", default: "10" },
        seed: { type: "string" },
        endpoints: { type: "string", default: "400" },
        keep: { type: "string" },
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

const { minutes, seed, endpoints, json, keep } = readOptions();
process.env.TRIBUTARY_FAULT_MINUTES = positive("minutes", minutes);
process.env.TRIBUTARY_FAULT_ENDPOINTS = positive("endpoints", endpoints);
if (seed !== undefined) process.env.TRIBUTARY_FAULT_SEED = positive("seed", seed);
if (keep !== undefined) process.env.TRIBUTARY_FAULT_KEEP = resolve(keep);
if (json) process.env.TRIBUTARY_FAULT_JSON = "1";

const vitest = await startVitest("test", ["test/faults/faults.test.ts"], {
  config: fileURLToPath(new URL("../vitest.config.ts", import.meta.url)),
  project: ["system"],
  watch: false,
});
await vitest.close();
