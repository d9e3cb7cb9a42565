import type { LookupInterface } from "@tributary/merge-engine";
import type { Environment } from "@tributary/runtime";
import type { AskedResult, Upstream } from "@tributary/upstream-sync";
import { LRUCache } from "lru-cache";
import pLimit, { type LimitFunction } from "p-limit";
import { CoalescedRequest } from "./coalesced-request.js";
import { FAILURE_PAUSE_MS, LINK_WEIGHT_FACTOR } from "./constants.js";
import { LookupServerError } from "./errors.js";
import { ObservedResult } from "./observed-result.js";

/** Bounds of the answers that are kept, and how they are kept fresh. */
export interface ResponseCacheOptions {
  /** Requests to upstreams under way at once over all lookups; 1 or more. */
  readonly concurrency: number;
  /** Answers kept at once; 0: none, but identical lookups under way still share one request. */
  readonly entries: number;
  /** Memory for them, bytes, roughly. */
  readonly bytes: number;
  /** How long past its Max-Age an answer is served while its upstream does not answer, ms; 0: not at all (draft 4.3.1). */
  readonly staleMs: number;
  /** An answer served so many times within its Max-Age is observed from then on (RFC 7641); 0: none is. */
  readonly observeAfter: number;
  /** Observations at once, over all upstreams; the one that was used least recently makes room. */
  readonly observations: number;
}

/** What one lookup got out of the cache. */
export interface CacheResult {
  readonly answer: AskedResult;
  /** Time since it was got or confirmed, s. */
  readonly ageS: number;
  /** What is left of its Max-Age, s (RFC 7252 section 5.6.1). */
  readonly maxAgeS: number;
  /** `cached`: no request was made. `stale`: past its Max-Age, and the upstream does not answer. */
  readonly origin: "forwarded" | "cached" | "stale";
}

/** What one lookup wants of the cache. */
export interface CacheControl {
  /** Something else tells more than what is held: ask again, although it is fresh (RFC 7252 section 5.6.2). */
  readonly mustValidate?: boolean;
}

/**
 * What became of lookups and requests. `hit` and `stale` were answered without a request, `shared` by that of another;
 * requests were `fetched`, `revalidated` (2.03) or `failed`; `notified`: an observed answer changed.
 */
export type CacheOutcome = "hit" | "shared" | "stale" | "fetched" | "revalidated" | "notified" | "failed";

interface Entry {
  readonly upstream: Upstream;
  answer: AskedResult;
  freshUntilMs: number;
  /** Times that it was served since it was got. */
  hits: number;
  lastHitMs: number;
  /** After a failure: until then the upstream is not asked again for this. */
  pausedUntilMs: number;
  watch: ObservedResult | null;
}

/**
 * Answers of upstreams to forwarded lookups (draft 4.2; RFC 7252 section 5.6): served until their Max-Age is over, then
 * validated by their ETag; identical lookups share one request; what is asked for often is observed.
 */
export class ResponseCache {
  readonly #env: Environment;
  readonly #limit: LimitFunction;
  readonly #options: ResponseCacheOptions;
  readonly #entries: LRUCache<string, Entry> | null;
  readonly #underWay = new Map<string, CoalescedRequest<Entry>>();
  /** In the order of their use. */
  readonly #watches = new Set<ObservedResult>();
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
            sizeCalculation: ({ answer }, key) => weightOf(answer, key),
            dispose: (entry, _key, reason) => {
              if (reason !== "set") entry.watch?.close();
            },
          });
  }

  /** Monotonic. */
  get outcomes(): ReadonlyMap<CacheOutcome, number> {
    return this.#outcomes;
  }

  /** Returns the numbers of entries by table. */
  tableSizes(): Readonly<Record<string, number>> {
    return {
      "cached-answers": this.#entries?.size ?? 0,
      "cached-bytes": this.#entries?.calculatedSize ?? 0,
      "observed-answers": this.#watches.size,
      "forwarded-requests": this.#underWay.size,
    };
  }

  /** The answer of `upstream`, kept or asked for until `signal` aborts. @throws {UpstreamError} and what aborted. */
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
    const known = this.#underWay.get(key);
    const isShared = known !== undefined && !known.isAbandoned;
    if (isShared) this.#count("shared");
    const shared = isShared ? known : this.#refresh(key, { upstream, kind, items, held });
    try {
      return this.#serve(await shared.join(signal), this.#env.clock.nowMs(), "forwarded");
    } catch (error) {
      return this.#servedAnyway(held, error);
    }
  }

  /** Ends all observations of the cache. */
  close(): void {
    for (const watch of [...this.#watches]) watch.close();
    this.#entries?.clear();
  }

  #held(key: string, upstream: Upstream): Entry | undefined {
    const entry = this.#entries?.get(key);
    if (entry === undefined || entry.upstream === upstream) return entry;
    // Another upstream has the name now.
    this.#entries?.delete(key);
    return undefined;
  }

  #serve(entry: Entry, nowMs: number, origin: CacheResult["origin"]): CacheResult {
    entry.hits++;
    entry.lastHitMs = nowMs;
    if (entry.watch !== null && this.#watches.delete(entry.watch)) this.#watches.add(entry.watch);
    if (origin !== "forwarded") this.#count(origin === "cached" ? "hit" : "stale");
    const { answer, freshUntilMs } = entry;
    const leftS = (freshUntilMs - nowMs) / 1000;
    return { answer, ageS: answer.maxAgeS - leftS, maxAgeS: Math.max(0, leftS), origin };
  }

  #mayServeStale(entry: Entry, nowMs: number): boolean {
    return nowMs < entry.freshUntilMs + this.#options.staleMs;
  }

  #servedAnyway(held: Entry | undefined, error: unknown): CacheResult {
    const nowMs = this.#env.clock.nowMs();
    if (held === undefined || !this.#mayServeStale(held, nowMs)) throw error;
    held.pausedUntilMs = nowMs + FAILURE_PAUSE_MS;
    return this.#serve(held, nowMs, "stale");
  }

  #refresh(key: string, asked: AskedOfUpstream): CoalescedRequest<Entry> {
    const shared: CoalescedRequest<Entry> = new CoalescedRequest(async (signal) => {
      try {
        return await this.#limit(() => {
          signal.throwIfAborted();
          return this.#fetch(key, asked, signal);
        });
      } catch (error) {
        this.#count("failed");
        throw error;
      } finally {
        if (this.#underWay.get(key) === shared) this.#underWay.delete(key);
      }
    });
    this.#underWay.set(key, shared);
    return shared;
  }

  async #fetch(key: string, asked: AskedOfUpstream, signal: AbortSignal): Promise<Entry> {
    const { held } = asked;
    const answer =
      held !== undefined && this.#isFrequent(held)
        ? await this.#watchOf(key, asked, held).ask(held.answer, signal)
        : await this.#get(asked, signal);
    this.#count(answer.etag !== undefined && answer.etag === held?.answer.etag ? "revalidated" : "fetched");
    return this.#keep(key, asked, answer);
  }

  #isFrequent({ hits }: Entry): boolean {
    const { observeAfter, observations } = this.#options;
    return observeAfter > 0 && observations > 0 && hits >= observeAfter;
  }

  async #get({ upstream, kind, items, held }: AskedOfUpstream, signal: AbortSignal): Promise<AskedResult> {
    held?.watch?.close();
    const etag = held?.answer.etag;
    const received = await upstream.ask(kind, items, { signal, ...(etag === undefined ? {} : { etag }) });
    if (!("isUnchanged" in received)) return received;
    if (held === undefined) throw new Error("what is not held cannot be unchanged");
    return { ...held.answer, maxAgeS: received.maxAgeS };
  }

  /** The request that refreshes an answer is the registration at the same time: observing costs none of its own. */
  #watchOf(key: string, asked: AskedOfUpstream, held: Entry): ObservedResult {
    if (held.watch !== null) return held.watch;
    const [oldest] = this.#watches.size >= this.#options.observations ? this.#watches : [];
    oldest?.close();
    const watch: ObservedResult = new ObservedResult(this.#env.clock, {
      ...asked,
      onResult: (answer) => {
        this.#count("notified");
        this.#keep(key, asked, answer);
      },
      isCold: (nowMs) => this.#isCold(key, nowMs),
      onClosed: () => {
        this.#watches.delete(watch);
        for (const entry of [held, this.#entries?.peek(key)]) if (entry?.watch === watch) entry.watch = null;
      },
    });
    this.#watches.add(watch);
    held.watch = watch;
    return watch;
  }

  #isCold(key: string, nowMs: number): boolean {
    const entry = this.#entries?.peek(key);
    return entry === undefined || nowMs - entry.lastHitMs > entry.answer.maxAgeS * 1000;
  }

  #keep(key: string, { upstream, held }: AskedOfUpstream, answer: AskedResult): Entry {
    const nowMs = this.#env.clock.nowMs();
    const before = this.#entries?.peek(key) ?? held;
    const entry: Entry = {
      upstream,
      answer,
      freshUntilMs: nowMs + answer.maxAgeS * 1000,
      hits: 0,
      lastHitMs: before?.lastHitMs ?? nowMs,
      pausedUntilMs: 0,
      watch: before?.watch ?? null,
    };
    if (isKept(upstream)) this.#entries?.set(key, entry);
    return entry;
  }

  #count(outcome: CacheOutcome): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }
}

/**
 * An upstream that is being copied as a whole is asked only until that is done: what it answers meanwhile must not be older
 * than what its replica shows right after.
 */
function isKept(upstream: Upstream): boolean {
  return upstream.status().replicates.every((filter) => filter.length > 0);
}

interface AskedOfUpstream {
  readonly upstream: Upstream;
  readonly kind: LookupInterface;
  readonly items: readonly string[];
  readonly held: Entry | undefined;
}

/** The order of the items counts (RFC 7252 section 5.6: the cache key is made of all options); lengths keep them apart. */
function keyOf(upstream: string, kind: LookupInterface, items: readonly string[]): string {
  return `${kind} ${upstream} ${items.map((item) => `${item.length}:${item}`).join("")}`;
}

function weightOf({ bytes, received }: AskedResult, key: string): number {
  return 2 * key.length + LINK_WEIGHT_FACTOR * (bytes + 64 * (received + 1));
}
