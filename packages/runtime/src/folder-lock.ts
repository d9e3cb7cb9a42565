import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const LOCK_FILE = "owner";

/** A folder that this process alone uses now, or who has it. */
export type FolderLock =
  | {
      readonly kind: "locked";
      /** Gives the folder up. */
      readonly unlock: () => void;
    }
  /** `by` completes the sentence "the folder is …". */
  | { readonly kind: "taken"; readonly by: string };

/** Locks `folder` for this process. The lock of a process that has ended, in any way, is ignored. */
export function lockFolder(folder: string): FolderLock {
  const file = join(folder, LOCK_FILE);
  for (let tries = 0; tries < 3; tries++) {
    if (claim(file)) return { kind: "locked", unlock: () => rmSync(file, { force: true }) };
    const owner = ownerOf(file);
    if (owner !== null && isRunning(owner)) return { kind: "taken", by: `in use by process ${owner.pid}` };
    rmSync(file, { force: true });
  }
  return { kind: "taken", by: "claimed by several processes at once" };
}

interface Owner {
  readonly pid: number;
  /** Start time, which distinguishes processes with the same pid; empty where it is not known. */
  readonly startedAt: string;
}

function claim(file: string): boolean {
  try {
    const handle = openSync(file, "wx");
    writeSync(handle, `${process.pid} ${startOf(process.pid)}\n`);
    closeSync(handle);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function ownerOf(file: string): Owner | null {
  try {
    const [pid = "", startedAt = ""] = readFileSync(file, "utf8").trim().split(" ");
    return /^\d+$/.test(pid) ? { pid: Number(pid), startedAt } : null;
  } catch {
    return null;
  }
}

function isRunning({ pid, startedAt }: Owner): boolean {
  // The file may be from an earlier process with this pid, as in a restarted container.
  if (pid === process.pid) return startedAt === startOf(pid);
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return startedAt === startOf(pid);
}

/**
 * Returns the start time of a process in kernel ticks (Linux: field 22 of `stat`); empty on other systems. A zombie counts as
 * another process.
 */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" || state === "X" ? "ended" : (fields[18] ?? "");
  } catch {
    return "";
  }
}
