import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atEnd } from "./lifetime.js";

export interface ProcessOptions {
  readonly cwd?: string;
  /** Network namespace to run in; default: this one. */
  readonly netns?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** What to write to stdin before closing it; default: nothing. */
  readonly input?: string;
}

/** The status of a process that ended by itself, or the signal that ended it. */
export type Exit = number | NodeJS.Signals;

export interface Finished {
  readonly status: Exit;
  readonly stdout: string;
  readonly stderr: string;
  /** It was killed because its time was up. */
  readonly isTimedOut: boolean;
}

export interface RunningProcess {
  readonly pid: number;
  /** What it wrote so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves when it has ended and all its output is read; rejects when it could not be started. */
  readonly exited: Promise<Exit>;
  /** Send a signal to it and to all that it started; resolves when it has ended. */
  kill(signal?: NodeJS.Signals): Promise<Exit>;
  /** Send a signal and go on. */
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL if it does not end within `timeoutMs` (default 5000). */
  stop(timeoutMs?: number): Promise<Exit>;
}

/** Groups of processes to kill should the test runner itself end first. */
const running = new Set<number>();
process.on("exit", () => {
  for (const pid of running) signalGroup(pid, "SIGKILL");
});

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function spawnGroup(command: string, args: readonly string[], { cwd, netns, env }: ProcessOptions): ChildProcess {
  // `ip netns exec` becomes the command, so that signals reach it.
  const words = netns === undefined ? [command, ...args] : ["ip", "netns", "exec", netns, command, ...args];
  return spawn(words[0] as string, words.slice(1), { cwd, env: { ...process.env, ...env }, detached: true });
}

/** Start a process that goes on running. It is killed at the end of the test, however that ends (see `atEnd`). */
export function startProcess(command: string, args: readonly string[], options: ProcessOptions = {}): RunningProcess {
  const child = spawnGroup(command, args, options);
  const pid = child.pid ?? 0;
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
    });
  }
  let hasEnded = pid === 0;
  if (!hasEnded) running.add(pid);
  const exited = new Promise<Exit>((resolve, reject) => {
    child.on("error", reject);
    // Not "exit": what it wrote last is still to be read, and others of its group may live on and hold its output open.
    child.on("close", (status, signal) => {
      hasEnded = true;
      running.delete(pid);
      resolve(signal ?? status ?? 0);
    });
  });
  exited.catch(() => {});
  // A process that does not read its input may end before it is written.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input ?? "");

  const signal = (name: NodeJS.Signals): void => {
    if (!hasEnded) signalGroup(pid, name);
  };
  const kill = (name: NodeJS.Signals = "SIGKILL"): Promise<Exit> => {
    signal(name);
    return exited;
  };
  const stop = async (timeoutMs = 5000): Promise<Exit> => {
    const timer = setTimeout(() => signal("SIGKILL"), timeoutMs);
    return kill("SIGTERM").finally(() => clearTimeout(timer));
  };
  atEnd(async () => {
    signal("SIGKILL");
    await exited.catch(() => {});
  });
  return { pid, stdout: () => output.stdout, stderr: () => output.stderr, exited, kill, signal, stop };
}

/** Run a process to its end; it is killed after `timeoutMs` (default 20 000). */
export async function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions & { readonly timeoutMs?: number } = {},
): Promise<Finished> {
  const started = startProcess(command, args, options);
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    started.signal("SIGKILL");
  }, options.timeoutMs ?? 60_000);
  const status = await started.exited.finally(() => clearTimeout(timer));
  return { status, stdout: started.stdout(), stderr: started.stderr(), isTimedOut };
}

/** Thrown by a condition that can no longer come true: `eventually` then fails at once. */
export class HopelessError extends Error {
  override readonly name = "HopelessError";
}

/**
 * Call `check` again and again until it gives something other than `null`, `undefined` and `false`, and return that. A
 * failed assertion within counts as not yet; so a check may consist of `expect` and end with `return true`.
 * @throws when `timeoutMs` have passed, with `what` was waited for and why it did not come. By default 60 000: how long a thing
 * takes depends on what else the machine does.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 60_000, intervalMs = 20, what = "a condition" } = {},
): Promise<Exclude<T, null | undefined | false>> {
  const endMs = performance.now() + timeoutMs;
  let reason: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value !== null && value !== undefined && value !== false) return value as never;
      reason = undefined;
    } catch (error) {
      if (error instanceof HopelessError) throw error;
      reason = error;
    }
    if (performance.now() > endMs) {
      const why = reason instanceof Error ? `: ${reason.message}` : "";
      throw new Error(`waited ${timeoutMs} ms for ${what}${why}`, { cause: reason });
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

/** Wait until a process has written something; fails at once, with its stderr, when it ends before. */
export async function untilWritten(
  running: RunningProcess,
  stream: "stdout" | "stderr",
  pattern: RegExp,
  timeoutMs = 60_000,
): Promise<RegExpExecArray> {
  let exit: unknown;
  const ended = (how: unknown): void => {
    exit = how;
  };
  running.exited.then(ended, ended);
  const find = (): RegExpExecArray | null => {
    const match = pattern.exec(running[stream]());
    if (match === null && exit !== undefined) throw new HopelessError(`ended with ${exit}: ${running.stderr()}`);
    return match;
  };
  return eventually(find, { timeoutMs, what: `${pattern} on ${stream}` });
}

/** A new folder that is removed at the end of the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tributary-test-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A UDP port that was free a moment ago. For programs that cannot bind port 0 and say what they got; Tributary can. */
export async function freePort(host = "::1"): Promise<number> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject).bind(0, host, resolve);
  });
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
