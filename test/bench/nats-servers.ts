import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type MeasuredProcess, startProcess } from "./measured-process.ts";

const COMMAND = fileURLToPath(new URL("../../.test-peers/venv/bin/nats-server", import.meta.url));
const SERVERS = 3;

/** A cluster of NATS servers on loopback that flush every write to disk. */
export interface NatsServers {
  readonly uris: readonly string[];
  /** Memory of the largest one. */
  residentBytes(): number;
  stop(): Promise<void>;
}

/** Starts the servers; resolves when all of them serve JetStream. */
export async function startNatsServers(): Promise<NatsServers> {
  const folder = mkdtempSync(join(tmpdir(), "tributary-bench-"));
  const ports = await freePorts(SERVERS * 3);
  const portOf = (kind: number, server: number): number => ports[kind * SERVERS + server] as number;
  const each = Array.from({ length: SERVERS }, (_, server) => server);
  const routes = each.map((server) => `"nats://127.0.0.1:${portOf(1, server)}"`).join(", ");
  const processes: MeasuredProcess[] = [];
  for (const server of each) {
    const files = join(folder, `n${server}`);
    mkdirSync(files);
    const lines = [
      `server_name: n${server}`,
      `listen: "127.0.0.1:${portOf(0, server)}"`,
      `http: "127.0.0.1:${portOf(2, server)}"`,
      `jetstream { store_dir: "${files}", sync_interval: always }`,
      `cluster { name: bench, listen: "127.0.0.1:${portOf(1, server)}", routes: [${routes}] }`,
    ];
    writeFileSync(`${files}.conf`, `${lines.join("\n")}\n`);
    processes.push(await startProcess(COMMAND, ["-c", `${files}.conf`], null));
  }
  for (const server of each) await untilHealthy(`http://127.0.0.1:${portOf(2, server)}/healthz`);
  return {
    uris: each.map((server) => `nats://127.0.0.1:${portOf(0, server)}`),
    residentBytes: () => Math.max(...processes.map((one) => one.residentBytes())),
    async stop() {
      await Promise.all(processes.map((one) => one.stop("SIGKILL")));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function untilHealthy(uri: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    const isHealthy = await fetch(uri).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isHealthy) return;
    if (performance.now() > endMs) throw new Error(`${uri} is not healthy`);
    await delay(50);
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(
    servers.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
