import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** The pinned Node itself, not the shell script in `.bin`, so that signals reach it. */
const NODE = join(ROOT, "node_modules/node/bin/node");
const TRIBUTARY = join(ROOT, "packages/cli/bin/tributary.js");

export interface ProcessOptions {
  /** Network namespace to run in. */
  readonly netns?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Words of a command, within a namespace when one is given. */
function inNamespace(command: readonly string[], netns: string | undefined): string[] {
  return netns === undefined ? [...command] : ["ip", "netns", "exec", netns, ...command];
}

/** A process that a test started. It is killed when the test ends, however it ends. */
export class RunningProcess {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly exited: Promise<number | string>;

  constructor(command: readonly string[], options: ProcessOptions = {}) {
    const [program, ...args] = inNamespace(command, options.netns) as [string, ...string[]];
    this.child = spawn(program, args, {
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.exited = new Promise((resolve) => {
      this.child.on("error", (error) => resolve(error.message));
      this.child.on("exit", (code, signal) => resolve(signal ?? code ?? -1));
    });
    this.child.stdin?.on("error", () => {});
    this.child.stdin?.end(options.input ?? "");
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number | string> {
    signalGroup(this.child, signal);
    return this.exited;
  }
}

/** A process and all that it started: the whole group. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, signal);
  } catch {
    // It ended by itself in between.
  }
}

/** Start a process that goes on running; it is killed at the end of the test. */
export function startProcess(command: readonly string[], options: ProcessOptions = {}): RunningProcess {
  const running = new RunningProcess(command, options);
  onTestFinished(async () => void (await running.kill()));
  return running;
}

export interface Finished {
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Run a process to its end, at most `timeoutMs`. */
export async function runProcess(
  command: readonly string[],
  options: ProcessOptions & { timeoutMs?: number } = {},
): Promise<Finished> {
  const running = new RunningProcess(command, options);
  const timer = setTimeout(() => signalGroup(running.child, "SIGKILL"), options.timeoutMs ?? 20_000);
  const status = await running.exited;
  clearTimeout(timer);
  return { status, stdout: running.stdout, stderr: running.stderr };
}

export interface RunningNode extends RunningProcess {
  readonly name: string;
  readonly uris: readonly string[];
}

/** A folder that is removed at the end of the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tributary-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Start `tributary serve` with a configuration file, or with the text of one, and wait for its ready line. */
export async function startNode(
  config: { readonly file: string } | { readonly text: string },
  options: ProcessOptions = {},
): Promise<RunningNode> {
  const file = "file" in config ? config.file : join(temporaryFolder(), "tributary.yaml");
  if ("text" in config) writeFileSync(file, config.text);
  const running = startProcess([NODE, TRIBUTARY, "serve", "-c", file], options);
  const ready = await eventually(
    "the ready line",
    () => /^ready name=(\S+) listen=(\S+)$/m.exec(running.stdout) ?? exitedEarly(running),
    { timeoutMs: 20_000 },
  );
  return Object.assign(running, { name: ready[1] as string, uris: (ready[2] as string).split(",") });
}

function exitedEarly(running: RunningProcess): null {
  if (running.child.exitCode !== null)
    throw new Error(`tributary ended with ${running.child.exitCode}: ${running.stderr}`);
  return null;
}

/** Run a `tributary` command to its end. */
export function runTributary(
  args: readonly string[],
  options: ProcessOptions & { timeoutMs?: number } = {},
): Promise<Finished> {
  return runProcess([NODE, TRIBUTARY, ...args], options);
}

/** Start a `tributary` command that goes on running. */
export function startTributary(args: readonly string[], options: ProcessOptions = {}): RunningProcess {
  return startProcess([NODE, TRIBUTARY, ...args], options);
}

export interface Waiting {
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
}

/**
 * Wait until `check` gives something that is neither null, undefined nor false; an assertion that throws counts as not yet.
 * Fails with the last reason when the time is up.
 */
export async function eventually<T>(
  what: string,
  check: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  waiting: Waiting = {},
): Promise<T> {
  const { timeoutMs = 10_000, intervalMs = 20 } = waiting;
  const endMs = performance.now() + timeoutMs;
  let reason: unknown = "nothing came";
  for (;;) {
    try {
      const value = await check();
      if (value !== null && value !== undefined && value !== false) return value;
    } catch (error) {
      reason = error;
      if (error instanceof Error && error.message.startsWith("tributary ended")) throw error;
    }
    if (performance.now() > endMs) throw new Error(`waited ${timeoutMs} ms for ${what}: ${String(reason)}`);
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
