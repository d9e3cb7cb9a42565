import type { StoredRegistration } from "../stored-registration.js";

/** A write that was acknowledged while the shared store was away, and that the store does not have yet. */
export interface PendingWrite {
  /** See `StoreOperation`. */
  readonly kind: "put" | "delete";
  readonly registration: StoredRegistration;
  /** Position of the change that it was decided upon; null: there was none. */
  readonly base: number | null;
  /** When it was acknowledged, wall clock, ms since the Unix epoch. */
  readonly atWallMs: number;
}

/** Keeps pending writes on disk, one for each registration. */
export interface WriteJournal {
  /** What an earlier run left. */
  load(): Iterable<PendingWrite>;
  /** Resolves when the write is on disk, in place of an earlier one of its registration. */
  put(write: PendingWrite): Promise<void>;
  /** The store has it, or another writer won. */
  remove(id: string): Promise<void>;
  /** Completes what is under way. */
  close(): Promise<void>;
}
