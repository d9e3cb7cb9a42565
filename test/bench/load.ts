import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LoadPlan, LoadResult } from "./load-generator.ts";
import type { MeasuredProcess } from "./measured-process.ts";

/** A measured load. */
export interface Load extends LoadResult {
  /** Answers a second. */
  readonly rate: number;
  /** CPU time of the server for each answer, µs; what it does by the way included. */
  readonly cpuMicrosEach: number;
  /** Share of one core that the server used. */
  readonly serverShare: number;
  /** The generator used its core up while the server had time left: the server could do more. */
  readonly isGeneratorBound: boolean;
}

export interface LoadOptions {
  readonly window?: number;
  readonly sockets?: number;
  readonly warmUpMs?: number;
  readonly measureMs?: number;
}

const GENERATOR = fileURLToPath(new URL("load-generator.ts", import.meta.url));
const BUSY = 0.95;

/** Ask `server` with these datagrams, over and over, as fast as it answers. */
export async function load(
  server: MeasuredProcess,
  requests: readonly Buffer[],
  { window = 64, sockets = 8, warmUpMs = 1000, measureMs = 3000 }: LoadOptions = {},
): Promise<Load> {
  const folder = mkdtempSync(join(tmpdir(), "tributary-bench-"));
  try {
    const file = join(folder, "requests");
    writeFileSync(file, requests.map((request) => request.toString("hex")).join("\n"));
    const plan: LoadPlan = {
      host: "127.0.0.1",
      port: server.port,
      requests: file,
      window,
      sockets,
      warmUpMs,
      measureMs,
    };
    const before = server.cpuSeconds();
    const startMs = performance.now();
    const result = await generate(plan);
    const cpuSeconds = server.cpuSeconds() - before;
    const seconds = (performance.now() - startMs) / 1000;
    const rate = result.answers / result.seconds;
    const asked = rate * ((warmUpMs + measureMs) / 1000);
    const serverShare = cpuSeconds / seconds;
    const generatorShare = result.cpuSeconds / result.seconds;
    return {
      ...result,
      rate,
      cpuMicrosEach: asked === 0 ? 0 : (cpuSeconds / asked) * 1e6,
      serverShare,
      isGeneratorBound: generatorShare > BUSY && serverShare < BUSY,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function generate(plan: LoadPlan): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [GENERATOR, JSON.stringify(plan)], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.once("error", reject);
    child.once("exit", (status) => {
      if (status === 0) resolve(JSON.parse(text) as LoadResult);
      else reject(new Error(`the load generator ended with ${status}`));
    });
  });
}
