import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Findings, ms, percentile, type Tell } from "./figures.ts";
import { load } from "./load.ts";
import { startNode } from "./node-process.ts";
import { registrationDatagram } from "./workload.ts";

const REGISTRATIONS = 100_000;
const STARTS = 5;

/** From the start of the process until it serves, with nothing and with what was kept. */
export async function measureStart(tell: Tell): Promise<Findings> {
  const bare: number[] = [];
  for (let count = 0; count < STARTS; count++) bare.push(await timeToServe({ registration: {} }));
  const folder = mkdtempSync(join(tmpdir(), "tributary-bench-"));
  const config = { registration: { store: `lmdb:${folder}/rd` } };
  try {
    const requests = Array.from({ length: REGISTRATIONS }, (_, index) => registrationDatagram(index));
    const server = await startNode(config);
    let kept = 0;
    for (let round = 0; round < 20 && kept < REGISTRATIONS; round++)
      kept += (await load(server, requests.slice(kept), { window: 512, warmUpMs: 0, measureMs: 4000 })).answers;
    await server.stop();
    const filled: number[] = [];
    for (let count = 0; count < STARTS; count++) filled.push(await timeToServe(config));
    const row = (what: string, took: readonly number[]) => [what, ms(percentile(took, 0.5)), ms(Math.max(...took))];
    tell(
      `  cold start: ${ms(percentile(bare, 0.5))} ms; with ${REGISTRATIONS} registrations kept by lmdb: ${ms(percentile(filled, 0.5))} ms`,
    );
    return {
      tables: [
        {
          title: "Cold start",
          about: `From the start of the process until its port is bound and everything that was kept is served again; ${STARTS} times. What is kept is read through by a process of its own first.`,
          columns: ["", "median, ms", "longest, ms"],
          rows: [
            row("an RD without registrations", bare),
            row(`an RD with ${REGISTRATIONS} registrations kept by lmdb`, filled),
          ],
        },
      ],
      targets: [],
      plots: [],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function timeToServe(config: object): Promise<number> {
  const startMs = performance.now();
  const server = await startNode(config);
  const tookMs = performance.now() - startMs;
  await server.stop();
  return tookMs;
}
