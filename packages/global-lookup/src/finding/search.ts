import type { Environment } from "@tributary/runtime";
import { ASKED_AT_ONCE, GATHERING_MS, MAX_ASKED, MAX_CANDIDATES } from "../constants.js";
import { GlobalLookupError } from "../errors.js";
import { nameKey } from "../record/name-key.js";
import type { Pool } from "../types.js";
import type { AnnouncerRecords } from "./announcer-records.js";
import type { AnnouncerTrust } from "./announcer-trust.js";
import type { RdRequests } from "./rd-requests.js";
import type { RdResult } from "./rd-response.js";

/** Collaborators of a `Search`. */
export interface SearchDeps {
  readonly pool: Pick<Pool, "find">;
  readonly env: Environment;
  readonly records: AnnouncerRecords;
  readonly trust: AnnouncerTrust;
  readonly requests: RdRequests;
  /** Public key of this node in hexadecimal: it knows what is registered here. */
  readonly ownId: string;
}

/** What a search came to: the registrations; nobody has the name; or nobody could say. */
export type SearchOutcome =
  | { readonly kind: "found"; readonly result: RdResult }
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly reason: string };

/** Share of the time of a search after which announcers that are not trusted are asked. */
const LAST_RESORT_SHARE = 0.2;

/** Outcomes that say nothing of the RD. */
const BLAMELESS: ReadonlySet<string> = new Set(["limited", "expired", "too-large"]);

/** One search for a name: finds who announced it, and asks them, the most trusted first, until one has the registration. */
export class Search {
  readonly #deps: SearchDeps;
  readonly #name: string;
  readonly #timeoutMs: number;
  readonly #startMs: number;
  /** Ends the search of the pool. */
  readonly #stop = new AbortController();
  /** Announcers that were not asked yet, by their keys in hexadecimal. */
  readonly #waiting = new Map<string, Uint8Array>();
  readonly #seen = new Set<string>();
  #firstMs: number | null = null;
  #isGathered = false;
  #poolError: string | null = null;
  #asked = 0;
  #empty = 0;
  #onChange: (() => void) | null = null;

  constructor(deps: SearchDeps, name: string, { timeoutMs }: { readonly timeoutMs: number }) {
    this.#deps = deps;
    this.#name = name;
    this.#timeoutMs = timeoutMs;
    this.#startMs = deps.env.clock.nowMs();
  }

  /** Performs the search. Resolves within its time. */
  async run(): Promise<SearchOutcome> {
    void this.#gather();
    try {
      while (this.#restMs() > 0 && this.#asked < MAX_ASKED) {
        const batch = this.#nextBatch();
        if (batch.length > 0) {
          const result = await this.#askAll(batch);
          if (result !== null) return { kind: "found", result };
        } else if (this.#isGathered) break;
        else await this.#pause();
      }
      return this.#failure();
    } finally {
      this.#stop.abort();
    }
  }

  async #gather(): Promise<void> {
    const { pool, env, ownId } = this.#deps;
    try {
      for await (const announcer of pool.find(nameKey(this.#name), this.#stop.signal)) {
        const id = Buffer.from(announcer).toString("hex");
        if (id === ownId || this.#seen.has(id)) continue;
        if (this.#seen.size >= MAX_CANDIDATES) break;
        this.#seen.add(id);
        this.#waiting.set(id, announcer);
        this.#firstMs ??= env.clock.nowMs();
        this.#onChange?.();
      }
    } catch (error) {
      if (!(error instanceof GlobalLookupError)) env.logger.error("a search of the pool failed", { error });
      this.#poolError = error instanceof Error ? error.message : String(error);
    }
    this.#isGathered = true;
    this.#onChange?.();
  }

  /** The announcers to ask next, and none while better ones may still be found. */
  #nextBatch(): string[] {
    const { trust, env } = this.#deps;
    const nowMs = env.clock.nowMs();
    if (this.#firstMs === null || (!this.#isGathered && nowMs < this.#firstMs + GATHERING_MS)) return [];
    const ranked = trust.rank([...this.#waiting.keys()]);
    const trusted = ranked.filter((id) => !trust.isDistrusted(id));
    const isLastResort = this.#isGathered || nowMs >= this.#startMs + this.#timeoutMs * LAST_RESORT_SHARE;
    return (trusted.length > 0 || !isLastResort ? trusted : ranked).slice(0, ASKED_AT_ONCE);
  }

  /** Resolves with the first registration, or with null when all have failed or the time is over. */
  #askAll(batch: readonly string[]): Promise<RdResult | null> {
    this.#asked += batch.length;
    return new Promise((resolve, reject) => {
      let open = batch.length;
      const timer = this.#deps.env.clock.setTimer(this.#restMs(), () => resolve(null));
      const settle = (result: RdResult | null) => {
        open--;
        if (result === null && open > 0) return;
        timer.cancel();
        resolve(result);
      };
      // The others go on: what they respond says whether they are to be trusted.
      for (const id of batch) this.#ask(id).then(settle, reject);
    });
  }

  async #ask(id: string): Promise<RdResult | null> {
    const { records, requests, trust } = this.#deps;
    const announcer = this.#waiting.get(id) as Uint8Array;
    this.#waiting.delete(id);
    const known = await records.get(announcer, this.#stop.signal).catch(() => null);
    if (known === null) return null;
    if (known.kind === "void") {
      if (known.isSuspicious) trust.note(id, "bad");
      return null;
    }
    const timeoutMs = Math.max(1, Math.min(this.#restMs(), this.#timeoutMs / 2));
    const isProven = trust.expectation(id) > 0.5;
    const outcome = await requests.ask(known.uris, { name: this.#name, announcer, timeoutMs, isProven });
    if (BLAMELESS.has(outcome.kind)) return null;
    trust.note(id, outcome.kind === "found" ? "good" : "bad");
    if (outcome.kind === "silent") records.forget(id);
    if (outcome.kind === "empty") this.#empty++;
    return outcome.kind === "found" ? outcome.result : null;
  }

  /** Waits for another announcer, the end of the search in the pool, or a time at which more may be asked. */
  #pause(): Promise<void> {
    const { clock } = this.#deps.env;
    return new Promise((resolve) => {
      const resume = () => {
        timer.cancel();
        this.#onChange = null;
        resolve();
      };
      const timer = clock.setTimer(Math.min(this.#restMs(), GATHERING_MS), resume);
      this.#onChange = resume;
    });
  }

  #restMs(): number {
    return Math.max(0, this.#startMs + this.#timeoutMs - this.#deps.env.clock.nowMs());
  }

  #failure(): SearchOutcome {
    if (this.#seen.size === 0) {
      if (this.#poolError !== null) return { kind: "failed", reason: this.#poolError };
      if (this.#isGathered) return { kind: "none" };
      return { kind: "failed", reason: "nobody was found in time who announces the name" };
    }
    // Announcers that say themselves that they do not have it any longer.
    if (this.#empty > 0 && this.#empty === this.#asked && this.#waiting.size === 0) return { kind: "none" };
    return { kind: "failed", reason: `none of ${this.#seen.size} that announced the name gave its registration` };
  }
}
