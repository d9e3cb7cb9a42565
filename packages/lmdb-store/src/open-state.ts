import { type Clock, type Logger, lockFolder } from "@tributary/runtime";
import { open, type RootDatabase } from "lmdb";
import { checkWithLmdb } from "./check-with-lmdb.js";
import { StateError } from "./errors.js";
import { observeFailedCommits } from "./failed-commits.js";
import { isFormat1, type Migration, migrateFormat1 } from "./format-1-migration.js";
import { type Damage, rebuildState } from "./rebuild-state.js";
import { openRecords, RECORDS, type Records, RecordTable } from "./record-table.js";
import { FORMAT } from "./sealed-record.js";
import { openStateFile, type StateReport } from "./state-file.js";
import { makeFolder, type StatePlace, stateUnavailable } from "./state-folder.js";
import { hostUptime } from "./time/host-uptime.js";
import { type ClockAnchor, type HostUptime, packAnchor, readAnchor, StateClock } from "./time/state-clock.js";

/** Collaborators of `openState`. */
export interface OpenStateDeps {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Uptime of the host. Default: that of Linux. */
  readonly hostUptime?: () => HostUptime | null;
}

/** Settings of `openState`. */
export interface OpenStateOptions extends StatePlace {
  /** Tables that are useful even when some of their records are lost. */
  readonly rescued: ReadonlySet<string>;
  /** Converts records of format 1. */
  readonly migrate: Migration;
}

/** An open database, locked for this process. */
export interface OpenState {
  readonly environment: RootDatabase;
  readonly records: Records;
  readonly meta: RecordTable;
  readonly clock: StateClock;
  /** Damage found when it was opened; absent: none. */
  readonly damage?: Damage;
  close(): Promise<void>;
}

const MAX_DATABASES = 16;
/** Table of internal records, such as the clock anchor. */
export const META = "meta";
const CLOCK = "clock";

/**
 * Opens a folder of records. A damaged folder is set aside and rebuilt from its intact records, if there are any. Damage never
 * prevents the start. @throws {StateError}
 */
export async function openState(deps: OpenStateDeps, options: OpenStateOptions): Promise<OpenState> {
  const { path } = options;
  makeFolder(options);
  let unlock = claim(options);
  try {
    const report = await examine(options);
    const problem = report === undefined ? null : await problemOf(report, options);
    let damage: Damage | undefined;
    if (problem !== null) {
      unlock();
      const rescued = new Set([...options.rescued, META]);
      damage = await rebuildState(deps, { ...options, problem, openEnvironment, isRescued: isRescuedIn(rescued) });
      unlock = claim(options);
    }
    const environment = openEnvironment(path);
    observeFailedCommits(environment, { logger: deps.logger, path });
    const records = openRecords(environment);
    if (report !== undefined && damage === undefined && isFormat1(report))
      await migrateFormat1(deps, environment, records, options);
    // Programs that only know format 1 check this before they change anything.
    await environment.openDB<number, string>({ name: "meta", encoding: "json" }).put("format", FORMAT);
    const meta = new RecordTable(records, META);
    const clock = openClock(deps, meta);
    return {
      environment,
      records,
      meta,
      clock,
      ...(damage === undefined ? {} : { damage }),
      close: () => closeState(environment, clock, unlock),
    };
  } catch (error) {
    unlock();
    throw error instanceof StateError ? error : stateUnavailable(options, error);
  }
}

function openEnvironment(path: string): RootDatabase {
  // Without overlapping sync, a write is on disk when its promise resolves, and concurrent writes share one commit. With strict
  // order, transactions keep their place among single writes.
  return open({ path, maxDbs: MAX_DATABASES, overlappingSync: false, strictAsyncOrder: true });
}

/** Of the internal records only the clock is rescued: the history and the reserved counters are not valid with records missing. */
function isRescuedIn(tables: ReadonlySet<string>): (table: string, key: string) => boolean {
  return (table, key) => tables.has(table) && (table !== META || key === CLOCK);
}

function openClock({ clock, hostUptime: uptime = hostUptime }: OpenStateDeps, meta: RecordTable): StateClock {
  const write = (anchor: ClockAnchor): void => {
    // On failure the previous anchor stays; the failing disk is reported by the writes of records.
    meta.put(CLOCK, packAnchor(anchor)).catch(() => undefined);
  };
  return new StateClock({ clock, hostUptime: uptime }, readAnchor(meta.get(CLOCK)), write);
}

async function closeState(environment: RootDatabase, clock: StateClock, unlock: () => void): Promise<void> {
  try {
    clock.anchor();
    clock.close();
    // Failed writes have been reported to their callers.
    await environment.flushed.then(
      () => undefined,
      () => undefined,
    );
    await environment.close();
  } finally {
    unlock();
  }
}

function claim(place: StatePlace): () => void {
  try {
    const lock = lockFolder(place.path);
    if (lock.kind === "taken") throw new StateError("STATE_IN_USE", `${place.path} is ${lock.by}`);
    return lock.unlock;
  } catch (error) {
    throw error instanceof StateError ? error : stateUnavailable(place, error);
  }
}

async function examine({ path }: StatePlace): Promise<StateReport | undefined> {
  const file = openStateFile(path);
  try {
    return await file?.examine();
  } finally {
    file?.close();
  }
}

/** Returns why the contents cannot be used, or null. */
async function problemOf(report: StateReport, { path }: StatePlace): Promise<string | null> {
  const { problem, format, intact, databases } = report;
  if (problem !== null) return problem;
  // The checksum of an intact record confirms the format, whatever the separate format number is.
  if (intact > 0 || isFormat1(report)) return checkWithLmdb(path);
  const isEmpty = databases.every((name) => name === "meta" || name === RECORDS);
  if (isEmpty && (format === undefined || format === FORMAT)) return null;
  return `its format is ${format ?? "unknown"}, not ${FORMAT}`;
}
