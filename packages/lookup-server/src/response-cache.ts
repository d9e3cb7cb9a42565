import type { LookupInterface } from "@tributary/merge-engine";
import { addCount, type Environment } from "@tributary/runtime";
import type { AskedResult, Upstream } from "@tributary/upstream-sync";
import { LRUCache } from "lru-cache";
import pLimit, { type LimitFunction } from "p-limit";
import { CoalescedRequest } from "./coalesced-request.js";
import { FAILURE_PAUSE_MS, LINK_WEIGHT_FACTOR } from "./constants.js";
import { LookupServerError } from "./errors.js";
import { ObservedResult } from "./observed-result.js";

/** Bounds of the cache, and how results are kept fresh. */
export interface ResponseCacheOptions {
  /** Concurrent requests to upstreams over all lookups; 1 or more. */
  readonly concurrency: number;
  /** Results in the cache; 0: none, but identical lookups at the same time are still coalesced. */
  readonly entries: number;
  /** Approximate memory for them, bytes. */
  readonly bytes: number;
  /** Time past its Max-Age for which a result is served while its upstream does not respond, ms; 0: none (draft 4.3.1). */
  readonly staleMs: number;
  /** A result that is served so often within its Max-Age is observed from then on (RFC 7641); 0: none is. */
  readonly observeAfter: number;
  /** Concurrent observations over all upstreams; the least recently used one makes room. */
  readonly observations: number;
}

/** A result as the cache returns it. */
export interface CacheResult {
  readonly result: AskedResult;
  /** Time since it was received or validated, s. */
  readonly ageS: number;
  /** Rest of its Max-Age, s (RFC 7252 section 5.6.1). */
  readonly maxAgeS: number;
  /** `cached`: no request was made. `stale`: past its Max-Age, and the upstream does not respond. */
  readonly origin: "forwarded" | "cached" | "stale";
}

/** How one lookup uses the cache. */
export interface CacheControl {
  /** Validates a fresh result too (RFC 7252 section 5.6.2): something else shows that it is out of date. */
  readonly mustValidate?: boolean;
}

/**
 * Outcomes of lookups and requests. `hit` and `stale` needed no request, `shared` used that of another lookup; requests were
 * `fetched`, `revalidated` (2.03) or `failed`; `notified`: an observed result changed.
 */
export type CacheOutcome = "hit" | "shared" | "stale" | "fetched" | "revalidated" | "notified" | "failed";

interface Entry {
  readonly upstream: Upstream;
  readonly result: AskedResult;
  readonly freshUntilMs: number;
  /** How often it was served since it was received. */
  hits: number;
  lastHitMs: number;
  /** After a failure, the upstream is not asked again for this before then. */
  pausedUntilMs: number;
  observed: ObservedResult | null;
}

/**
 * Cache of results of upstreams (draft 4.2; RFC 7252 section 5.6). A result is served while it is fresh, then validated by its ETag;
 * identical lookups are coalesced; a result that is requested often is observed.
 */
export class ResponseCache {
  readonly #env: Environment;
  readonly #limit: LimitFunction;
  readonly #options: ResponseCacheOptions;
  readonly #entries: LRUCache<string, Entry> | null;
  readonly #pending = new Map<string, CoalescedRequest<Entry>>();
  /** The least recently used one first. */
  readonly #observed = new Set<ObservedResult>();
  readonly #outcomes = new Map<CacheOutcome, number>();

  /** @throws {LookupServerError} `BAD_OPTIONS` */
  constructor({ env }: { readonly env: Environment }, options: ResponseCacheOptions) {
    if (!(options.concurrency >= 1)) throw new LookupServerError("BAD_OPTIONS", "concurrency must be at least 1");
    this.#env = env;
    this.#options = options;
    this.#limit = pLimit(options.concurrency);
    this.#entries =
      options.entries === 0
        ? null
        : new LRUCache({
            max: options.entries,
            maxSize: options.bytes,
            sizeCalculation: ({ result }, key) => weightOf(result, key),
            dispose: (entry, _key, reason) => {
              if (reason !== "set") entry.observed?.close();
            },
          });
  }

  /** How often each outcome occurred. Never goes back. */
  get outcomes(): ReadonlyMap<CacheOutcome, number> {
    return this.#outcomes;
  }

  /** Returns the numbers of entries by table. */
  tableSizes(): Readonly<Record<string, number>> {
    return {
      "cached-answers": this.#entries?.size ?? 0,
      "cached-bytes": this.#entries?.calculatedSize ?? 0,
      "observed-answers": this.#observed.size,
      "forwarded-requests": this.#pending.size,
    };
  }

  /** Returns the result of `upstream`, from the cache or by a request until `signal` aborts. @throws {UpstreamError} and the reason of the signal. */
  async ask(
    upstream: Upstream,
    kind: LookupInterface,
    items: readonly string[],
    signal: AbortSignal,
    { mustValidate = false }: CacheControl = {},
  ): Promise<CacheResult> {
    const key = keyOf(upstream.name, kind, items);
    const nowMs = this.#env.clock.nowMs();
    const held = isKept(upstream) ? this.#held(key, upstream) : undefined;
    if (held !== undefined && nowMs < held.freshUntilMs && !mustValidate) return this.#serve(held, nowMs, "cached");
    if (held !== undefined && nowMs < held.pausedUntilMs && this.#mayServeStale(held, nowMs))
      return this.#serve(held, nowMs, "stale");
    const known = this.#pending.get(key);
    const isCoalesced = known !== undefined && !known.isAbandoned;
    if (isCoalesced) this.#count("shared");
    const request = isCoalesced ? known : this.#refresh(key, { upstream, kind, items, held });
    try {
      return this.#serve(await request.join(signal), this.#env.clock.nowMs(), "forwarded");
    } catch (error) {
      return this.#serveStale(held, error);
    }
  }

  /** Ends all observations of the cache. */
  close(): void {
    for (const one of [...this.#observed]) one.close();
    this.#entries?.clear();
  }

  #held(key: string, upstream: Upstream): Entry | undefined {
    const entry = this.#entries?.get(key);
    if (entry === undefined || entry.upstream === upstream) return entry;
    // The name belongs to another upstream now.
    this.#entries?.delete(key);
    return undefined;
  }

  #serve(entry: Entry, nowMs: number, origin: CacheResult["origin"]): CacheResult {
    entry.hits++;
    entry.lastHitMs = nowMs;
    if (entry.observed !== null && this.#observed.delete(entry.observed)) this.#observed.add(entry.observed);
    if (origin !== "forwarded") this.#count(origin === "cached" ? "hit" : "stale");
    const { result, freshUntilMs } = entry;
    const leftS = (freshUntilMs - nowMs) / 1000;
    return { result, ageS: result.maxAgeS - leftS, maxAgeS: Math.max(0, leftS), origin };
  }

  #mayServeStale(entry: Entry, nowMs: number): boolean {
    return nowMs < entry.freshUntilMs + this.#options.staleMs;
  }

  #serveStale(held: Entry | undefined, error: unknown): CacheResult {
    const nowMs = this.#env.clock.nowMs();
    if (held === undefined || !this.#mayServeStale(held, nowMs)) throw error;
    held.pausedUntilMs = nowMs + FAILURE_PAUSE_MS;
    return this.#serve(held, nowMs, "stale");
  }

  #refresh(key: string, asked: AskedOfUpstream): CoalescedRequest<Entry> {
    const request: CoalescedRequest<Entry> = new CoalescedRequest(async (signal) => {
      try {
        return await this.#limit(() => {
          signal.throwIfAborted();
          return this.#fetch(key, asked, signal);
        });
      } catch (error) {
        this.#count("failed");
        throw error;
      } finally {
        if (this.#pending.get(key) === request) this.#pending.delete(key);
      }
    });
    this.#pending.set(key, request);
    return request;
  }

  async #fetch(key: string, asked: AskedOfUpstream, signal: AbortSignal): Promise<Entry> {
    const { held } = asked;
    const result =
      held !== undefined && this.#isFrequent(held)
        ? await this.#observe(key, asked, held).ask(held.result, signal)
        : await this.#get(asked, signal);
    this.#count(result.etag !== undefined && result.etag === held?.result.etag ? "revalidated" : "fetched");
    return this.#keep(key, asked, result);
  }

  #isFrequent({ hits }: Entry): boolean {
    const { observeAfter, observations } = this.#options;
    return observeAfter > 0 && observations > 0 && hits >= observeAfter;
  }

  async #get({ upstream, kind, items, held }: AskedOfUpstream, signal: AbortSignal): Promise<AskedResult> {
    held?.observed?.close();
    const etag = held?.result.etag;
    const received = await upstream.ask(kind, items, { signal, ...(etag === undefined ? {} : { etag }) });
    if (!("isUnchanged" in received)) return received;
    if (held === undefined) throw new Error("a response without a known entity tag cannot be unchanged");
    return { ...held.result, maxAgeS: received.maxAgeS };
  }

  /** The request that refreshes a result also registers the observation, so observing costs no request of its own. */
  #observe(key: string, asked: AskedOfUpstream, held: Entry): ObservedResult {
    if (held.observed !== null) return held.observed;
    const [oldest] = this.#observed.size >= this.#options.observations ? this.#observed : [];
    oldest?.close();
    const observed: ObservedResult = new ObservedResult(this.#env.clock, {
      ...asked,
      onResult: (result) => {
        this.#count("notified");
        this.#keep(key, asked, result);
      },
      isCold: (nowMs) => this.#isCold(key, nowMs),
      onClosed: () => {
        this.#observed.delete(observed);
        for (const entry of [held, this.#entries?.peek(key)]) if (entry?.observed === observed) entry.observed = null;
      },
    });
    this.#observed.add(observed);
    held.observed = observed;
    return observed;
  }

  #isCold(key: string, nowMs: number): boolean {
    const entry = this.#entries?.peek(key);
    return entry === undefined || nowMs - entry.lastHitMs > entry.result.maxAgeS * 1000;
  }

  #keep(key: string, { upstream, held }: AskedOfUpstream, result: AskedResult): Entry {
    const nowMs = this.#env.clock.nowMs();
    const before = this.#entries?.peek(key) ?? held;
    const entry: Entry = {
      upstream,
      result,
      freshUntilMs: nowMs + result.maxAgeS * 1000,
      hits: 0,
      lastHitMs: before?.lastHitMs ?? nowMs,
      pausedUntilMs: 0,
      observed: before?.observed ?? null,
    };
    if (isKept(upstream)) this.#entries?.set(key, entry);
    return entry;
  }

  #count(outcome: CacheOutcome): void {
    addCount(this.#outcomes, outcome);
  }
}

/**
 * Whether results of an upstream may be cached. One that is being copied as a whole is asked only until the copy is complete, and
 * must not be shown in an older state then.
 */
function isKept(upstream: Upstream): boolean {
  return upstream.planning().replicates.every((filter) => filter.length > 0);
}

interface AskedOfUpstream {
  readonly upstream: Upstream;
  readonly kind: LookupInterface;
  readonly items: readonly string[];
  readonly held: Entry | undefined;
}

/** The cache key: all items in their order (RFC 7252 section 5.6), with their lengths, so that different items never look alike. */
function keyOf(upstream: string, kind: LookupInterface, items: readonly string[]): string {
  return `${kind} ${upstream} ${items.map((item) => `${item.length}:${item}`).join("")}`;
}

function weightOf({ bytes, received }: AskedResult, key: string): number {
  return 2 * key.length + LINK_WEIGHT_FACTOR * (bytes + 64 * (received + 1));
}
