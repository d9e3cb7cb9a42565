/**
 * `npm run shared-authority -- [--minutes 5] [--seed 1]`: three RD instances that share one directory over three NATS servers, any
 * of which is killed at random under load for so many minutes. Figures go to stderr.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startVitest } from "vitest/node";

function fail(message: string): never {
  process.stderr.write(`${message}\nusage: npm run shared-authority -- [--minutes N] [--seed N]\n`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      options: { minutes: { type: "string", default: "5" }, seed: { type: "string", default: "1" } },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

const { minutes, seed } = readOptions();
if (!(Number(minutes) > 0)) fail(`--minutes is a number above 0, not ${minutes}`);
if (!Number.isInteger(Number(seed))) fail(`--seed is a whole number, not ${seed}`);
process.env.TRIBUTARY_SHARED_MINUTES = minutes;
process.env.TRIBUTARY_SHARED_SEED = seed;

const vitest = await startVitest("test", ["test/shared-authority/random-kills.test.ts"], {
  config: fileURLToPath(new URL("../vitest.config.ts", import.meta.url)),
  project: ["system"],
  watch: false,
});
await vitest.close();
