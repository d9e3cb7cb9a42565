import type { StoredRegistration } from "../stored-registration.js";
import { andThen } from "../turns/keyed-queue.js";
import type { RegistrationStore, StoreChange, StoreOperation, StoreOutcome } from "./types.js";

/** A table of registrations that only this process writes. What `put` and `delete` resolve for is durable by the promise of the table. */
export interface RegistrationTable {
  /** Everything kept, once, at start. */
  load(): AsyncIterable<StoredRegistration>;
  /** One of them, at any time. */
  get(id: string): StoredRegistration | undefined;
  /** Stores a registration, in place of an earlier one with its id. */
  put(registration: StoredRegistration): Promise<void> | void;
  /** Removes a registration. */
  delete(id: string): Promise<void> | void;
  /** Completes pending writes and closes the table. */
  close(): Promise<void>;
}

/** Settings of `oneWriter`. */
export interface OneWriterOptions {
  /** 24 bits that name the history, see `RegistrationStore`. */
  readonly epoch: number;
  /** Last position of an earlier run; default 0. */
  readonly position?: number;
}

/**
 * A store with one writer: expectations always hold, and the stream consists of its own writes, in the order in which they
 * were applied. Synchronous where the table is.
 */
export function oneWriter(table: RegistrationTable, { epoch, position = 0 }: OneWriterOptions): RegistrationStore {
  let last = position;
  let consumer: (change: StoreChange) => void = () => {};

  /** The end of a lifetime needs no write: the time of the last renewal says it. */
  function write({ kind, registration }: StoreOperation): Promise<void> | void {
    if (kind === "put") return table.put(registration);
    if (kind === "delete") return table.delete(registration.id);
  }

  function apply({ kind, registration }: StoreOperation): StoreOutcome {
    last++;
    const stored: StoreOutcome = { kind: "stored", position: last };
    consumer({ kind, position: last, id: registration.id, registration });
    return stored;
  }

  return {
    epoch,
    follow(next) {
      consumer = next;
    },
    load: () => table.load(),
    get: (id) => table.get(id),
    submit: (operation) =>
      andThen(write(operation), () =>
        operation.pace === undefined ? apply(operation) : operation.pace(() => apply(operation)),
      ),
    takePosition: () => ++last,
    close: () => table.close(),
  };
}
