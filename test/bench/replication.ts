import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openCoapClient } from "@tributary/coap-transport";
import { checkConfig, createNode, type Node, systemEnvironment, systemNetwork } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { atMost, type Findings, ms, percentile, type Tell } from "./figures.ts";
import type { MeasuredProcess } from "./measured-process.ts";
import { startServer } from "./measured-process.ts";
import { type Live, startNode, untilLive } from "./node-process.ts";

const REGISTRATIONS = 100_000;
const CHANGES = 1_000;
const CHANGE_PAUSE_MS = 5;

/** How long a copy takes, what resuming costs, and how soon a change is seen. */
export async function measureReplication(tell: Tell): Promise<Findings> {
  const rd = await startServer("directory-server.ts", [REGISTRATIONS]);
  try {
    const udp = await copy(rd, "coap");
    tell(
      `  copy of ${REGISTRATIONS} over UDP: ${ms(udp.first.ms)} ms, ${udp.first.bytes} bytes; resumed: ${ms(udp.resumed.ms)} ms, ${udp.resumed.bytes} bytes`,
    );
    const tcp = await copy(rd, "coap+tcp");
    tell(`  over TCP: ${ms(tcp.first.ms)} ms, ${tcp.first.bytes} bytes`);
    const latencies = await changesUntilVisible(rd);
    const p50 = percentile(latencies, 0.5);
    const p99 = percentile(latencies, 0.99);
    tell(`  change to visible: p50 ${ms(p50)} ms, p99 ${ms(p99)} ms`);
    const row = (what: string, live: Live) => [what, ms(live.ms), Math.round(live.bytes / 1024), live.registrations];
    return {
      tables: [
        {
          title: "Replication",
          about: `A proxy that follows an RD with ${REGISTRATIONS} registrations: from its start until it has everything; and again after a restart with a snapshot, when nothing has changed.`,
          columns: ["", "ms", "KiB received", "registrations"],
          rows: [
            row("first copy, UDP", udp.first),
            row("first copy, TCP", tcp.first),
            row("resumed from the snapshot, UDP", udp.resumed),
          ],
        },
        {
          title: "From the RD's 2.01 to the proxy",
          about: `${CHANGES} registrations, one every ${CHANGE_PAUSE_MS} ms, at an RD with ${REGISTRATIONS}: time between the arrival of the answer at the endpoint and the moment at which the proxy shows it. Negative: the proxy was faster than the answer.`,
          columns: ["p50, ms", "p90, ms", "p99, ms", "longest, ms"],
          rows: [[ms(p50), ms(percentile(latencies, 0.9)), ms(p99), ms(Math.max(...latencies))]],
        },
      ],
      targets: [
        atMost(`full copy of ${REGISTRATIONS} over UDP`, 30, udp.first.ms / 1000, "s"),
        atMost(`full copy of ${REGISTRATIONS} over TCP`, 5, tcp.first.ms / 1000, "s"),
        atMost(`change visible at the proxy, p99, with ${REGISTRATIONS}`, 20, p99, "ms"),
      ],
      plots: [
        {
          file: "change-to-visible",
          title: "From the RD's 2.01 to the proxy",
          x: "share of changes, %",
          y: "ms",
          isLogX: false,
          isLogY: false,
          points: Array.from({ length: 100 }, (_, percent) => ({
            series: "seen within",
            x: percent,
            y: percentile(latencies, percent / 100),
          })),
        },
      ],
    };
  } finally {
    await rd.stop();
  }
}

async function copy(rd: MeasuredProcess, scheme: string): Promise<{ first: Live; resumed: Live }> {
  const folder = mkdtempSync(join(tmpdir(), "tributary-bench-"));
  const config = {
    lookup: { upstreams: [{ name: "rd", uri: `${scheme}://127.0.0.1:${rd.port}` }] },
    snapshot: join(folder, "lp"),
  };
  try {
    const proxy = await startNode(config);
    const first = await untilLive(proxy);
    await proxy.stop();
    const again = await startNode(config);
    const resumed = await untilLive(again);
    await again.stop();
    return { first, resumed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function changesUntilVisible(rd: MeasuredProcess): Promise<number[]> {
  const env = systemEnvironment(silentLogger);
  const proxy = await openProxy(`coap://127.0.0.1:${rd.port}`);
  const client = await openCoapClient({ env }, {});
  try {
    while (!proxy.upstreams().every(({ phase }) => phase === "live")) await delay(20);
    const seen = new Map<string, number>();
    proxy.directory.on("visible", ({ ep }) => seen.set(ep, performance.now()));
    const latencies: number[] = [];
    const register = async (ep: string): Promise<void> => {
      await client.request({
        method: 2,
        uri: `coap://127.0.0.1:${rd.port}/rd`,
        query: [`ep=${ep}`, "base=coap://changed.example"],
        contentFormat: 40,
        payload: Buffer.from('</t>;rt="changed"'),
      });
      const answeredMs = performance.now();
      while (!seen.has(ep)) await new Promise((resolve) => setImmediate(resolve));
      latencies.push((seen.get(ep) ?? 0) - answeredMs);
    };
    for (let index = 0; index < CHANGES; index++) {
      await register(`changed-${index}`);
      await delay(CHANGE_PAUSE_MS);
    }
    return latencies;
  } finally {
    await client.close();
    await proxy.close();
  }
}

async function openProxy(uri: string): Promise<Node> {
  const text = JSON.stringify({
    name: "bench",
    listen: ["coap://127.0.0.1:0"],
    http: false,
    lookup: { upstreams: [{ name: "rd", uri }] },
  });
  const checked = checkConfig(text, "bench.yaml");
  if (!checked.ok) throw new Error("the configuration of the benchmark is wrong");
  const env = systemEnvironment(silentLogger);
  const { limits, amplification } = checked.config;
  return createNode(
    { env, network: systemNetwork(env, limits, amplification), nodeId: "0123456789abcdef" },
    checked.config,
  );
}
