import type { LogPosition } from "@tributary/replication";
import {
  type FeedHistory,
  oneWriter,
  type RegistrationTable,
  type StoredRegistration,
} from "@tributary/resource-directory";
import type { Clock } from "@tributary/runtime";
import { type CopyStore, createMemoryCopyStore } from "@tributary/upstream-sync";

/** How long a commit takes, ms; what was written less long ago is lost with the process. */
const COMMIT_MS = 3;
const RESERVED_COUNTERS = 1000;

/** Writes that come to rest in order, some time after they were made, and not at all when the process ends before. */
class WriteQueue {
  readonly #clock: Clock;
  readonly #isAlive: () => boolean;

  constructor(clock: Clock, isAlive: () => boolean) {
    this.#clock = clock;
    this.#isAlive = isAlive;
  }

  /** Resolves when the write is at rest; never, when the process ended before. */
  write(effect: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimer(COMMIT_MS, () => {
        if (!this.#isAlive()) return;
        effect();
        resolve();
      });
    });
  }
}

/** What an RD keeps on a disk that survives it: as the store of `@tributary/lmdb-store`, in virtual time. */
export class DurableRegistrations {
  readonly registrations = new Map<string, StoredRegistration>();
  readonly #positions = new Map<string, LogPosition>();
  readonly #epoch: number;
  #reserved = 0;
  #horizon = 0;

  constructor(epoch: number) {
    this.#epoch = epoch;
  }

  open(clock: Clock, isAlive: () => boolean) {
    const queue = new WriteQueue(clock, isAlive);
    const { registrations } = this;
    const positions = this.#positions;
    const counter = this.#reserved;
    let reserved = counter + RESERVED_COUNTERS;
    this.#reserved = reserved;
    const table: RegistrationTable = {
      async *load() {
        yield* [...registrations.values()];
      },
      get: (id) => registrations.get(id),
      put: (registration) =>
        queue.write(() => {
          registrations.set(registration.id, registration);
          positions.delete(`/reg/${registration.id}`);
        }),
      delete: (id) => queue.write(() => void registrations.delete(id)),
      close: () => Promise.resolve(),
    };
    const history: FeedHistory = {
      counter,
      horizon: this.#horizon,
      positions: [...positions.values()],
      keep: (position) => {
        void queue.write(() => void positions.set(position.href, position));
        if (Math.max(position.ep, position.renewed) + RESERVED_COUNTERS / 2 < reserved) return;
        reserved += RESERVED_COUNTERS;
        const upTo = reserved;
        void queue.write(() => {
          this.#reserved = upTo;
        });
      },
      forget: (href, horizon) =>
        void queue.write(() => {
          positions.delete(href);
          this.#horizon = horizon;
        }),
    };
    const store = oneWriter(table, { epoch: this.#epoch, position: counter });
    return { store, history, rejected: new Map<string, number>() };
  }
}

/** What an LP keeps on such a disk. */
export class DurableCopies {
  readonly #store = createMemoryCopyStore();

  open(clock: Clock, isAlive: () => boolean): CopyStore {
    const queue = new WriteQueue(clock, isAlive);
    const store = this.#store;
    return {
      sources: () => store.sources(),
      load: (source) => store.load(source),
      registrations: (source) => store.registrations(source),
      position: (source) => store.position(source),
      open: (source, replica) => void queue.write(() => store.open(source, replica)),
      put: (source, kept) => void queue.write(() => store.put(source, kept)),
      renew: (source, href, times) => void queue.write(() => store.renew(source, href, times)),
      remove: (source, href) => void queue.write(() => store.remove(source, href)),
      setPosition: (source, position) => void queue.write(() => store.setPosition(source, position)),
      forget: (source) => void queue.write(() => store.forget(source)),
      close: () => Promise.resolve(),
    };
  }
}
