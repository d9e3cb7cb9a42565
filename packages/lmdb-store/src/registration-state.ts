import type { LogPosition } from "@tributary/replication";
import type { FeedHistory, RegistrationStore, StoredRegistration } from "@tributary/resource-directory";
import type { Database } from "lmdb";
import { type OpenStateDeps, openState } from "./open-state.js";
import {
  isKeptRegistration,
  packPosition,
  packRegistration,
  readPosition,
  unpackRegistration,
} from "./record-format.js";

export interface RegistrationStateDeps extends OpenStateDeps {
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface RegistrationStateOptions {
  /** Folder that everything is kept in. */
  readonly path: string;
  /** Path above the registration resources, as references: `/reg/`. */
  readonly hrefPrefix: string;
}

/** What an RD keeps across restarts: its registrations, and the history by which proxies resume. */
export interface RegistrationState {
  readonly store: RegistrationStore;
  readonly history: FeedHistory;
  /** What could not be taken over, by cause. Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
}

/** Format of the records in this file. */
const FORMAT = 1;
/** Counters set aside at once: after a crash the history goes on behind all that may have been handed out. */
const RESERVED_COUNTERS = 100_000;
const EPOCHS = 2 ** 24;

/**
 * Open the state of an RD. What `store.put` and `store.delete` resolved for is on disk; writes of a moment share one commit.
 *
 * A registration and its position in the history are two records, since the position is known only after the registration
 * is kept. Each write of a registration takes its position away in the same commit, so that after a crash a registration
 * without one counts as changed, and is told again.
 * @throws {StateError}
 */
export async function openRegistrationState(
  deps: RegistrationStateDeps,
  { path, hrefPrefix }: RegistrationStateOptions,
): Promise<RegistrationState> {
  const state = await openState(deps, { path, format: FORMAT });
  const { environment } = state;
  const rejected = new Map<string, number>();
  const reject = (cause: string) => rejected.set(cause, (rejected.get(cause) ?? 0) + 1);
  if (state.setAside !== undefined) reject("state-damaged");
  const registrations: Database<unknown, string> = environment.openDB({ name: "registrations", encoding: "msgpack" });
  const positions: Database<unknown, string> = environment.openDB({ name: "positions", encoding: "msgpack" });
  const meta: Database<number, string> = environment.openDB({ name: "meta", encoding: "json" });
  const hrefOf = (id: string) => hrefPrefix + id;

  async function* load(): AsyncGenerator<StoredRegistration> {
    for (const { key, value } of registrations.getRange()) {
      if (isKeptRegistration(value)) yield unpackRegistration(key, value);
      else {
        reject("state-record");
        deps.logger.warn("a kept registration cannot be read and is left out", { path, id: key });
      }
    }
  }

  const store: RegistrationStore = {
    load,
    async put(registration) {
      await environment.batch(() => {
        void registrations.put(registration.id, packRegistration(registration));
        void positions.remove(hrefOf(registration.id));
      });
    },
    async delete(id) {
      // Its position stays: one that no registration goes with was removed, and proxies will be told.
      await registrations.remove(id);
    },
    close: () => state.close(),
  };
  return { store, history: await openHistory(deps, positions, meta), rejected };
}

async function openHistory(
  deps: RegistrationStateDeps,
  positions: Database<unknown, string>,
  meta: Database<number, string>,
): Promise<FeedHistory> {
  const epoch = meta.get("epoch") ?? Math.floor(deps.random() * EPOCHS);
  const counter = meta.get("reserved") ?? 0;
  let reserved = counter + RESERVED_COUNTERS;
  await Promise.all([meta.put("epoch", epoch), meta.put("reserved", reserved)]);
  // A position that is not kept means that its registration is told again after a restart.
  const failed = () => undefined;

  function* kept(): Generator<LogPosition> {
    for (const { key, value } of positions.getRange()) {
      const position = readPosition(key, value);
      if (position !== undefined) yield position;
    }
  }

  return {
    epoch,
    counter,
    horizon: meta.get("horizon") ?? 0,
    positions: { [Symbol.iterator]: kept },
    keep(position) {
      positions.put(position.href, packPosition(position)).catch(failed);
      if (Math.max(position.ep, position.renewed) + RESERVED_COUNTERS / 2 < reserved) return;
      reserved += RESERVED_COUNTERS;
      meta.put("reserved", reserved).catch(() => {
        reserved -= RESERVED_COUNTERS;
      });
    },
    forget(href, horizon) {
      meta.put("horizon", horizon).catch(failed);
      positions.remove(href).catch(failed);
    },
  };
}
