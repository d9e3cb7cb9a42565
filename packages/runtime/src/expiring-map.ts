import type { Clock, Timer } from "./environment.js";

interface Entry<V> {
  readonly value: V;
  readonly weight: number;
  readonly holder: string;
  expiresAtMs: number;
}

/** Bounds of an `ExpiringMap`. */
export interface ExpiringMapOptions {
  /** Time that an entry stays after its last use, ms. */
  readonly lifetimeMs: number;
  readonly maxEntries: number;
  /** Bound of the sum of weights. A single entry that exceeds it is still kept, alone. */
  readonly maxWeight?: number;
}

/** Weight and holder of an entry. */
export interface EntryShare {
  /** Default 0. */
  readonly weight?: number;
  /** The party that the entry is counted against; default: one for all. */
  readonly holder?: string;
}

interface Holding {
  entries: number;
  weight: number;
}

/**
 * A map whose entries expire when they are not used for a while. When it is full, the holder with the most entries (or weight)
 * loses its least recently used one. All lifetimes are equal, so the order of use is the order of expiry: one timer serves all.
 */
export class ExpiringMap<V> {
  readonly #clock: Clock;
  readonly #options: ExpiringMapOptions;
  readonly #entries = new Map<string, Entry<V>>();
  readonly #holdings = new Map<string, Holding>();
  #weight = 0;
  #timer: Timer | null = null;

  constructor(deps: { clock: Clock }, options: ExpiringMapOptions) {
    this.#clock = deps.clock;
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Returns the value and marks it as used. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const nowMs = this.#clock.nowMs();
    if (entry.expiresAtMs <= nowMs) {
      this.delete(key);
      return undefined;
    }
    this.#entries.delete(key);
    entry.expiresAtMs = nowMs + this.#options.lifetimeMs;
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Sets an entry, with its weight and holder, and restarts its time. */
  set(key: string, value: V, { weight = 0, holder = "" }: EntryShare = {}): void {
    this.delete(key);
    const expiresAtMs = this.#clock.nowMs() + this.#options.lifetimeMs;
    this.#entries.set(key, { value, weight, holder, expiresAtMs });
    const holding = this.#holdings.get(holder) ?? { entries: 0, weight: 0 };
    this.#holdings.set(holder, holding);
    holding.entries++;
    holding.weight += weight;
    this.#weight += weight;
    this.#trim(key);
    this.#timer ??= this.#clock.setTimer(this.#options.lifetimeMs, this.#sweep);
  }

  /** Removes an entry, if there is one. */
  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
    const holding = this.#holdings.get(entry.holder);
    if (holding === undefined) return;
    holding.entries--;
    holding.weight -= entry.weight;
    if (holding.entries === 0) this.#holdings.delete(entry.holder);
  }

  /** Deletes every entry whose key starts with `prefix`. Takes time proportional to the number of all entries. */
  deleteWithPrefix(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.delete(key);
  }

  /** Removes all entries. */
  clear(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#entries.clear();
    this.#holdings.clear();
    this.#weight = 0;
  }

  /** Evicts entries until the bounds hold; the entry just added goes last. */
  #trim(added: string): void {
    const { maxEntries, maxWeight = Number.POSITIVE_INFINITY } = this.#options;
    for (;;) {
      const isTooHeavy = this.#weight > maxWeight && this.#entries.size > 1;
      if (this.#entries.size <= maxEntries && !isTooHeavy) return;
      const key = this.#leastUsedOfRichest(added, isTooHeavy ? "weight" : "entries");
      if (key === undefined) return;
      this.delete(key);
    }
  }

  /** Key of the least recently used entry of the largest holder; ties go to the least recent use. */
  #leastUsedOfRichest(added: string, measure: keyof Holding): string | undefined {
    let found: string | undefined;
    let most = Number.NEGATIVE_INFINITY;
    for (const [key, { holder }] of this.#entries) {
      const share = this.#holdings.get(holder)?.[measure] ?? 0;
      if (key === added || share <= most) continue;
      found = key;
      most = share;
    }
    return found ?? (this.#options.maxEntries < 1 ? added : undefined);
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
