import type { Clock, Timer } from "./environment.js";

interface Entry<V> {
  readonly value: V;
  readonly weight: number;
  expiresAtMs: number;
}

/** Bounds of an ExpiringMap. */
export interface ExpiringMapOptions {
  /** How long an entry stays after it was last used. */
  readonly lifetimeMs: number;
  readonly maxEntries: number;
  /** Bound of the sum of weights; a single heavier entry is kept all the same, alone. */
  readonly maxWeight?: number;
}

/**
 * A map whose entries vanish when they are not used for a while, or, least recently used first, when there are too
 * many. All lifetimes are equal, so the order of use is the order of expiry: one timer serves all.
 */
export class ExpiringMap<V> {
  readonly #clock: Clock;
  readonly #options: ExpiringMapOptions;
  readonly #entries = new Map<string, Entry<V>>();
  #weight = 0;
  #timer: Timer | null = null;

  constructor(deps: { clock: Clock }, options: ExpiringMapOptions) {
    this.#clock = deps.clock;
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The value, which counts as used now. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const nowMs = this.#clock.nowMs();
    this.#entries.delete(key);
    if (entry.expiresAtMs <= nowMs) {
      this.#weight -= entry.weight;
      return undefined;
    }
    entry.expiresAtMs = nowMs + this.#options.lifetimeMs;
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: V, weight = 0): void {
    this.delete(key);
    const expiresAtMs = this.#clock.nowMs() + this.#options.lifetimeMs;
    this.#entries.set(key, { value, weight, expiresAtMs });
    this.#weight += weight;
    this.#trim();
    this.#timer ??= this.#clock.setTimer(this.#options.lifetimeMs, this.#sweep);
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
  }

  /** Delete every entry whose key starts so. Takes time for each entry there is. */
  deleteWithPrefix(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.delete(key);
  }

  clear(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#entries.clear();
    this.#weight = 0;
  }

  #trim(): void {
    const { maxEntries, maxWeight } = this.#options;
    for (const key of this.#entries.keys()) {
      const isTooHeavy = maxWeight !== undefined && this.#weight > maxWeight && this.#entries.size > 1;
      if (this.#entries.size <= maxEntries && !isTooHeavy) return;
      this.delete(key);
    }
  }

  readonly #sweep = (): void => {
    this.#timer = null;
    const nowMs = this.#clock.nowMs();
    for (const [key, entry] of this.#entries) {
      if (entry.expiresAtMs > nowMs) {
        this.#timer = this.#clock.setTimer(entry.expiresAtMs - nowMs, this.#sweep);
        return;
      }
      this.delete(key);
    }
  };
}
