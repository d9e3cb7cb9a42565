import { type Findings, ms, rate, ratio, type Tell } from "./figures.ts";
import { load } from "./load.ts";
import { startServer } from "./measured-process.ts";
import { startNode, untilLive } from "./node-process.ts";
import { lookupDatagram } from "./workload.ts";

const UPSTREAMS = [1, 2, 4, 8, 16, 32] as const;
const REGISTRATIONS = 200;

/** Lookups that no copy and no cache answers: each is put to every RD. */
export async function measureFanOut(tell: Tell): Promise<Findings> {
  const rows: (string | number)[][] = [];
  const points: { series: string; x: number; y: number }[] = [];
  let alone = 0;
  for (const upstreams of UPSTREAMS) {
    const farm = await startServer("rd-farm.ts", [upstreams, REGISTRATIONS]);
    const ports = (/^ports (.*)$/m.exec(farm.stdout())?.[1] ?? "").split(",");
    const proxy = await startNode({
      lookup: {
        upstreams: ports.map((port, index) => ({
          name: `rd-${index}`,
          uri: `coap://127.0.0.1:${port}`,
          mode: "forward",
        })),
        cache: { entries: 0 },
        concurrency: 1024,
      },
    });
    try {
      await untilLive(proxy);
      const requests = Array.from({ length: REGISTRATIONS }, (_, index) =>
        lookupDatagram(["rd-lookup", "res"], [`rt=model-${index}`]),
      );
      const measured = await load(proxy, requests, { window: 32, warmUpMs: 500, measureMs: 2000 });
      if (upstreams === 1) alone = measured.rate;
      rows.push([
        upstreams,
        rate(measured.rate),
        rate(measured.rate * upstreams),
        ratio(measured.rate / alone),
        ms(measured.p50Ms),
        ms(measured.p99Ms),
        measured.failed + measured.lost,
      ]);
      points.push({ series: "lookups", x: upstreams, y: measured.rate });
      points.push({ series: "requests to RDs", x: upstreams, y: measured.rate * upstreams });
      tell(
        `  ${upstreams} RDs: ${rate(measured.rate)} lookups/s, p50 ${ms(measured.p50Ms)} ms, p99 ${ms(measured.p99Ms)} ms`,
      );
    } finally {
      await proxy.stop();
      await farm.stop();
    }
  }
  return {
    tables: [
      {
        title: "Fan-out",
        about:
          "A proxy in mode forward without a cache: every lookup is put to each of so many RDs, all of which run in one other process, and the union is answered. 32 lookups under way.",
        columns: ["RDs", "lookups/s", "requests/s to RDs", "of one RD", "p50, ms", "p99, ms", "failed"],
        rows,
      },
    ],
    targets: [],
    plots: [
      {
        file: "fan-out",
        title: "Lookups that are forwarded to every RD",
        x: "RDs",
        y: "per second",
        isLogX: true,
        isLogY: true,
        points,
      },
    ],
  };
}
