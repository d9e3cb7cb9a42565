import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { StateError } from "./errors.js";

/** Where state is kept, and the setting that says so. */
export interface StatePlace {
  readonly path: string;
  /** Key of the configuration, for messages. */
  readonly setting: string;
}

/**
 * Make a folder and what is missing above it, one after the other: on some file systems, such as /proc, a recursive mkdir of
 * Node never returns. @throws {StateError} `STATE_UNAVAILABLE`
 */
export function makeFolder(place: StatePlace): void {
  const missing: string[] = [];
  let folder = resolve(place.path);
  while (!existsSync(folder) && dirname(folder) !== folder) {
    missing.push(folder);
    folder = dirname(folder);
  }
  if (!isFolder(folder)) throw stateUnavailable(place, new Error(`${folder} is not a folder`));
  for (const next of missing.reverse()) {
    try {
      mkdirSync(next);
    } catch (error) {
      // Another process may have been faster.
      if (!isFolder(next)) throw stateUnavailable(place, error);
    }
  }
}

/** The error for state that cannot be kept, with its cause and what to do. */
export function stateUnavailable({ path, setting }: StatePlace, error: unknown): StateError {
  const { code, message } = error as NodeJS.ErrnoException;
  const cause = (code !== undefined && CAUSES[code]) || message;
  const remedy = (code !== undefined && REMEDIES[code]) || "name a folder on a disk that this user may write to";
  return new StateError(
    "STATE_UNAVAILABLE",
    `${setting}: state cannot be kept in ${resolve(path)}: ${cause}; ${remedy}`,
  );
}

const CAUSES: Readonly<Record<string, string>> = {
  EACCES: "no permission (EACCES)",
  EPERM: "not permitted (EPERM)",
  EROFS: "the file system is read-only (EROFS)",
  ENOSPC: "the disk is full (ENOSPC)",
  EDQUOT: "the quota of this user is used up (EDQUOT)",
  ENOENT: "the folder cannot be made there (ENOENT)",
  ENOTDIR: "a part of the path is a file (ENOTDIR)",
  ENAMETOOLONG: "the path is too long (ENAMETOOLONG)",
};

const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: "give this user the right to write there, or name another folder",
  EPERM: "give this user the right to write there, or name another folder",
  ENOSPC: "make room, or name a folder on another disk",
  EDQUOT: "make room, or name a folder on another disk",
};

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
