// A process that asks an RD and a proxy for one registration, again and again, and notes how long that takes, beside nothing else: what
// it measures is not the time that it waits for a turn of its own. On SIGTERM it writes what it found to a file.
// Arguments: the file, the URI of the RD, that of the proxy.
import { writeFileSync } from "node:fs";
import { CODE, METHOD, openCoapClient } from "@tributary/coap-transport";
import { parseLinkFormat } from "@tributary/link-model";
import { silentLogger, systemClock } from "@tributary/runtime";

/** What was asked of two nodes. */
export interface AskedLookups {
  /** Durations of the answered lookups, ms. */
  readonly durationsMs: { readonly rd: number[]; readonly lp: number[] };
  /** Lookups without the one registration in their result, in words. */
  readonly failures: string[];
}

const LOOKUP_PAUSE_MS = 250;

const [file = "", rd = "", lp = ""] = process.argv.slice(2);
const client = await openCoapClient({ env: { clock: systemClock(), random: Math.random, logger: silentLogger } });
const asked: AskedLookups = { durationsMs: { rd: [], lp: [] }, failures: [] };
let isOver = false;

async function ask(name: "rd" | "lp", uri: string): Promise<void> {
  while (!isOver) {
    const startMs = performance.now();
    try {
      const { code, payload } = await client.request({
        method: METHOD.GET,
        uri: `${uri}/rd-lookup/ep`,
        query: ["ep=modest"],
      });
      asked.durationsMs[name].push(performance.now() - startMs);
      const found = parseLinkFormat(payload);
      const count = found.ok ? found.links.length : 0;
      if (code !== CODE.CONTENT || count !== 1) asked.failures.push(`${name} shows ${count} of 1, code ${code}`);
    } catch (error) {
      asked.failures.push(`${name}: ${String(error)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOKUP_PAUSE_MS));
  }
}

const done = Promise.all([ask("rd", rd), ask("lp", lp)]);
process.once("SIGTERM", async () => {
  isOver = true;
  await done;
  writeFileSync(file, JSON.stringify(asked));
  await client.close();
});
process.stdout.write("ready\n");
