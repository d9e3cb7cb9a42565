import { execFile } from "node:child_process";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Logger } from "@tributary/coap-transport";
import { open, type RootDatabase } from "lmdb";
import { StateError } from "./errors.js";
import { observeFailedCommits } from "./failed-commits.js";
import { lockFolder } from "./folder-lock.js";

export interface OpenStateDeps {
  readonly logger: Logger;
  /** Wall clock, ms: names what is set aside. */
  readonly wallMs: () => number;
}

export interface OpenStateOptions {
  /** Folder of the databases; made when it is missing. */
  readonly path: string;
  /** Version of the format of the records. */
  readonly format: number;
}

/** Databases that are open for this process alone. */
export interface OpenState {
  readonly environment: RootDatabase;
  /** Where earlier contents were put that could not be read; absent: there were none. */
  readonly setAside?: string;
  close(): Promise<void>;
}

const MAX_DATABASES = 8;
/** Reading through a very large state must not keep the start waiting for ever, ms. */
const READ_THROUGH_MS = 120_000;

/**
 * Open a folder of databases. Contents that cannot be read, or that have another format, are set aside under another name and
 * never prevent the start. @throws {StateError}
 */
export async function openState(deps: OpenStateDeps, { path, format }: OpenStateOptions): Promise<OpenState> {
  const setAside = await setAsideUnlessSound(deps, path, format);
  const unlock = claimFolder(path);
  try {
    // Without overlap a write is on disk when its promise resolves; all writes of a moment share one commit. Transactions
    // keep their place among single writes.
    const environment = open({ path, maxDbs: MAX_DATABASES, overlappingSync: false, strictAsyncOrder: true });
    observeFailedCommits(environment, { logger: deps.logger, path });
    const meta = environment.openDB<number, string>({ name: "meta", encoding: "json" });
    await meta.put("format", format);
    const close = async () => {
      try {
        // What could not be written was told to whoever wanted it written.
        await environment.flushed.then(
          () => undefined,
          () => undefined,
        );
        await environment.close();
      } finally {
        unlock();
      }
    };
    return { environment, ...(setAside === undefined ? {} : { setAside }), close };
  } catch (error) {
    unlock();
    throw unavailable(path, error);
  }
}

function claimFolder(path: string): () => void {
  try {
    mkdirSync(path, { recursive: true });
    return lockFolder(path);
  } catch (error) {
    throw error instanceof StateError ? error : unavailable(path, error);
  }
}

async function setAsideUnlessSound({ logger, wallMs }: OpenStateDeps, path: string, format: number) {
  if (!existsSync(join(path, "data.mdb"))) return undefined;
  // Whoever uses it finds it sound; to look into it meanwhile would tell nothing.
  claimFolder(path)();
  const problem = await readThrough(path, format);
  if (problem === null) return undefined;
  const aside = freeName(`${path}.damaged-${new Date(wallMs()).toISOString().replace(/[:.]/g, "-")}`);
  try {
    renameSync(path, aside);
  } catch (error) {
    throw unavailable(path, error);
  }
  logger.error("kept state cannot be read and is set aside", { path, aside, problem });
  return aside;
}

function freeName(name: string): string {
  for (let count = 1; ; count++) {
    const candidate = count === 1 ? name : `${name}-${count}`;
    if (!existsSync(candidate)) return candidate;
  }
}

/** What the program that reads state through says when all of it could be read. */
const SOUND = "sound";

/** Why the state in `path` cannot be used, or null. */
async function readThrough(path: string, format: number): Promise<string | null> {
  const program = fileURLToPath(new URL(`./read-through${extname(import.meta.url)}`, import.meta.url));
  return new Promise((resolve) => {
    const options = { timeout: READ_THROUGH_MS, env: { ...process.env, NODE_NO_WARNINGS: "1" } };
    const child = execFile(process.execPath, [program, path, String(format)], options, (error, stdout, stderr) => {
      if (error === null || stdout.includes(SOUND)) resolve(null);
      else resolve(stdout || lastLine(stderr) || `reading it ended with ${error.signal ?? `status ${error.code}`}`);
    });
    // The database may hang while the process ends. What it found is said before that, and does not depend on it.
    child.stdout?.on("data", (text: string) => {
      if (text.includes(SOUND)) child.kill("SIGKILL");
    });
  });
}

function lastLine(text: string): string {
  return (
    text
      .split("\n")
      .filter((line) => /Error/.test(line))
      .at(-1)
      ?.trim() ?? ""
  );
}

function unavailable(path: string, error: unknown): StateError {
  return new StateError("STATE_UNAVAILABLE", `state cannot be kept in ${path}: ${(error as Error).message}`);
}
