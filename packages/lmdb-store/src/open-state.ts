import type { Clock, Logger } from "@tributary/runtime";
import { open, type RootDatabase } from "lmdb";
import { StateError } from "./errors.js";
import { observeFailedCommits } from "./failed-commits.js";
import { lockFolder } from "./folder-lock.js";
import { isFormer, type TakeOver, takeOverFormer } from "./former-format.js";
import { type Damage, rebuildState } from "./rebuild-state.js";
import { openRecords, RECORDS, type Records, RecordTable } from "./record-table.js";
import { FORMAT } from "./sealed-record.js";
import { secondOpinion } from "./second-opinion.js";
import { openStateFile, type StateReport } from "./state-file.js";
import { makeFolder, type StatePlace, stateUnavailable } from "./state-folder.js";
import { hostUptime } from "./time/host-uptime.js";
import { type ClockAnchor, type HostUptime, packAnchor, readAnchor, StateClock } from "./time/state-clock.js";

export interface OpenStateDeps {
  readonly logger: Logger;
  readonly clock: Clock;
  /** How long the host has run; default: what Linux says. */
  readonly hostUptime?: () => HostUptime | null;
}

export interface OpenStateOptions extends StatePlace {
  /** Tables that are of use even when records are missing from them. */
  readonly rescued: ReadonlySet<string>;
  /** Takes over what was kept in the former format. */
  readonly takeOver: TakeOver;
}

/** Tables of records that are open for this process alone. */
export interface OpenState {
  readonly environment: RootDatabase;
  readonly records: Records;
  readonly meta: RecordTable;
  readonly clock: StateClock;
  /** What was lost of earlier contents; absent: nothing. */
  readonly damage?: Damage;
  close(): Promise<void>;
}

const MAX_DATABASES = 16;
/** Table of what is kept besides the records of the owner. */
export const META = "meta";
const CLOCK = "clock";

/**
 * Open a folder of records. What is damaged is left out, and the folder rebuilt from the rest; contents of which nothing can be
 * read are set aside under another name. Neither prevents the start. @throws {StateError}
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
    if (report !== undefined && damage === undefined && isFormer(report))
      await takeOverFormer(deps, environment, records, options);
    // Programs of the former format look at this before they touch anything.
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
  // Without overlap a write is on disk when its promise resolves; all writes of a moment share one commit. Transactions keep
  // their place among single writes.
  return open({ path, maxDbs: MAX_DATABASES, overlappingSync: false, strictAsyncOrder: true });
}

/** The history and the reserved counters claim that nothing is missing; only the clock does not. */
function isRescuedIn(tables: ReadonlySet<string>): (table: string, key: string) => boolean {
  return (table, key) => tables.has(table) && (table !== META || key === CLOCK);
}

function openClock({ clock, hostUptime: uptime = hostUptime }: OpenStateDeps, meta: RecordTable): StateClock {
  const write = (anchor: ClockAnchor): void => {
    // One that is not written leaves the one before; whoever writes records is told that the disk fails.
    meta.put(CLOCK, packAnchor(anchor)).catch(() => undefined);
  };
  return new StateClock({ clock, hostUptime: uptime }, readAnchor(meta.get(CLOCK)), write);
}

async function closeState(environment: RootDatabase, clock: StateClock, unlock: () => void): Promise<void> {
  try {
    clock.anchor();
    clock.close();
    // What could not be written was told to whoever wanted it written.
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
    return lockFolder(place.path);
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

/** Why the contents cannot be used as they are, or null. */
async function problemOf(report: StateReport, { path }: StatePlace): Promise<string | null> {
  const { problem, format, intact, databases } = report;
  if (problem !== null) return problem;
  // What a record is sealed with says its format better than a number that stands by itself.
  if (intact > 0 || isFormer(report)) return secondOpinion(path);
  const isEmpty = databases.every((name) => name === "meta" || name === RECORDS);
  if (isEmpty && (format === undefined || format === FORMAT)) return null;
  return `its format is ${format ?? "not known"}, not ${FORMAT}`;
}
