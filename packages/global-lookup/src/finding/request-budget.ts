import { type Clock, ExpiringMap } from "@tributary/runtime";

/** Requests that may go to one host at once, and those a second later on. */
export interface RequestRate {
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

const LIFETIME_MS = 600_000;
const MAX_HOSTS = 16_384;

/** Limits requests by host: each has tokens that come back with time (token bucket). */
export class RequestBudget {
  readonly #clock: Clock;
  readonly #buckets: ExpiringMap<Bucket>;

  constructor(clock: Clock, { maxHosts = MAX_HOSTS }: { readonly maxHosts?: number } = {}) {
    this.#clock = clock;
    this.#buckets = new ExpiringMap({ clock }, { lifetimeMs: LIFETIME_MS, maxEntries: maxHosts });
  }

  /** Takes a token of a host; false: it has none left. */
  take(host: string, { burst, perSecond }: RequestRate): boolean {
    const nowMs = this.#clock.nowMs();
    const bucket = this.#buckets.get(host);
    const before = bucket === undefined ? burst : bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSecond;
    const tokens = Math.min(burst, before);
    if (tokens < 1) return false;
    if (bucket === undefined) this.#buckets.set(host, { tokens: tokens - 1, atMs: nowMs });
    else Object.assign(bucket, { tokens: tokens - 1, atMs: nowMs });
    return true;
  }

  /** Forgets all hosts. */
  clear(): void {
    this.#buckets.clear();
  }
}
