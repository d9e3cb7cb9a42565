import type { Environment, Timer } from "@tributary/runtime";
import { COLLECTION_INTERVAL_MS, MAX_DORMANT, MAX_DORMANT_MS } from "../constants.js";
import type { RegistrationStore } from "../store/types.js";
import type { StoredRegistration } from "../stored-registration.js";
import type { KeyedQueue } from "../turns/keyed-queue.js";
import { type Dormancy, keyOf, type Registry } from "./registry.js";
import type { StoreAccess } from "./store-access.js";

export interface DormantCollectionDeps {
  readonly registry: Registry;
  readonly queue: KeyedQueue;
  readonly store: RegistrationStore;
  readonly storeAccess: StoreAccess;
  readonly env: Environment;
}

/** End of the time in which an expired registration may be revived (LIF-05). Pure. */
export function dormantUntilMs(expiredAtMs: number, ltS: number): number {
  return expiredAtMs + Math.min(ltS * 1000, MAX_DORMANT_MS);
}

/** Gives up expired registrations when their time is over, or when there are too many of them. */
export class DormantCollection {
  readonly #deps: DormantCollectionDeps;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(deps: DormantCollectionDeps) {
    this.#deps = deps;
  }

  /** `isReported`: the store knows of the end, whose position is `position`. */
  add(stored: StoredRegistration, expiredAtMs: number, rest: Omit<Dormancy, "untilMs">): void {
    const { registry } = this.#deps;
    registry.putDormant(stored, { ...rest, untilMs: dormantUntilMs(expiredAtMs, stored.ltS) });
    const oldest = registry.dormant > MAX_DORMANT ? registry.oldestDormant() : undefined;
    if (oldest !== undefined) this.#giveUp(oldest);
    this.arm();
  }

  /** Makes room for another registration; false when there is nothing to give up apart from `exceptId`. */
  giveUpOldest(exceptId?: string): boolean {
    const oldest = this.#deps.registry.oldestDormant(exceptId);
    if (oldest !== undefined) this.#giveUp(oldest);
    // One that is being revived at this moment is not given up.
    return oldest !== undefined && !this.#deps.registry.isDormant(oldest);
  }

  /** Look through the dormant registrations from time to time, as long as there are any. */
  arm(): void {
    if (this.#isClosed || this.#timer !== null || this.#deps.registry.dormant === 0) return;
    this.#timer = this.#deps.env.clock.setTimer(COLLECTION_INTERVAL_MS, () => {
      this.#timer = null;
      for (const stored of this.#deps.registry.overdue(this.#deps.env.clock.nowMs()))
        if (!this.#isToBeReported(stored)) this.#giveUp(stored);
      this.arm();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Several writers: the store does not know of the end yet, because it is away, or another instance may be about to report it. */
  #isToBeReported({ id }: StoredRegistration): boolean {
    const phase = this.#deps.registry.byId(id, 0)?.phase;
    return this.#deps.store.shared !== undefined && phase?.kind === "dormant" && !phase.isReported;
  }

  #giveUp(stored: StoredRegistration): void {
    const { registry, queue, store, storeAccess } = this.#deps;
    // Never rejects: a store that fails to forget is logged, and the entry is overdue again at the next start.
    void queue.run(keyOf(stored), () => {
      if (!registry.isDormant(stored)) return undefined;
      const position = registry.byId(stored.id, 0)?.position ?? null;
      registry.remove(stored.id);
      // Where the store is shared it forgets by itself what has ended.
      if (store.shared !== undefined) return undefined;
      return storeAccess.attempt(() => store.submit({ kind: "delete", registration: stored }, position));
    });
  }
}
