import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@tributary/runtime";
import { freeTcpPorts } from "./free-ports.js";

const SERVERS = 3;
const PROGRAM = "nats-server";
/** Time for the servers to accept connections, ms, and pause between looks. */
const START_MS = 20_000;
const LOOK_MS = 50;
const REMEDY = `the scenario runs three servers of NATS: install ${PROGRAM} 2.14 or later, and have it in PATH`;

/** A database of three servers, each a process of its own with files in a temporary folder. */
export interface DemoDatabase {
  /** URIs of the servers, for instances. */
  readonly uris: readonly string[];
  /** Ends one server at once. */
  kill(at: number): void;
  /** Ends all of them, and removes their files. */
  close(): void;
}

/** Starts the servers; resolves when they accept connections. Rejects, with what to do, where that is impossible. */
export async function openDemoDatabase(clock: Clock): Promise<DemoDatabase> {
  const folder = mkdtempSync(join(tmpdir(), "tributary-demo-"));
  const ports = await freeTcpPorts(2 * SERVERS);
  const clients = ports.slice(0, SERVERS);
  const routes = ports.slice(SERVERS);
  const problem: { text?: string } = {};
  const processes = clients.map((port, at) => {
    const file = join(folder, `n${at + 1}.conf`);
    writeFileSync(file, configuration({ at, port, routes, folder }));
    return startServer(file, (text) => {
      problem.text ??= text;
    });
  });
  const close = () => {
    for (const process of processes) process.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    await Promise.all(clients.map((port) => untilListening(clock, port, problem)));
  } catch (error) {
    close();
    throw error;
  }
  return {
    uris: clients.map((port) => `nats://127.0.0.1:${port}`),
    kill: (at) => void processes[at]?.kill("SIGKILL"),
    close,
  };
}

function startServer(file: string, onProblem: (text: string) => void): ChildProcess {
  const process = spawn(PROGRAM, ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  process.stderr?.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-1000);
  });
  process.on("error", (error) => onProblem(`${PROGRAM} cannot be started (${error.message}); ${REMEDY}`));
  process.on("exit", (code) => {
    if (code !== null) onProblem(`${PROGRAM} ended with status ${code}: ${log.trim().split("\n").at(-1) ?? ""}`);
  });
  return process;
}

interface ServerPlan {
  readonly at: number;
  readonly port: number;
  readonly routes: readonly number[];
  readonly folder: string;
}

function configuration({ at, port, routes, folder }: ServerPlan): string {
  const files = join(folder, `n${at + 1}`);
  mkdirSync(files);
  return [
    `server_name: n${at + 1}`,
    `listen: "127.0.0.1:${port}"`,
    `jetstream { store_dir: "${files}", sync_interval: always }`,
    "cluster {",
    "  name: demo",
    `  listen: "127.0.0.1:${routes[at]}"`,
    `  routes: [${routes.map((route) => `"nats://127.0.0.1:${route}"`).join(", ")}]`,
    "}",
    "",
  ].join("\n");
}

async function untilListening(clock: Clock, port: number, problem: { readonly text?: string }): Promise<void> {
  const untilMs = clock.nowMs() + START_MS;
  while (!(await isListening(port))) {
    if (problem.text !== undefined) throw new Error(problem.text);
    if (clock.nowMs() >= untilMs) throw new Error(`${PROGRAM} does not accept connections; ${REMEDY}`);
    await new Promise<void>((resolve) => clock.setTimer(LOOK_MS, resolve));
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
