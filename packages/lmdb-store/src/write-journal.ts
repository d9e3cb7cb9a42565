import type { PendingWrite, WriteJournal } from "@tributary/resource-directory";
import { type OpenStateDeps, openState } from "./open-state.js";
import { isRegistrationRecord, packRegistration, unpackRegistration } from "./record-format.js";
import { RecordTable } from "./record-table.js";

/** Settings of `openWriteJournal`. */
export interface WriteJournalOptions {
  /** Folder of the database. */
  readonly path: string;
  /** Configuration key that names the folder, for messages. */
  readonly setting: string;
}

/** A journal, and what could not be read of it. */
export interface OpenJournal {
  readonly journal: WriteJournal;
  /** Records that could not be used, by cause. Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
}

const JOURNAL = "journal";

/**
 * Opens the journal of writes that a shared store does not have yet. What is damaged is left out and counted.
 * @throws {StateError}
 */
export async function openWriteJournal(deps: OpenStateDeps, options: WriteJournalOptions): Promise<OpenJournal> {
  const rejected = new Map<string, number>();
  const reject = (count: number) => rejected.set("journal-record", (rejected.get("journal-record") ?? 0) + count);
  // There was no journal in the format that would have to be converted.
  const state = await openState(deps, { ...options, rescued: new Set([JOURNAL]), *migrate() {} });
  const { records, clock, damage } = state;
  if (damage !== undefined && damage.leftOut !== 0) reject(damage.leftOut ?? 1);
  const table = new RecordTable(records, JOURNAL);

  function* load(): Generator<PendingWrite> {
    for (const { key, content } of table.entries()) {
      const write = unpack(key, content);
      if (write === undefined) {
        reject(1);
        deps.logger.warn("a write that was taken during a split cannot be read, and is left out", { id: key });
        continue;
      }
      const { registration, atWallMs } = write;
      const renewedAtWallMs = clock.toWall(registration.renewedAtWallMs);
      yield { ...write, registration: { ...registration, renewedAtWallMs }, atWallMs: clock.toWall(atWallMs) };
    }
  }

  const journal: WriteJournal = {
    load,
    async put({ kind, registration, base, atWallMs }) {
      const renewedAtWallMs = clock.toState(registration.renewedAtWallMs);
      const record = packRegistration({ ...registration, renewedAtWallMs });
      await table.put(registration.id, [kind, base, clock.toState(atWallMs), record]);
    },
    async remove(id) {
      await table.remove(id);
    },
    close: () => state.close(),
  };
  return { journal, rejected };
}

function unpack(id: string, content: unknown): PendingWrite | undefined {
  if (!Array.isArray(content) || content.length !== 4) return undefined;
  const [kind, base, atWallMs, record] = content;
  if ((kind !== "put" && kind !== "delete") || !Number.isFinite(atWallMs) || !isRegistrationRecord(record))
    return undefined;
  if (base !== null && !Number.isSafeInteger(base)) return undefined;
  return { kind, base, atWallMs, registration: unpackRegistration(id, record) };
}
