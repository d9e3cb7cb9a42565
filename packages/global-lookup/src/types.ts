/**
 * A pool of servers that do not trust each other. It has two kinds of entries: who announces a key, and one signed record of each
 * announcer. Every member of the pool may write anything into it.
 */
export interface Pool {
  /** Announces a key as the announcer of this pool. Rejects with `GlobalLookupError` `POOL_AWAY`. */
  announce(key: Uint8Array): Promise<void>;
  /** Withdraws an announcement of this announcer; succeeds where there is none. Rejects with `POOL_AWAY`. */
  withdraw(key: Uint8Array): Promise<void>;
  /**
   * Finds the announcers of a key, by their public keys, in the order in which responses arrive. It ends when everybody was asked, or
   * with the signal. Rejects with `POOL_AWAY`.
   */
  find(key: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Publishes the record of this announcer, in place of all with lower sequence numbers. Rejects with `POOL_AWAY`. */
  publish(record: Uint8Array, sequence: number): Promise<void>;
  /** Reads the record of an announcer, unverified; null: there is none. Rejects with `POOL_AWAY`. */
  readRecord(announcer: Uint8Array, signal: AbortSignal): Promise<Uint8Array | null>;
  /** Returns the state of the pool. */
  status(): PoolStatus;
  /** Leaves the pool. Idempotent. */
  close(): Promise<void>;
}

/** A pool as this member sees it. */
export interface PoolStatus {
  /** Members that this one knows. */
  readonly members: number;
  /** Why the pool cannot be used; undefined: it can. */
  readonly awayReason?: string;
  /** Requests of other members that were refused, by cause: `rate`, `records`. Monotonic. */
  readonly refused: ReadonlyMap<string, number>;
  /** Requests sent to other members, monotonic. */
  readonly requests: number;
}
