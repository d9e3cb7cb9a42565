import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A server under measurement. */
export interface MeasuredProcess {
  readonly port: number;
  /** Resolves when it has ended, however it did. */
  readonly exit: Promise<void>;
  /** What it wrote to stdout so far. */
  stdout(): string;
  /** CPU time that it has used, s. */
  cpuSeconds(): number;
  residentBytes(): number;
  signal(signal: NodeJS.Signals): void;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const READY_TIMEOUT_MS = 120_000;
/** Of `/proc/<pid>/stat`: USER_HZ is 100 on every Linux. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Start one of the servers of this folder; resolves once it says its port. */
export function startServer(
  script: string,
  args: readonly (string | number)[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<MeasuredProcess> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const words = ["--expose-gc", "--max-old-space-size=12000", path, ...args.map(String)];
  return startProcess(process.execPath, words, /^port (\d+)$/m, env);
}

/** Start a process; resolves once it wrote what `ready` matches, whose first group is its port; null: at once. */
export async function startProcess(
  command: string,
  args: readonly string[],
  ready: RegExp | null,
  env: NodeJS.ProcessEnv = {},
): Promise<MeasuredProcess> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  running.add(child);
  const exit = new Promise<void>((resolve) => {
    child.once("exit", () => {
      running.delete(child);
      resolve();
    });
  });
  let text = "";
  const port = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${command} was not ready in time`)), READY_TIMEOUT_MS);
    child.once("error", reject);
    child.once("exit", (status) => reject(new Error(`${command} ${args.join(" ")} ended with ${status}: ${text}`)));
    const take = (chunk: Buffer): void => {
      text += chunk;
      const match = ready?.exec(text) ?? null;
      if (match === null) return;
      clearTimeout(timer);
      resolve(Number(match[1] ?? 0));
    };
    if (ready === null) {
      clearTimeout(timer);
      resolve(0);
    }
    child.stdout.on("data", take);
    child.stderr.on("data", take);
  });
  const pid = child.pid as number;
  return {
    port,
    exit,
    stdout: () => text,
    cpuSeconds() {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    },
    residentBytes: () => Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES,
    signal(signal) {
      child.kill(signal);
    },
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await exit;
    },
  };
}
