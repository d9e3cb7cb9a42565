import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCoapClient } from "@tributary/coap-transport";
import { silentLogger, systemClock } from "@tributary/runtime";
import { atLeast, type Findings, ms, rate, ratio, type Tell } from "./figures.ts";
import { type Load, load } from "./load.ts";
import { measureEcho } from "./lookups.ts";
import { startNode } from "./node-process.ts";
import { linksOf, registrationDatagram, registrationOf, renewalDatagram } from "./workload.ts";

const REGISTRATIONS = 200_000;
const RENEWED = 2_000;
/** So many are under way at once: writes of one moment share a commit. */
const DURABLE_WINDOW = 512;

/** New registrations and renewals, in memory and on disk. */
export async function measureRegistrations(tell: Tell): Promise<Findings> {
  const requests = Array.from({ length: REGISTRATIONS }, (_, index) => registrationDatagram(index));
  const echo = await measureEcho(24, requests);
  const rows: (string | number)[][] = [];
  const rates = new Map<string, number>();
  for (const store of ["memory", "lmdb"] as const) {
    const folder = mkdtempSync(join(tmpdir(), "tributary-bench-"));
    const window = store === "lmdb" ? DURABLE_WINDOW : 64;
    const config = { registration: { store: store === "lmdb" ? `lmdb:${folder}/rd` : "memory" } };
    try {
      const server = await startNode(config);
      // There are enough of them for every one to be new.
      const fresh = await load(server, requests, { window, warmUpMs: 1000, measureMs: 2500 });
      await server.stop();
      const second = await startNode({
        registration: { store: store === "lmdb" ? `lmdb:${folder}/second` : "memory" },
      });
      const locations = await register(second.port);
      const renewal = await load(second, locations.map(renewalDatagram), { window });
      await second.stop();
      for (const [what, one] of [
        ["new", fresh],
        ["renewal", renewal],
      ] as const) {
        rates.set(`${store} ${what}`, one.rate);
        rows.push([store, what, window, ...columns(one, echo)]);
        tell(
          `  ${store} ${what}: ${rate(one.rate)}/s, ${ratio(one.rate / echo.rate)} of the echo, ${one.failed + one.lost} failed`,
        );
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return {
    tables: [
      {
        title: "Registrations and renewals",
        about: `Registrations of three links each, every one of another endpoint, and renewals of ${RENEWED} registrations. With lmdb each is on disk before it is acknowledged; those that come at the same time share a write.`,
        columns: ["store", "request", "under way", "per second", "of the echo", "p50, ms", "p99, ms", "CPU each, µs"],
        rows,
      },
    ],
    targets: [
      atLeast("new registrations in memory, of the echo", 0.3, (rates.get("memory new") ?? 0) / echo.rate),
      atLeast("durable registrations a second (lmdb)", 5000, rates.get("lmdb new") ?? 0),
    ],
    plots: [],
  };
}

function columns(one: Load, echo: Load): string[] {
  return [rate(one.rate), ratio(one.rate / echo.rate), ms(one.p50Ms), ms(one.p99Ms), one.cpuMicrosEach.toFixed(1)];
}

/** Register some endpoints; the paths that they got. */
async function register(port: number): Promise<(readonly string[])[]> {
  const env = { clock: systemClock(), random: Math.random, logger: silentLogger };
  const client = await openCoapClient({ env }, {});
  try {
    const one = async (index: number): Promise<readonly string[]> => {
      const { ep, d = "", base } = registrationOf(index, 0);
      const { locationPath } = await client.request({
        method: 2,
        uri: `coap://127.0.0.1:${port}/rd`,
        query: [`ep=${ep}`, `d=${d}`, `base=${base}`],
        contentFormat: 40,
        payload: Buffer.from(linksOf(index)),
      });
      return locationPath;
    };
    const paths: (readonly string[])[] = [];
    for (let index = 0; index < RENEWED; index++) paths.push(await one(index));
    return paths;
  } finally {
    await client.close();
  }
}
