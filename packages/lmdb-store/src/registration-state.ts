import type { LogPosition } from "@tributary/replication";
import {
  type FeedHistory,
  oneWriter,
  type RegistrationStore,
  type RegistrationTable,
  type StoredRegistration,
} from "@tributary/resource-directory";
import type { Migration } from "./format-1-migration.js";
import { META, type OpenState, type OpenStateDeps, openState } from "./open-state.js";
import type { Damage } from "./rebuild-state.js";
import {
  isRegistrationRecord,
  packPosition,
  packRegistration,
  readPosition,
  unpackRegistration,
} from "./record-format.js";
import { RecordTable } from "./record-table.js";

/** Collaborators of `openRegistrationState`. */
export interface RegistrationStateDeps extends OpenStateDeps {
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Settings of `openRegistrationState`. */
export interface RegistrationStateOptions {
  /** Folder of the database. */
  readonly path: string;
  /** Path prefix of the registration resources: `/reg/`. */
  readonly hrefPrefix: string;
  /** Configuration key that names the folder, for messages. Default: `registration.store`. */
  readonly setting?: string;
}

/** The persistent state of an RD: its registrations, and the history that lets proxies resume. */
export interface RegistrationState {
  readonly store: RegistrationStore;
  readonly history: FeedHistory;
  /** Records that could not be used, by cause. Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
  /** Damage found at this start; absent: none. With damage, the history starts with a new epoch. */
  readonly damage?: Damage;
}

const REGISTRATIONS = "registration";
const POSITIONS = "position";
/** Counters reserved at once: after a crash the history continues after all counters that may have been used. */
const RESERVED_COUNTERS = 100_000;
const EPOCHS = 2 ** 24;

/**
 * Opens the state of an RD. When a submission to `store` resolves, the change is on disk; concurrent writes share one commit.
 *
 * A registration and its position in the history are two records, because the position is only known after the registration is
 * stored. Each write of a registration removes its position in the same commit: after a crash, a registration without a position
 * counts as changed, and proxies receive it again. When any record is damaged the history is discarded: proxies resynchronise, and
 * drop what is missing here.
 * @throws {StateError}
 */
export async function openRegistrationState(
  deps: RegistrationStateDeps,
  { path, hrefPrefix, setting = "registration.store" }: RegistrationStateOptions,
): Promise<RegistrationState> {
  const rejected = new Map<string, number>();
  const reject = (cause: string, count = 1) => rejected.set(cause, (rejected.get(cause) ?? 0) + count);
  let undecodable = 0;
  const migrate = migrateRegistrations(() => undecodable++);
  const state = await openState(deps, { path, setting, rescued: new Set([REGISTRATIONS]), migrate });
  const { environment, records, clock, damage } = state;
  if (damage !== undefined) {
    reject("state-damaged");
    if (damage.leftOut !== 0) reject("state-record", damage.leftOut ?? 1);
  }
  if (undecodable > 0) reject("state-record", undecodable);
  const registrations = new RecordTable(records, REGISTRATIONS);
  const positions = new RecordTable(records, POSITIONS);
  const hrefOf = (id: string) => hrefPrefix + id;

  function onThisClock(id: string, content: Parameters<typeof unpackRegistration>[1]): StoredRegistration {
    const stored = unpackRegistration(id, content);
    return { ...stored, renewedAtWallMs: clock.toWall(stored.renewedAtWallMs) };
  }

  async function* load(): AsyncGenerator<StoredRegistration> {
    let unreadable = 0;
    for (const { key: id, content } of registrations.entries()) {
      if (!isRegistrationRecord(content)) unreadable++;
      else yield onThisClock(id, content);
    }
    if (unreadable === 0) return;
    reject("state-record", unreadable);
    deps.logger.warn("stored registrations cannot be read and are left out", { path, count: unreadable });
  }

  const table: RegistrationTable = {
    load,
    get(id) {
      const content = registrations.get(id);
      return isRegistrationRecord(content) ? onThisClock(id, content) : undefined;
    },
    async put(registration) {
      const renewedAtMs = clock.toState(registration.renewedAtWallMs);
      await environment.batch(() => {
        void registrations.put(registration.id, packRegistration({ ...registration, renewedAtWallMs: renewedAtMs }));
        void positions.remove(hrefOf(registration.id));
      });
    },
    async delete(id) {
      // The position stays: without a registration it stands for a removal that proxies have to learn of.
      await registrations.remove(id);
    },
    close: () => state.close(),
  };
  const { epoch, ...history } = await openHistory(deps, state, positions, undecodable > 0);
  const store = oneWriter(table, { epoch, position: history.counter });
  return { store, history, rejected, ...(damage === undefined ? {} : { damage }) };
}

function migrateRegistrations(onUndecodable: () => void): Migration {
  return function* (former, numberOf, records) {
    const registrations = new RecordTable(records, REGISTRATIONS);
    const positions = new RecordTable(records, POSITIONS);
    const meta = new RecordTable(records, META);
    for (const { key, content } of former("registrations")) {
      if (typeof key === "string" && isRegistrationRecord(content)) yield registrations.put(key, content);
      else onUndecodable();
    }
    for (const { key, content } of former("positions")) {
      const position = typeof key === "string" ? readPosition(key, content) : undefined;
      if (position === undefined) onUndecodable();
      else yield positions.put(position.href, packPosition(position));
    }
    for (const name of ["epoch", "reserved", "horizon"]) {
      const number = numberOf(name);
      if (number !== undefined) yield meta.put(name, number);
    }
  };
}

async function openHistory(
  deps: RegistrationStateDeps,
  { meta }: OpenState,
  positions: RecordTable,
  isBroken: boolean,
): Promise<FeedHistory & { readonly epoch: number }> {
  const counterOf = (name: string): number | undefined => {
    const found = isBroken ? undefined : meta.get(name);
    return typeof found === "number" && Number.isSafeInteger(found) && found >= 0 ? found : undefined;
  };
  const epoch = counterOf("epoch") ?? Math.floor(deps.random() * EPOCHS);
  const counter = counterOf("reserved") ?? 0;
  const horizon = counterOf("horizon") ?? 0;
  let reserved = counter + RESERVED_COUNTERS;
  if (isBroken) await Promise.all([...positions.keys()].map((href) => positions.remove(href)));
  await Promise.all([meta.put("epoch", epoch), meta.put("reserved", reserved), meta.put("horizon", horizon)]);
  // Without its position, a registration is sent to proxies again after a restart.
  const failed = () => undefined;

  function* storedPositions(): Generator<LogPosition> {
    for (const { key, content } of positions.entries()) {
      const position = readPosition(key, content);
      if (position !== undefined) yield position;
    }
  }

  return {
    epoch,
    counter,
    horizon,
    positions: { [Symbol.iterator]: storedPositions },
    keep(position) {
      positions.put(position.href, packPosition(position)).catch(failed);
      if (Math.max(position.ep, position.renewed) + RESERVED_COUNTERS / 2 < reserved) return;
      reserved += RESERVED_COUNTERS;
      meta.put("reserved", reserved).catch(() => {
        reserved -= RESERVED_COUNTERS;
      });
    },
    forget(href, toHorizon) {
      meta.put("horizon", toHorizon).catch(failed);
      positions.remove(href).catch(failed);
    },
  };
}
