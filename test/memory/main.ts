/**
 * `npm run memory -- [--minutes 10] [--heap 256]`: an RD and a proxy with heaps of so many megabytes are pressed with registrations of
 * 64 kB and 4 000 links for so many minutes, half of them from one client and half from a hundred. Figures go to stderr.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startVitest } from "vitest/node";

function fail(message: string): never {
  process.stderr.write(`${message}\nusage: npm run memory -- [--minutes N] [--heap MEGABYTES]\n`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      options: { minutes: { type: "string", default: "10" }, heap: { type: "string", default: "256" } },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function positive(name: string, text: string): string {
  return Number(text) > 0 ? text : fail(`--${name} is a number above 0, not ${text}`);
}

const { minutes, heap } = readOptions();
process.env.TRIBUTARY_MEMORY_MINUTES = positive("minutes", minutes);
process.env.TRIBUTARY_MEMORY_HEAP = positive("heap", heap);

const vitest = await startVitest("test", ["test/memory/memory.test.ts"], {
  config: fileURLToPath(new URL("../vitest.config.ts", import.meta.url)),
  project: ["system"],
  watch: false,
});
await vitest.close();
