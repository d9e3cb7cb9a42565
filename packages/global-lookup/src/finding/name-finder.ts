import type { CoapClient } from "@tributary/coap-transport";
import type { Link } from "@tributary/link-model";
import { addCount, type Environment, ExpiringMap } from "@tributary/runtime";
import { CACHE_BYTES, CACHE_ENTRIES, MAX_CACHED_S, MAX_SEARCHES, NEGATIVE_S } from "../constants.js";
import type { AddressPolicy } from "../record/address-policy.js";
import type { Pool } from "../types.js";
import { AnnouncerRecords } from "./announcer-records.js";
import { AnnouncerTrust } from "./announcer-trust.js";
import { RdRequests } from "./rd-requests.js";
import { RequestBudget, type RequestRate } from "./request-budget.js";
import { Search, type SearchOutcome } from "./search.js";

/** Collaborators of a `NameFinder`. */
export interface NameFinderDeps {
  readonly pool: Pick<Pool, "find" | "readRecord">;
  readonly client: Pick<CoapClient, "request">;
  readonly env: Environment;
  /** Which addresses out of records may be asked. */
  readonly isUsable: AddressPolicy;
}

/** Settings of a `NameFinder`. */
export interface NameFinderOptions {
  /** Time of one search, ms; 1 or more. */
  readonly timeoutMs: number;
  /** Public key of this node, whose own announcements are not followed. */
  readonly ownKey: Uint8Array;
}

/** What is known of a name. `none`: nobody has it. `failed`: nobody could say. `busy`: too many searches are under way. `limited`: this client had too many. */
export type FoundName =
  | { readonly kind: "found"; readonly links: readonly Link[]; readonly maxAgeS: number; readonly isCached: boolean }
  | { readonly kind: "none"; readonly maxAgeS: number }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "busy" | "limited" };

/** Searches for one client: each costs more messages than the request that causes it. */
const CLIENT_RATE: RequestRate = { burst: 200, perSecond: 50 };

interface Kept {
  readonly outcome: SearchOutcome;
  readonly untilMs: number;
}

/** Finds endpoints by name in a pool. Results are kept for as long as the RD says, and equal searches are one. */
export class NameFinder {
  /** Searches by outcome, see `FoundName`, and `cached`. Monotonic. */
  readonly outcomes = new Map<string, number>();
  readonly requests: RdRequests;
  readonly records: AnnouncerRecords;
  readonly trust: AnnouncerTrust;
  readonly #deps: NameFinderDeps;
  readonly #options: NameFinderOptions;
  readonly #ownId: string;
  readonly #kept: ExpiringMap<Kept>;
  readonly #underWay = new Map<string, Promise<FoundName>>();
  readonly #clients: RequestBudget;

  constructor(deps: NameFinderDeps, options: NameFinderOptions) {
    const { env, pool, isUsable, client } = deps;
    this.#deps = deps;
    this.#options = options;
    this.#ownId = Buffer.from(options.ownKey).toString("hex");
    this.requests = new RdRequests({ client, env });
    this.records = new AnnouncerRecords({ pool, env, isUsable });
    this.trust = new AnnouncerTrust(env.clock);
    this.#clients = new RequestBudget(env.clock);
    const bounds = { lifetimeMs: MAX_CACHED_S * 1000, maxEntries: CACHE_ENTRIES, maxWeight: CACHE_BYTES };
    this.#kept = new ExpiringMap({ clock: env.clock }, bounds);
  }

  /** Numbers of entries by table. */
  tableSizes(): Readonly<Record<string, number>> {
    return {
      "global-searches": this.#underWay.size,
      "global-results": this.#kept.size,
      "global-records": this.records.size,
      "global-announcers": this.trust.size,
    };
  }

  /** Finds an endpoint. Resolves within the time of one search. `client`: whom a search counts for, see `addressHolder`. */
  async find(name: string, client: string): Promise<FoundName> {
    const kept = this.#kept.get(name);
    const nowMs = this.#deps.env.clock.nowMs();
    if (kept !== undefined && kept.untilMs > nowMs) {
      addCount(this.outcomes, "cached");
      return foundName(kept.outcome, { restMs: kept.untilMs - nowMs, isCached: true });
    }
    const underWay = this.#underWay.get(name);
    if (underWay !== undefined) return await underWay;
    if (this.#underWay.size >= MAX_SEARCHES) return this.#refuse("busy");
    if (!this.#clients.take(client, CLIENT_RATE)) return this.#refuse("limited");
    const search = this.#search(name).finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, search);
    return await search;
  }

  /** Forgets everything. */
  close(): void {
    this.#kept.clear();
    this.records.clear();
    this.trust.clear();
    this.requests.clear();
    this.#clients.clear();
  }

  #refuse(kind: "busy" | "limited"): FoundName {
    addCount(this.outcomes, kind);
    return { kind };
  }

  async #search(name: string): Promise<FoundName> {
    const { pool, env } = this.#deps;
    const deps = { pool, env, ...this.#parts(), ownId: this.#ownId };
    const outcome = await new Search(deps, name, this.#options).run();
    addCount(this.outcomes, outcome.kind);
    const lifeMs = lifetimeS(outcome) * 1000;
    if (lifeMs > 0) {
      const untilMs = env.clock.nowMs() + lifeMs;
      this.#kept.set(name, { outcome, untilMs }, { weight: weightOf(outcome) });
    }
    return foundName(outcome, { restMs: lifeMs, isCached: false });
  }

  #parts() {
    return { records: this.records, trust: this.trust, requests: this.requests };
  }
}

function lifetimeS(outcome: SearchOutcome): number {
  return outcome.kind === "found" ? Math.min(MAX_CACHED_S, outcome.result.maxAgeS) : NEGATIVE_S;
}

function foundName(outcome: SearchOutcome, { restMs, isCached }: { restMs: number; isCached: boolean }): FoundName {
  const maxAgeS = Math.floor(restMs / 1000);
  if (outcome.kind === "found") return { kind: "found", links: outcome.result.links, maxAgeS, isCached };
  return outcome.kind === "none" ? { kind: "none", maxAgeS } : outcome;
}

/** Bytes of heap, estimated: two per character, and the objects around. */
function weightOf(outcome: SearchOutcome): number {
  const links = outcome.kind === "found" ? outcome.result.links : [];
  return (
    512 + 2 * JSON.stringify(links).length + 64 * links.reduce((sum, { attributes }) => sum + attributes.length, 0)
  );
}
