import type { Criterion } from "@tributary/link-model";
import { DEFAULT_RECORD_LIMITS, type LookupInterface, type RecordLimits } from "@tributary/merge-engine";
import { jittered, type OwnedTurns, type Timer, turnsOf } from "@tributary/runtime";
import { AskedLookups } from "./ask/asked-lookups.js";
import { hopLimitedClient } from "./ask/hop-limited-client.js";
import { MAX_EXAMPLE_LENGTH } from "./constants.js";
import { type Discovered, toUpstreamError } from "./discovery/discovery.js";
import { UpstreamError } from "./errors.js";
import { FeedFollower } from "./feed/feed-follower.js";
import { FeedTransport } from "./feed/feed-transport.js";
import type { Follower, FollowerDeps } from "./follower.js";
import { feedToResume, filtersAsText, isCompleteFor, readingOf } from "./handover.js";
import { LeftOut, type LeftOutCause, type Loss } from "./left-out.js";
import { transition, type UpstreamEffect, type UpstreamInput, type UpstreamState } from "./machine.js";
import { PlainRdFollower } from "./plain-rd/plain-rd-follower.js";
import { RdDiscovery } from "./rd-discovery.js";
import { Remarks } from "./remarks.js";
import { shownPhase } from "./shown-phase.js";
import type {
  AskedListener,
  AskedObservation,
  AskedResult,
  FeedHandover,
  Handover,
  UnchangedResult,
  Upstream,
  UpstreamDeps,
  UpstreamOptions,
  UpstreamPhase,
  UpstreamPlanning,
  UpstreamStatus,
} from "./types.js";
import { accountOf, UpstreamCopy } from "./upstream-copy.js";

/** Follow an RD. Nothing is sent before `start`. */
export function createUpstream(deps: UpstreamDeps, options: UpstreamOptions): Upstream {
  return new UpstreamShell(deps, options);
}

type CloseOptions = Parameters<Upstream["close"]>[0] & object;

/** One empty conjunction. */
const EVERYTHING: UpstreamStatus["coverage"] = [[]];
const NOTHING_LEFT_OUT: UpstreamStatus["leftOut"] = new Map();

/** Performs what the state machine decides. */
class UpstreamShell implements Upstream {
  readonly name: string;
  readonly #deps: UpstreamDeps;
  readonly #options: UpstreamOptions;
  readonly #sources: readonly string[];
  readonly #remarks = new Remarks();
  readonly #leftOut = new LeftOut({
    appeared: (cause, loss) => this.#noteLoss(cause, loss),
    cleared: (cause) => this.#noteNoLoss(cause),
  });
  readonly #copy: UpstreamCopy;
  readonly #discovery: RdDiscovery;
  readonly #lookups: AskedLookups;
  readonly #feedTransport: FeedTransport;
  readonly #listeners = new Set<(status: UpstreamStatus) => void>();
  #state: UpstreamState = { kind: "idle" };
  #phase: UpstreamPhase = "idle";
  /** Why it is not live; stays while it is tried again. */
  #lastError: string | undefined;
  #follower: Follower | null = null;
  #stopping: Promise<void> = Promise.resolve();
  readonly #abort = new AbortController();
  #timer: Timer | null = null;
  #wasComplete = false;
  /** Lookups wait for it, see `copyUnderWay`. */
  #shown: FirstShown | null = null;
  #wasTried = false;
  #isAbrupt = false;
  #attempts = 0;
  #feedBytes = 0;
  #lastChangeMs: number | undefined;
  #lastContactMs: number | undefined;

  constructor(deps: UpstreamDeps, options: UpstreamOptions) {
    this.name = options.name;
    this.#deps = deps;
    this.#options = options;
    this.#sources = [options.name];
    this.#discovery = new RdDiscovery(deps, options, (error) => this.#input({ kind: "failed", error }));
    this.#goOnFrom(deps.handover);
    this.#feedTransport = new FeedTransport(
      { env: deps.env, discoverAt: (uri, signal) => this.#discovery.discoverAt(uri, signal) },
      options,
    );
    this.#copy = new UpstreamCopy(deps, options, this.#leftOut);
    this.#lookups = new AskedLookups({
      upstream: deps,
      options,
      discovery: this.#discovery,
      remarks: this.#remarks,
      leftOut: this.#leftOut,
      recordLimits: this.#recordLimits,
      turns: () => this.#turns(),
      closed: this.#abort.signal,
      onFailure: (error) => this.#input({ kind: "failed", error }),
    });
  }

  /** Lookups go on while it starts: the RD is asked where it was found, and what is held stays complete. */
  #goOnFrom(handover: Handover | undefined): void {
    if (handover === undefined) return;
    this.#discovery.goOnFrom(handover);
    this.#wasComplete = isCompleteFor(this.#options, handover);
    const isAsked = this.#options.mode === "forward" && handover.found !== null;
    const isLive = handover.phase === "live" && (isAsked || this.#wasComplete);
    if (isLive || (handover.phase === "stale" && this.#wasComplete)) this.#phase = handover.phase;
  }

  handOver(): Handover {
    const { coverage, lossyCoverage, leftOut } = this.status();
    return {
      phase: this.#phase,
      found: this.#discovery.found,
      capabilities: this.#discovery.capabilities,
      complete: coverage.filter((filter) => !lossyCoverage.includes(filter)),
      reading: readingOf(this.#options),
      feed: this.#handOverFeed(lossyCoverage.length > 0 || leftOut.size > 0),
    };
  }

  /** What is left out is known to the one that read it alone. */
  #handOverFeed(isLossy: boolean): FeedHandover | null {
    const restored = isLossy ? null : this.#copy.handOverFeed();
    return restored === null ? null : { filters: filtersAsText(this.#options.filters), restored };
  }

  start(): void {
    if (this.#copy.restore(feedToResume(this.#options, this.#deps.handover))) this.#wasComplete = true;
    this.#input({ kind: "start" });
  }

  onStatus(listener: (status: UpstreamStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ask(
    kind: LookupInterface,
    items: readonly string[],
    options: { readonly signal?: AbortSignal; readonly etag?: Uint8Array } = {},
  ): Promise<AskedResult | UnchangedResult> {
    return this.#lookups.ask(kind, items, options);
  }

  observe(
    kind: LookupInterface,
    items: readonly string[],
    listener: AskedListener,
    options: { readonly etag?: Uint8Array } = {},
  ): AskedObservation {
    if (this.#state.kind === "closed")
      throw new UpstreamError("UPSTREAM_CLOSED", `${this.name} is not followed any more`);
    return this.#lookups.observe(kind, items, listener, options);
  }

  /** The work of each upstream waits in a queue of its own. */
  #turns(): OwnedTurns {
    return (this.#deps.turns ?? turnsOf(this.#deps.env.clock)).ownedBy(`upstream ${this.name}`);
  }

  async close({ keepCopy = false, isAbrupt = false }: CloseOptions = {}): Promise<void> {
    this.#isAbrupt = isAbrupt;
    this.#input({ kind: "close" });
    this.#abort.abort();
    this.#timer?.cancel();
    this.#listeners.clear();
    // A follower that takes its leave writes nothing any more: the name is free for another upstream at once.
    this.#copy.close({ isKept: keepCopy });
    await this.#stopping;
  }

  status(): UpstreamStatus {
    const { name } = this;
    const { uri } = this.#options;
    const { countsLookups: _, ...planning } = this.planning();
    const lagMs = this.#follower?.lagMs;
    const lastError = this.#lastError;
    return {
      name,
      uri,
      ...planning,
      method: this.#follower?.method ?? "none",
      ...(this.#follower?.method === "feed" ? { transport: this.#feedTransport.current } : {}),
      wasTried: this.#wasTried,
      registrations: this.#deps.directory.counts(name).total,
      ...(this.#lastChangeMs === undefined ? {} : { lastChangeMs: this.#lastChangeMs }),
      ...(this.#lastContactMs === undefined ? {} : { lastContactMs: this.#lastContactMs }),
      ...(lagMs === undefined ? {} : { lagMs }),
      feedBytes: this.#feedBytes,
      capabilities: { ...this.#discovery.capabilities, remarks: this.#remarks.list() },
      ...(lastError === undefined ? {} : { lastError }),
      attempts: this.#attempts,
      rejected: this.#leftOut.total,
    };
  }

  planning(): UpstreamPlanning {
    const { mode, isTier = false } = this.#options;
    this.#lookups.expireLosses();
    const coverage = this.#coverage();
    return {
      phase: this.#phase,
      mode,
      isTier,
      isComplete: this.#isComplete,
      coverage,
      replicates: this.#replicates(),
      lossyCoverage: this.#leftOut.isEmpty ? [] : coverage,
      sources: this.#sources,
      leftOut: this.#leftOut.isEmpty ? NOTHING_LEFT_OUT : this.#leftOut.counts(),
      capabilities: this.#discovery.capabilities,
      showsPart: this.#state.kind === "copying" && this.#follower?.showsPart === true,
      countsLookups: false,
    };
  }

  noteLookup(): void {}

  /** A lookup of everything would ask an RD without a feed for the documents that are being read anyway. */
  copyUnderWay(criteria: readonly Criterion[]): Promise<void> | undefined {
    const isFirst = (this.#state.kind === "probing" || this.#state.kind === "copying") && !this.#wasComplete;
    const isPlain = this.#follower !== null && this.#follower.method !== "feed";
    if (!isFirst || !isPlain || this.#follower?.showsPart === true || criteria.length > 0) return undefined;
    this.#shown ??= new FirstShown();
    return this.#shown.promise;
  }

  /** Something of the first copy is shown, or nothing will be for now. */
  #noteShown(): void {
    this.#shown?.resolve();
    this.#shown = null;
  }

  get #isComplete(): boolean {
    return this.#options.mode === "replicate" && this.#wasComplete && this.#phase !== "refused";
  }

  #replicates(): UpstreamStatus["replicates"] {
    const { mode, filters } = this.#options;
    if (mode !== "replicate") return [];
    return filters.length === 0 ? EVERYTHING : filters;
  }

  #coverage(): UpstreamStatus["coverage"] {
    return this.#isComplete ? this.#replicates() : [];
  }

  get #recordLimits(): RecordLimits {
    return this.#deps.recordLimits ?? DEFAULT_RECORD_LIMITS;
  }

  #now(): number {
    return this.#deps.env.clock.nowMs();
  }

  #input(input: UpstreamInput): void {
    const { state, effects } = transition(this.#state, input, this.#options);
    this.#state = state;
    if (state.kind === "live") this.#noteComplete();
    if (state.kind === "live" || state.kind === "stale" || state.kind === "refused") this.#wasTried = true;
    if (state.kind === "stale") this.#lastError = state.cause.message;
    else if (state.kind === "refused") this.#lastError = state.reason;
    else if (state.kind === "copying" || state.kind === "live") this.#lastError = undefined;
    const phase = shownPhase(state, this.#phase, this.#wasComplete);
    const isOtherPhase = phase !== this.#phase;
    this.#phase = phase;
    for (const effect of effects) this.#perform(effect);
    if (isOtherPhase && phase !== "copying") this.#noteShown();
    if (isOtherPhase) this.#reportStatus();
  }

  #noteLoss(cause: LeftOutCause, loss: Loss): void {
    const { count } = loss;
    // It quotes the upstream.
    const example = loss.example.slice(0, MAX_EXAMPLE_LENGTH);
    this.#remarks.add(example);
    this.#deps.env.logger.warn("part of the upstream is left out", { upstream: this.name, cause, count, example });
    this.#reportStatus();
  }

  #noteNoLoss(cause: LeftOutCause): void {
    this.#deps.env.logger.info("nothing of the upstream is left out for this cause any more", {
      upstream: this.name,
      cause,
    });
    this.#reportStatus();
  }

  #reportStatus(): void {
    for (const listener of this.#listeners) listener(this.status());
  }

  /** What arrives in a first copy is as new as can be: nothing of it is stale. */
  #receiving(): void {
    const isFirst = this.#state.kind === "probing" && !this.#wasComplete;
    if (isFirst) this.#perform({ kind: "set-connected", isConnected: true });
    this.#input({ kind: "receiving" });
  }

  #noteComplete(): void {
    this.#wasComplete = true;
    const { found } = this.#discovery;
    if (found !== null) this.#copy.noteState(found.authority, true);
  }

  #perform(effect: UpstreamEffect): void {
    switch (effect.kind) {
      case "discover":
        void this.#discover();
        return;
      case "follow":
        this.#follow(effect.found, effect.method);
        return;
      case "stop-following":
        this.#stopFollowing();
        return;
      case "set-connected":
        if (this.#deps.directory.sources().includes(this.name))
          this.#deps.directory.setConnected(this.name, effect.isConnected, this.#now());
        return;
      case "retry-after": {
        const { clock, random } = this.#deps.env;
        const afterMs = effect.isExact ? effect.afterMs : jittered(random, effect.afterMs, 0.5, 1);
        this.#timer?.cancel();
        this.#timer = clock.setTimer(afterMs, () => this.#input({ kind: "retry" }));
        return;
      }
      case "log":
        this.#deps.env.logger[effect.level](effect.message, {
          upstream: this.name,
          uri: this.#options.uri,
          ...effect.fields,
        });
        return;
      default:
        effect satisfies never;
    }
  }

  async #discover(): Promise<void> {
    this.#attempts++;
    const onContact = () => {
      this.#lastContactMs = this.#now();
    };
    try {
      const outcome = await this.#discovery.run({ signal: this.#abort.signal, onContact });
      if (outcome.kind === "found") this.#input({ kind: "discovered", found: outcome.found });
      else this.#input({ kind: "refused", reason: outcome.reason });
    } catch (error) {
      this.#input({ kind: "failed", error: toUpstreamError(error) });
    }
  }

  #follow(found: Discovered, method: "feed" | "links" | "none"): void {
    if (method === "none") return;
    const { directory } = this.#deps;
    directory.openSource(this.name, { authority: found.authority, account: accountOf(this.#options) });
    this.#copy.noteState(found.authority, this.#wasComplete);
    if (method === "links") this.#discovery.watch(found);
    const deps = this.#followerDeps(found);
    this.#follower =
      method === "feed"
        ? new FeedFollower(deps, this.#copy.openForFeed())
        : new PlainRdFollower(deps, this.#copy.openForLookups());
    // The last one may still be taking its leave; both talk about the same records.
    const follower = this.#follower;
    const isTcpPossible = method === "feed" && this.#feedTransport.mayUpgrade(found);
    void this.#stopping.then(async () => {
      if (this.#follower !== follower) return;
      if (!isTcpPossible) follower.start(found);
      else await this.#startOverTcp(follower, found);
    });
  }

  /** Starts following a feed where it is best read. Never rejects. */
  async #startOverTcp(follower: Follower, found: Discovered): Promise<void> {
    try {
      const route = await this.#feedTransport.route(found, this.#abort.signal);
      if (this.#follower === follower) follower.start(route);
    } catch (error) {
      if (this.#follower === follower) this.#input({ kind: "failed", error: toUpstreamError(error) });
    }
  }

  #followerFailed(error: UpstreamError, found: Discovered): void {
    if (!this.#feedTransport.shouldFallBack(error)) {
      this.#input({ kind: "failed", error });
      return;
    }
    this.#stopFollowing();
    this.#follow(found, "feed");
  }

  #stopFollowing(): void {
    this.#discovery.stopWatching();
    const follower = this.#follower;
    this.#follower = null;
    if (follower === null) return;
    const isReachable = this.#state.kind !== "stale" && !this.#isAbrupt;
    this.#stopping = Promise.all([this.#stopping, follower.stop(isReachable)]).then(() => undefined);
  }

  #followerDeps(found: Discovered): FollowerDeps {
    const { client, directory, env } = this.#deps;
    return {
      client: hopLimitedClient(client, found),
      directory,
      env,
      options: this.#options,
      remarks: this.#remarks,
      notFound: this.#discovery.notFound,
      names: this.#discovery.names,
      confirmDiscovery: () => this.#discovery.confirm(found, this.#abort.signal),
      leftOut: this.#leftOut,
      recordLimits: this.#recordLimits,
      turns: this.#turns(),
      report: (capabilities) => this.#discovery.learn(capabilities),
      events: {
        receiving: () => this.#receiving(),
        complete: () => {
          this.#feedTransport.noteComplete();
          this.#input({ kind: "complete" });
        },
        failed: (error) => this.#followerFailed(error, found),
        feedUnavailable: (reason, isRefusal) => this.#unavailable(reason, isRefusal),
        bytes: (count) => {
          this.#feedBytes += count;
        },
        changed: () => {
          if (this.#follower?.showsPart === true) this.#noteShown();
          this.#lastChangeMs = this.#now();
        },
        contact: () => {
          this.#lastContactMs = this.#now();
        },
      },
    };
  }

  #unavailable(reason: string, isRefusal: boolean): void {
    this.#remarks.add(isRefusal ? `it refuses the feed: ${reason}` : `it offers a feed but answers ${reason}`);
    this.#input({ kind: "feed-unavailable", reason, isRefusal });
  }
}

/** What lookups wait for that come while a first copy is under way. */
class FirstShown {
  resolve!: () => void;
  readonly promise = new Promise<void>((resolve) => {
    this.resolve = resolve;
  });
}
