import type { StoredRegistration } from "../stored-registration.js";

/**
 * What a writer asks of the store. `put`: the registration is this now. `end`: its lifetime has ended; it may still be revived
 * (RFC 9176 section 5.3.3). `delete`: it is gone for good.
 */
export interface StoreOperation {
  /** See above. */
  readonly kind: "put" | "end" | "delete";
  /** As it is now; for `end` and `delete`, as it was. */
  readonly registration: StoredRegistration;
  /** With `put`: how long ago it was renewed, ms; default: now. Stores that keep `renewedAtWallMs` do not need it. */
  readonly ageMs?: number;
  /**
   * Runs the application of the change when there is time for it. A store with one writer applies its changes through it; where
   * there are several writers, the order of the stream decides.
   */
  readonly pace?: <T>(apply: () => T | Promise<T>) => T | Promise<T>;
}

/** One change of the stream, own or another writer's. */
export interface StoreChange {
  /** What happened to it; see `StoreOperation`. */
  readonly kind: StoreOperation["kind"];
  /** Place in the history of the store; greater than that of every change before it. Positions may be left out. */
  readonly position: number;
  /** Last segment of the registration resource. */
  readonly id: string;
  /** Absent only for a `delete` of which the content is not known any more. */
  readonly registration?: StoredRegistration;
  /** With `delete`: when somebody removed it, wall clock, ms since the Unix epoch; absent: nobody says. */
  readonly atWallMs?: number;
  /**
   * It has no place of its own in the history: it was taken here while the store is away, and `position` is that of what it changes; or it is what
   * was passed on before, at `position`.
   */
  readonly isUnplaced?: true;
}

/** What became of a submission. */
export type StoreOutcome =
  /** Durable by the promise of the store, and applied: the change came out of the stream before. */
  | { readonly kind: "stored"; readonly position: number }
  /** Another writer's change came first, and came out of the stream already; nothing was stored. */
  | { readonly kind: "conflict" }
  /** The store takes no writes now; nothing was stored. */
  | { readonly kind: "away"; readonly message: string }
  /** The store did not say in time what became of it. It may be stored, and come out of the stream later. */
  | { readonly kind: "unknown"; readonly message: string }
  /** It is larger than what the store takes; nothing was stored. */
  | { readonly kind: "too-large" };

/** Whether a store takes writes and delivers changes. */
export interface StoreHealth {
  /** It takes no writes, or changes of others do not arrive. */
  readonly isAway: boolean;
  /** Why it is away. */
  readonly reason?: string;
  /** What it has may not be what it had: nothing is to be written for it anywhere. */
  readonly isDoubtful?: true;
}

/**
 * Keeps registrations, for one writer or for several. A write is a submission with an expectation. Everything that changes comes
 * back through one ordered stream, from which alone the directory is filled.
 */
export interface RegistrationStore {
  /** 24 bits that name the history that positions belong to. Another one when that history was lost. */
  readonly epoch: number;
  /** Sets the consumer of changes; once, before `load`. */
  follow(consumer: (change: StoreChange) => void): void;
  /** What a store with one writer kept, once, at start; where there are several, it comes as changes, and this waits for them. */
  load(): AsyncIterable<StoredRegistration>;
  /** A registration that is not shown for lack of memory, read from disk; undefined: it is not there, or cannot be read here. */
  get(id: string): StoredRegistration | undefined;
  /**
   * Writes. `expected`: position of the registration that the writer decided upon; null: there was none. Rejects when the
   * store fails.
   */
  submit(operation: StoreOperation, expected: number | null): StoreOutcome | Promise<StoreOutcome>;
  /** A position for a change that no submission makes; only where there is one writer. */
  readonly takePosition?: () => number;
  /** Present where there are several writers. */
  readonly shared?: SharedStore;
  /** Completes pending writes and closes the store. */
  close(): Promise<void>;
}

/** What differs where several writers share the store. */
export interface SharedStore {
  /** Last segment of the path of an endpoint's registration: the same at every writer. */
  locationOf(endpoint: Pick<StoredRegistration, "ep" | "d">): string;
  /** Longest delay before an instance reports the end of a lifetime, so that one is usually enough, ms. */
  readonly endJitterMs: number;
  /**
   * Resolves when everything has been delivered that any writer had stored when this was called: what is unknown then is not
   * registered. False: the store does not say so in time.
   */
  catchUp(): Promise<boolean>;
  /** How it is now. */
  health(): StoreHealth;
  /** Calls `listener` when `health` changes. */
  onHealth(listener: () => void): void;
}
