import { type Environment, jittered, type Timer } from "@tributary/runtime";
import { END_RETRY_MS } from "../constants.js";
import type { RegistrationStore } from "../store/types.js";
import { andThen, type KeyedQueue } from "../turns/keyed-queue.js";
import { keyOf, type Registry } from "./registry.js";
import type { StoreAccess } from "./store-access.js";

export interface LifetimeEndsDeps {
  readonly registry: Registry;
  readonly queue: KeyedQueue;
  readonly store: RegistrationStore;
  readonly storeAccess: StoreAccess;
  readonly env: Environment;
}

/**
 * Reports ends of lifetimes to the store. Where several instances share it, each waits for a random time first, and stays silent when
 * another one was earlier: a lifetime ends once.
 */
export class LifetimeEnds {
  readonly #deps: LifetimeEndsDeps;
  readonly #timers = new Map<string, Timer>();
  #isClosed = false;

  constructor(deps: LifetimeEndsDeps) {
    this.#deps = deps;
  }

  /** The registration is dormant since now. */
  report(id: string): void {
    const { env, store } = this.#deps;
    const jitterMs = store.shared?.endJitterMs ?? 0;
    if (jitterMs === 0) this.#submit(id);
    else this.#later(id, env.random() * jitterMs);
  }

  /** Ends that wait for their time. */
  get size(): number {
    return this.#timers.size;
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  #later(id: string, delayMs: number): void {
    if (this.#isClosed || this.#timers.has(id)) return;
    const timer = this.#deps.env.clock.setTimer(delayMs, () => {
      this.#timers.delete(id);
      this.#submit(id);
    });
    this.#timers.set(id, timer);
  }

  #submit(id: string): void {
    const { env, queue, registry, store, storeAccess } = this.#deps;
    // Its time to be revived may be over: the end is reported all the same, or nobody could register that name again.
    const before = registry.byId(id, 0);
    if (before?.phase.kind !== "dormant" || before.phase.isReported) return;
    void queue.run(keyOf(before.stored), () => {
      // It may have been revived, or reported by another instance, while this waited.
      const entry = registry.byId(id, 0);
      if (this.#isClosed || entry?.phase.kind !== "dormant" || entry.phase.isReported) return undefined;
      const { stored, position } = entry;
      return andThen(
        storeAccess.attempt(() => store.submit({ kind: "end", registration: stored }, position)),
        (outcome) => {
          const isOpen = !outcome.ok || outcome.value.kind === "away" || outcome.value.kind === "unknown";
          if (isOpen) this.#later(id, jittered(env.random, END_RETRY_MS, 1, 2));
        },
      );
    });
  }
}
