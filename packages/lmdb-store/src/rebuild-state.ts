import { existsSync, renameSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import type { Clock, Logger } from "@tributary/runtime";
import type { RootDatabase } from "lmdb";
import { openRecords, tableOf } from "./record-table.js";
import { openStateFile, type StateFile } from "./state-file.js";
import { makeFolder, type StatePlace, stateUnavailable } from "./state-folder.js";

/** Outcome of rebuilding damaged state. */
export interface Damage {
  /** What is wrong with the state. */
  readonly problem: string;
  /** Records that were copied to the new folder. */
  readonly kept: number;
  /** Records that are missing from it; undefined: unknown. */
  readonly leftOut: number | undefined;
  /** New path of the damaged folder. */
  readonly setAside: string;
}

export interface RebuildOptions extends StatePlace {
  readonly problem: string;
  readonly openEnvironment: (path: string) => RootDatabase;
  /** Whether a record is useful without those that are missing. */
  readonly isRescued: (table: string, key: string) => boolean;
}

/** Records written in one transaction. */
const BATCH = 5000;

/**
 * Sets a damaged folder aside, and writes its intact records into a new one. When that fails, the damaged folder is restored.
 * @throws {StateError}
 */
export async function rebuildState(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  { path, setting, problem, openEnvironment, isRescued }: RebuildOptions,
): Promise<Damage> {
  const aside = setAside({ path, setting }, clock.wallMs());
  let environment: RootDatabase | undefined;
  try {
    makeFolder({ path, setting });
    environment = openEnvironment(path);
    const file = openStateFile(aside);
    const { kept, leftOut } = file === undefined ? { kept: 0, leftOut: 0 } : await rescue(environment, file, isRescued);
    await environment.close();
    const damage: Damage = { problem, kept, leftOut, setAside: aside };
    const many =
      leftOut === undefined
        ? "an unknown number of records are"
        : leftOut === 1
          ? "1 record is"
          : `${leftOut} records are`;
    logger.error(`stored state is damaged: ${many} left out, the others are used; the damaged folder is set aside`, {
      path,
      ...damage,
    });
    return damage;
  } catch (error) {
    await environment?.close().catch(() => undefined);
    rmSync(path, { recursive: true, force: true });
    renameSync(aside, path);
    throw stateUnavailable({ path, setting }, error);
  }
}

async function rescue(
  environment: RootDatabase,
  file: StateFile,
  isRescued: RebuildOptions["isRescued"],
): Promise<{ readonly kept: number; readonly leftOut: number | undefined }> {
  const records = openRecords(environment);
  let intact = 0;
  let kept = 0;
  try {
    let written: Promise<unknown>[] = [];
    for (const { key, record } of file.intactRecords()) {
      intact++;
      const table = tableOf(key);
      if (!isRescued(table, key.toString("utf8").slice(table.length + 1))) continue;
      kept++;
      written.push(records.put(Buffer.from(key), Buffer.from(record)));
      if (written.length < BATCH) continue;
      await Promise.all(written);
      written = [];
    }
    await Promise.all(written);
    const count = file.recordCount();
    return { kept, leftOut: count === undefined ? undefined : Math.max(0, count - intact) };
  } finally {
    file.close();
  }
}

/** Renames a folder to `….damaged-<time>`; returns the new path. @throws {StateError} */
export function setAside({ path, setting }: StatePlace, wallMs: number): string {
  const name = `${resolve(path)}.damaged-${new Date(wallMs).toISOString().replace(/[:.]/g, "-")}`;
  let aside = name;
  for (let count = 2; existsSync(aside); count++) aside = `${name}-${count}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    throw stateUnavailable({ path, setting }, error);
  }
  return aside;
}
