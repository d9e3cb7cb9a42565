import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Sample } from "./trend.ts";

/** A `tributary serve` with a probe in it. */
export interface SoakedNode {
  readonly uri: string;
  readonly samples: readonly Sample[];
  /** Lines that it logged as errors. */
  readonly errors: readonly string[];
  /** Status or signal with which it ended, before it was asked to; null while it runs. */
  readonly ended: number | string | null;
  stop(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL("../../packages/cli/bin/tributary.js", import.meta.url));
const PROBE = new URL("probe.mjs", import.meta.url).href;
const READY_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

/** Start a node and wait for its ready line. */
export async function startSoakedNode(config: object): Promise<SoakedNode> {
  const folder = mkdtempSync(join(tmpdir(), "tributary-soak-"));
  const file = join(folder, "node.yaml");
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML
  const child = spawn(process.execPath, ["--expose-gc", "--import", PROBE, PROGRAM, "serve", "-c", file], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const samples: Sample[] = [];
  const errors: string[] = [];
  let ended: number | string | null = null;
  const exit = new Promise<void>((resolve) => {
    child.once("exit", (status, signal) => {
      ended = status ?? signal;
      rmSync(folder, { recursive: true, force: true });
      resolve();
    });
  });
  child.on("message", (sample) => samples.push(sample as Sample));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    for (const line of text.split("\n")) if (/^\S+ error /.test(line)) errors.push(line);
  });
  const uri = await readyUri(child);
  return {
    uri,
    samples,
    errors,
    get ended() {
      return ended;
    },
    async stop() {
      child.kill("SIGTERM");
      const cut = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await exit;
      clearTimeout(cut);
    },
  };
}

function readyUri(child: ReturnType<typeof spawn>): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => fail("it was not ready in time"), READY_TIMEOUT_MS);
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill("SIGKILL");
      reject(new Error(`the node did not start: ${why}`));
    };
    child.once("exit", (status) => fail(`it ended with ${status}`));
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const listen = /^ready name=\S+ listen=([^\s,]+)/m.exec(text)?.[1];
      if (listen === undefined) return;
      clearTimeout(timer);
      resolve(listen);
    });
  });
}
