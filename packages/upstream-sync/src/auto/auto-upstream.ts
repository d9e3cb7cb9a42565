import type { Criterion } from "@tributary/link-model";
import { covers, type LookupInterface } from "@tributary/merge-engine";
import type { Timer } from "@tributary/runtime";
import { COPY_PATIENCE_MS, MAX_TOO_LARGE, TOO_LARGE_PAUSE_MS } from "../constants.js";
import type {
  AskedListener,
  AskedObservation,
  AskedResult,
  CapabilityReport,
  FamilyStatus,
  Handover,
  UnchangedResult,
  Upstream,
  UpstreamDeps,
  UpstreamOptions,
  UpstreamPlanning,
  UpstreamStatus,
} from "../types.js";
import { createUpstream } from "../upstream.js";
import { conjunctionKey, QueryFamilies } from "./query-families.js";

/** When a family of lookups is replicated, and for how long (draft 4.3). */
export interface AutoOptions {
  /** Different lookups within the window that make a family frequent; 2 or more. */
  readonly threshold: number;
  readonly windowMs: number;
  /** A family without lookups for so long is dropped. */
  readonly coldMs: number;
  /** Registrations held at once, over all families of the upstream. */
  readonly budget: number;
  /** Families replicated at once; each costs the RD two observations. */
  readonly families: number;
}

/**
 * An RD that is asked, and whose frequent families of lookups are replicated: each by a follower of its own, so that one comes
 * and goes without disturbing the others. Nothing is sent before `start`.
 */
export function createAutoUpstream(deps: UpstreamDeps, options: UpstreamOptions, auto: AutoOptions): Upstream {
  return new AutoUpstream(deps, options, auto);
}

interface Family {
  readonly filter: readonly Criterion[];
  readonly key: string;
  readonly source: string;
  readonly upstream: Upstream;
  readonly sinceMs: number;
  /** Resolves, by `settle`, once it is complete or given up. */
  readonly settled: Promise<void>;
  readonly settle: () => void;
  usedAtMs: number;
}

class AutoUpstream implements Upstream {
  readonly name: string;
  readonly #deps: UpstreamDeps;
  readonly #options: UpstreamOptions;
  readonly #auto: AutoOptions;
  readonly #asked: Upstream;
  readonly #watched: QueryFamilies;
  readonly #families = new Map<string, Family>();
  /** Sources of families that are taking their leave. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** The feed was offered, and then refused to a family. */
  #isFeedRefused = false;
  readonly #tooLarge = new Map<string, { readonly filter: readonly Criterion[]; readonly untilMs: number }>();
  readonly #stopCounting: () => void;
  #timer: Timer | null = null;
  #isClosed = false;
  /** Of families that are no longer there: counters never go back. */
  #bytesBefore = 0;
  readonly #rejectedBefore = new Map<string, number>();

  constructor(deps: UpstreamDeps, options: UpstreamOptions, auto: AutoOptions) {
    this.name = options.name;
    // Families are found again after a restart: they are what is frequent now.
    const { replicas: _, ...others } = deps;
    const { handover: __, ...fresh } = others;
    this.#deps = fresh;
    this.#options = options;
    this.#auto = auto;
    this.#watched = new QueryFamilies(auto);
    this.#asked = createUpstream(others, { ...options, mode: "forward", filters: [] });
    this.#stopCounting = deps.directory.on("source", ({ source, kind }) => {
      if (kind === "added" && source.startsWith(this.#prefix)) this.#keepBudget();
    });
  }

  start(): void {
    this.#asked.start();
    this.#checkLater();
  }

  noteLookup(criteria: readonly Criterion[]): void {
    const nowMs = this.#now();
    const covering = [...this.#families.values()].filter(({ filter }) => covers(filter, criteria));
    for (const family of covering) family.usedAtMs = nowMs;
    if (covering.length > 0 || this.#isClosed || this.#asked.planning().phase !== "live") return;
    const frequent = this.#watched.note(criteria, nowMs, (filter) => this.#isWanted(filter, nowMs));
    if (frequent !== null) this.#replicate(this.#hasFeed() ? frequent : []);
  }

  copyUnderWay(criteria: readonly Criterion[]): Promise<void> | undefined {
    const nowMs = this.#now();
    for (const { filter, sinceMs, settled, upstream } of this.#families.values()) {
      const isNew = nowMs - sinceMs < COPY_PATIENCE_MS && !isUsable(upstream.planning());
      if (isNew && covers(filter, criteria)) return settled;
    }
    return undefined;
  }

  ask(
    kind: LookupInterface,
    items: readonly string[],
    control: { readonly signal?: AbortSignal; readonly etag?: Uint8Array },
  ): Promise<AskedResult | UnchangedResult> {
    return this.#asked.ask(kind, items, control);
  }

  observe(
    kind: LookupInterface,
    items: readonly string[],
    listener: AskedListener,
    control?: { readonly etag?: Uint8Array },
  ): AskedObservation {
    return this.#asked.observe(kind, items, listener, control);
  }

  onStatus(listener: (status: UpstreamStatus) => void): () => void {
    return this.#asked.onStatus(() => listener(this.status()));
  }

  planning(): UpstreamPlanning {
    const asked = this.#asked.planning();
    const families = [...this.#families.values()];
    const planned = families.map(({ filter, upstream }) => ({ filter, planning: upstream.planning() }));
    const complete = planned.filter(({ planning }) => isUsable(planning));
    const lossy = complete.filter(({ planning }) => planning.leftOut.size > 0);
    return {
      ...asked,
      mode: "auto",
      isTier: false,
      isComplete: complete.length > 0,
      coverage: complete.map(({ filter }) => filter),
      replicates: families.map(({ filter }) => filter),
      lossyCoverage: lossy.map(({ filter }) => filter),
      sources: [...families.map(({ source }) => source), ...this.#leaving.keys()],
      leftOut: sumOf([asked.leftOut, ...planned.map(({ planning }) => planning.leftOut)]),
      countsLookups: true,
    };
  }

  status(): UpstreamStatus {
    const asked = this.#asked.status();
    const families = [...this.#families.values()];
    const statuses = families.map(({ upstream }) => upstream.status());
    const { countsLookups: _, capabilities: __, ...planning } = this.planning();
    const latest = (times: (number | undefined)[]) =>
      Math.max(...times.map((time) => time ?? Number.NEGATIVE_INFINITY));
    const lastChangeMs = latest(statuses.map((status) => status.lastChangeMs));
    const [followed] = statuses.filter(({ phase }) => phase === "live");
    return {
      ...asked,
      ...planning,
      method: followed?.method ?? "none",
      families: families.map((family, index) => familyStatus(family, statuses[index])),
      registrations: statuses.reduce((sum, status) => sum + status.registrations, 0),
      ...(Number.isFinite(lastChangeMs) ? { lastChangeMs } : {}),
      ...(followed?.lagMs === undefined ? {} : { lagMs: followed.lagMs }),
      feedBytes: statuses.reduce((sum, status) => sum + status.feedBytes, this.#bytesBefore),
      capabilities: { ...asked.capabilities, feed: this.#feedCapability(asked) },
      rejected: sumOf([this.#rejectedBefore, asked.rejected, ...statuses.map(({ rejected }) => rejected)]),
    };
  }

  /** Families are followers of their own, and end with it; the RD is known. */
  handOver(): Handover {
    const asked = this.#asked.handOver?.();
    if (asked === undefined) throw new Error("an upstream of this package hands over");
    return asked;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#stopCounting();
    for (const family of [...this.#families.values()]) this.#drop(family, "the upstream is closed");
    await Promise.all([this.#asked.close(), ...this.#leaving.values()]);
  }

  get #prefix(): string {
    return `${this.name}#`;
  }

  #now(): number {
    return this.#deps.env.clock.nowMs();
  }

  /** An RD without a feed for this node is read as a whole, whatever is kept of it: then all of it is the family. */
  #hasFeed(): boolean {
    const feed = this.#feedCapability(this.#asked.status());
    return feed !== "no" && feed !== "refused";
  }

  /** What discovery found out by asking, unless it was withdrawn since. */
  #feedCapability({ capabilities }: UpstreamStatus): CapabilityReport["feed"] {
    return this.#isFeedRefused ? "refused" : capabilities.feed;
  }

  #isWanted(filter: readonly Criterion[], nowMs: number): boolean {
    for (const [key, { untilMs }] of this.#tooLarge) if (untilMs <= nowMs) this.#tooLarge.delete(key);
    const wanted = this.#hasFeed() ? filter : [];
    // What is wider than something too large is too large.
    return ![...this.#tooLarge.values()].some((large) => covers(wanted, large.filter));
  }

  #replicate(filter: readonly Criterion[]): void {
    const nowMs = this.#now();
    const key = conjunctionKey(filter);
    if (this.#families.has(key) || !this.#makePlace(nowMs)) return;
    const source = this.#freeSource();
    const options = {
      ...this.#options,
      name: source,
      account: this.name,
      mode: "replicate" as const,
      filters: [filter],
    };
    const upstream = createUpstream(this.#deps, options);
    const { promise: settled, resolve: settle } = promiseAndResolve();
    const family: Family = { filter, key, source, upstream, sinceMs: nowMs, settled, settle, usedAtMs: nowMs };
    this.#families.set(key, family);
    upstream.onStatus((status) => this.#familyChanged(family, status));
    this.#deps.env.logger.info("family of lookups is replicated", { upstream: this.name, source, filter: key });
    upstream.start();
  }

  #familyChanged(family: Family, { phase, capabilities, leftOut }: UpstreamStatus): void {
    if (this.#families.get(family.key) !== family) return;
    // What there is no room for is asked, as a whole.
    if (leftOut.has("memory") || leftOut.has("directory-full")) {
      this.#dropTooLarge(family, this.#now());
      return;
    }
    if (capabilities.feed === "refused" && family.filter.length > 0) {
      this.#isFeedRefused = true;
      this.#drop(family, "the RD refuses its feed");
    } else if (phase === "live") {
      family.settle();
      this.#dropCovered(family);
    }
  }

  #dropCovered({ key, filter }: Family): void {
    for (const other of [...this.#families.values()])
      if (other.key !== key && covers(filter, other.filter)) this.#drop(other, "another one has all of it");
  }

  /** Room for one more: the one that was not used for longest goes, unless all are in use. */
  #makePlace(nowMs: number): boolean {
    if (this.#families.size < this.#auto.families) return true;
    const [oldest] = this.#unusedSince(nowMs - this.#auto.windowMs);
    if (oldest !== undefined) this.#drop(oldest, "it makes room for another one");
    return oldest !== undefined;
  }

  /** Not used since then, the one that was used least recently first. */
  #unusedSince(sinceMs: number): Family[] {
    return [...this.#families.values()]
      .filter(({ usedAtMs }) => usedAtMs < sinceMs)
      .sort((one, other) => one.usedAtMs - other.usedAtMs);
  }

  /** Called as registrations arrive: what grows beyond the budget goes, or those go that are not in use. */
  #keepBudget(): void {
    const held = [...this.#families.values()].map((family) => ({
      family,
      count: this.#deps.directory.counts(family.source).total,
    }));
    const total = held.reduce((sum, { count }) => sum + count, 0);
    if (total <= this.#auto.budget) return;
    const nowMs = this.#now();
    const [unused] = this.#unusedSince(nowMs - this.#auto.windowMs);
    const [largest] = held.sort((one, other) => other.count - one.count);
    if (unused !== undefined) this.#drop(unused, "it makes room within the budget");
    else if (largest !== undefined) this.#dropTooLarge(largest.family, nowMs);
  }

  #dropTooLarge(family: Family, nowMs: number): void {
    const [oldest] = this.#tooLarge.size >= MAX_TOO_LARGE ? this.#tooLarge.keys() : [];
    if (oldest !== undefined) this.#tooLarge.delete(oldest);
    this.#tooLarge.set(family.key, { filter: family.filter, untilMs: nowMs + TOO_LARGE_PAUSE_MS });
    this.#drop(family, "it exceeds the budget");
  }

  #drop(family: Family, why: string): void {
    this.#families.delete(family.key);
    const { upstream, source, key } = family;
    family.settle();
    const { feedBytes, rejected } = upstream.status();
    this.#bytesBefore += feedBytes;
    for (const [cause, count] of rejected)
      this.#rejectedBefore.set(cause, (this.#rejectedBefore.get(cause) ?? 0) + count);
    this.#deps.env.logger.info("family of lookups is no longer replicated", {
      upstream: this.name,
      source,
      filter: key,
      why,
    });
    const gone = upstream.close({ isAbrupt: true }).finally(() => this.#leaving.delete(source));
    this.#leaving.set(source, gone);
  }

  /** Small numbers are used again: they are labels of metrics. */
  #freeSource(): string {
    const taken = new Set([...this.#leaving.keys(), ...[...this.#families.values()].map(({ source }) => source)]);
    for (let number = 1; ; number++) if (!taken.has(`${this.#prefix}${number}`)) return `${this.#prefix}${number}`;
  }

  #checkLater(): void {
    const { clock } = this.#deps.env;
    this.#timer = clock.setTimer(Math.max(1000, this.#auto.coldMs / 4), () => {
      for (const family of this.#unusedSince(clock.nowMs() - this.#auto.coldMs)) this.#drop(family, "it is cold");
      this.#checkLater();
    });
  }
}

function promiseAndResolve(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function isUsable({ isComplete, phase }: Pick<UpstreamPlanning, "isComplete" | "phase">): boolean {
  return isComplete && phase !== "refused" && phase !== "closed";
}

function familyStatus({ filter, usedAtMs }: Family, status: UpstreamStatus | undefined): FamilyStatus {
  return {
    filter,
    phase: status?.phase ?? "closed",
    isComplete: status !== undefined && isUsable(status),
    registrations: status?.registrations ?? 0,
    usedAtMs,
  };
}

function sumOf<Cause extends string>(maps: readonly ReadonlyMap<Cause, number>[]): Map<Cause, number> {
  const sum = new Map<Cause, number>();
  for (const map of maps) for (const [cause, count] of map) sum.set(cause, (sum.get(cause) ?? 0) + count);
  return sum;
}
