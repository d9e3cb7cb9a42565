import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { StateError } from "./errors.js";

/** The folder of stored state, and the setting that names it. */
export interface StatePlace {
  readonly path: string;
  /** Configuration key, for messages. */
  readonly setting: string;
}

/**
 * Creates a folder and its missing parents, one by one: on some file systems, such as /proc, the recursive mkdir of Node never
 * returns. @throws {StateError} `STATE_UNAVAILABLE`
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

/** Creates the error for a folder that cannot be used, with its cause and a remedy. */
export function stateUnavailable({ path, setting }: StatePlace, error: unknown): StateError {
  const { code, message } = error as NodeJS.ErrnoException;
  const cause = (code !== undefined && CAUSES[code]) || message;
  const remedy = (code !== undefined && REMEDIES[code]) || "name a folder on a disk that this user may write to";
  return new StateError(
    "STATE_UNAVAILABLE",
    `${setting}: state cannot be stored in ${resolve(path)}: ${cause}; ${remedy}`,
  );
}

const CAUSES: Readonly<Record<string, string>> = {
  EACCES: "no permission (EACCES)",
  EPERM: "not permitted (EPERM)",
  EROFS: "the file system is read-only (EROFS)",
  ENOSPC: "the disk is full (ENOSPC)",
  EDQUOT: "the quota of this user is used up (EDQUOT)",
  ENOENT: "the folder cannot be created there (ENOENT)",
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
