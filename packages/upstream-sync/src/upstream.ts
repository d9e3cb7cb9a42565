import { CODE, DEFAULT_MAX_AGE_S } from "@tributary/coap-transport";
import { DEFAULT_RECORD_LIMITS, type LookupInterface, type RecordLimits } from "@tributary/merge-engine";
import { jittered, type OwnedTurns, type Timer, turnsOf } from "@tributary/runtime";
import { type AskDeps, askLookup, observeLookup } from "./ask/ask-lookup.js";
import { AskedLosses } from "./ask/asked-losses.js";
import { hopLimitedClient } from "./ask/hop-limited-client.js";
import { MAX_EXAMPLE_LENGTH, RECENT_DISCOVERY_MS } from "./constants.js";
import {
  type Discovered,
  type DiscoveryOptions,
  discover,
  isFeedGiven,
  lookupGone,
  lookupUri,
  normalOrigin,
  toUpstreamError,
} from "./discovery/discovery.js";
import { NotFoundMeaning } from "./discovery/not-found-meaning.js";
import { OwnNames, pathOf } from "./discovery/own-names.js";
import { Rediscovery } from "./discovery/rediscovery.js";
import { UpstreamError } from "./errors.js";
import { FeedFollower } from "./feed/feed-follower.js";
import type { Follower, FollowerDeps } from "./follower.js";
import { feedToResume, filtersAsText, isCompleteFor, readingOf } from "./handover.js";
import { LeftOut, type LeftOutCause, type Loss, NO_LOSSES } from "./left-out.js";
import { transition, type UpstreamEffect, type UpstreamInput, type UpstreamState } from "./machine.js";
import { PlainRdFollower } from "./plain-rd/plain-rd-follower.js";
import { Remarks } from "./remarks.js";
import { shownPhase } from "./shown-phase.js";
import type {
  AskedListener,
  AskedObservation,
  AskedResult,
  CapabilityReport,
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

const UNKNOWN: CapabilityReport = {
  feed: "unknown",
  observe: "unknown",
  hrefFilter: "unknown",
  provenance: "unknown",
  lifetimeAge: "unknown",
  paging: "unknown",
  etag: "unknown",
  remarks: [],
};

type CloseOptions = Parameters<Upstream["close"]>[0] & object;

/** One empty conjunction. */
const EVERYTHING: UpstreamStatus["coverage"] = [[]];
const NOTHING_LEFT_OUT: UpstreamStatus["leftOut"] = new Map();

/** Not aborted. */
const NEVER = new AbortController().signal;

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
  readonly #asked = new AskedLosses(this.#leftOut);
  readonly #copy: UpstreamCopy;
  readonly #rediscovery: Rediscovery;
  readonly #listeners = new Set<(status: UpstreamStatus) => void>();
  #state: UpstreamState = { kind: "idle" };
  #phase: UpstreamPhase = "idle";
  /** Why it is not live; stays while it is tried again. */
  #lastError: string | undefined;
  #capabilities: CapabilityReport = UNKNOWN;
  #follower: Follower | null = null;
  #stopping: Promise<void> = Promise.resolve();
  #found: Discovered | null = null;
  #discoveredMs = Number.NEGATIVE_INFINITY;
  readonly #notFound: NotFoundMeaning;
  #names: OwnNames;
  /** A lookup that was advertised and not there when it was asked; asked again before the RD counts as found. */
  #missedLookup: LookupInterface | null = null;
  #abort = new AbortController();
  #timer: Timer | null = null;
  #wasComplete = false;
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
    this.#notFound = new NotFoundMeaning(deps.env);
    this.#goOnFrom(deps.handover);
    this.#names = this.#ownNames(null);
    this.#copy = new UpstreamCopy(deps, options, this.#leftOut);
    this.#rediscovery = new Rediscovery(
      { client: deps.client, env: deps.env, onChange: (error) => this.#input({ kind: "failed", error }) },
      this.#discoveryOptions(),
    );
  }

  /** Lookups go on while it starts: the RD is asked where it was found, and what is held stays complete. */
  #goOnFrom(handover: Handover | undefined): void {
    if (handover === undefined) return;
    this.#found = handover.found;
    this.#capabilities = handover.capabilities;
    this.#wasComplete = isCompleteFor(this.#options, handover);
    const isAsked = this.#options.mode === "forward" && handover.found !== null;
    const isLive = handover.phase === "live" && (isAsked || this.#wasComplete);
    if (isLive || (handover.phase === "stale" && this.#wasComplete)) this.#phase = handover.phase;
  }

  handOver(): Handover {
    const { coverage, lossyCoverage, leftOut } = this.status();
    return {
      phase: this.#phase,
      found: this.#found,
      capabilities: this.#capabilities,
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

  async ask(
    kind: LookupInterface,
    items: readonly string[],
    { signal, etag }: { readonly signal?: AbortSignal; readonly etag?: Uint8Array } = {},
  ): Promise<AskedResult | UnchangedResult> {
    const startMs = this.#now();
    try {
      const answer = await askLookup(this.#askDeps(signal), kind, items, { etag });
      if ("losses" in answer) this.#asked.note(kind, items, answer.losses, this.#now());
      return answer;
    } catch (error) {
      if (isLookupGone(error)) return await this.#nothingOrGone(kind, items, error, signal);
      // One that nobody waits for any more tells something only if there was time to answer.
      const hadTime = this.#now() - startMs >= this.#options.timeoutMs / 2;
      if (hadTime || signal?.aborted !== true) this.#notAnswered(error);
      throw error;
    }
  }

  /**
   * A query was answered as if there were no such lookup: nothing matches it if the lookup answers others; else it is looked
   * for again. @throws {UpstreamError}
   */
  async #nothingOrGone(
    kind: LookupInterface,
    items: readonly string[],
    error: UpstreamError,
    signal?: AbortSignal,
  ): Promise<AskedResult> {
    const { client, found, ...control } = this.#askDeps(signal);
    const isThere = await this.#notFound.isThere(lookupUri(found, kind), { client, ...control });
    if (isThere && items.length > 0) this.#notFound.noteProof();
    if (isThere || (this.#notFound.isNothing && (await this.#isStillAdvertised(found))))
      return { links: [], received: 0, maxAgeS: DEFAULT_MAX_AGE_S, bytes: 0, losses: NO_LOSSES };
    this.#missedLookup = kind;
    this.#input({ kind: "failed", error });
    throw error;
  }

  observe(
    kind: LookupInterface,
    items: readonly string[],
    listener: AskedListener,
    { etag }: { readonly etag?: Uint8Array } = {},
  ): AskedObservation {
    const noting: AskedListener = {
      onResult: (answer) => {
        if ("losses" in answer) this.#asked.note(kind, items, answer.losses, this.#now());
        listener.onResult(answer);
      },
      onEnd: (error) => listener.onEnd(error),
    };
    if (this.#state.kind === "closed")
      throw new UpstreamError("UPSTREAM_CLOSED", `${this.name} is not followed any more`);
    return observeLookup(this.#askDeps(this.#abort.signal), kind, items, noting, { etag });
  }

  /**
   * A lookup that is under way when another upstream takes the place of this one is answered all the same: only `signal` and its
   * deadline end it. @throws {UpstreamError}
   */
  #askDeps(signal?: AbortSignal): AskDeps {
    const found = this.#found;
    if (found === null) throw new UpstreamError("UPSTREAM_NO_LOOKUP", `${this.name} has not been discovered`);
    return {
      client: hopLimitedClient(this.#deps.client, found),
      found,
      capabilities: this.#capabilities,
      names: this.#names,
      remarks: this.#remarks,
      recordLimits: this.#recordLimits,
      memory: this.#deps.directory.limits.memory,
      turns: this.#turns(),
      timeoutMs: this.#options.timeoutMs,
      signal: signal ?? NEVER,
    };
  }

  /** The work of each upstream waits in a queue of its own. */
  #turns(): OwnedTurns {
    return (this.#deps.turns ?? turnsOf(this.#deps.env.clock)).ownedBy(`upstream ${this.name}`);
  }

  /** Nobody watches an upstream that is only asked: that it is lost shows when it does not answer. */
  #notAnswered(error: unknown): void {
    if (this.#options.mode !== "forward" || !(error instanceof UpstreamError)) return;
    const isLost = error.code === "UPSTREAM_TIMEOUT" || error.code === "UPSTREAM_UNREACHABLE";
    if (isLost) this.#input({ kind: "failed", error });
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
      wasTried: this.#wasTried,
      registrations: this.#deps.directory.counts(name).total,
      ...(this.#lastChangeMs === undefined ? {} : { lastChangeMs: this.#lastChangeMs }),
      ...(this.#lastContactMs === undefined ? {} : { lastContactMs: this.#lastContactMs }),
      ...(lagMs === undefined ? {} : { lagMs }),
      feedBytes: this.#feedBytes,
      capabilities: { ...this.#capabilities, remarks: this.#remarks.list() },
      ...(lastError === undefined ? {} : { lastError }),
      attempts: this.#attempts,
      rejected: this.#leftOut.total,
    };
  }

  planning(): UpstreamPlanning {
    const { mode, isTier = false } = this.#options;
    this.#asked.expire(this.#now());
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
      capabilities: this.#capabilities,
      countsLookups: false,
    };
  }

  noteLookup(): void {}

  copyUnderWay(): undefined {}

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
    if (this.#found !== null) this.#copy.noteState(this.#found.authority, true);
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

  #discoveryOptions(): DiscoveryOptions {
    const { uri, timeoutMs, isTier, authorities, elsewhere } = this.#options;
    const { nodeId, isConfigured } = this.#deps;
    return {
      uri,
      nodeId,
      timeoutMs: Math.max(timeoutMs, 5000),
      ...(isTier === undefined ? {} : { isTier }),
      ...(authorities === undefined ? {} : { authorities }),
      ...(elsewhere === undefined ? {} : { elsewhere }),
      ...(isConfigured === undefined ? {} : { isConfigured }),
    };
  }

  async #discover(): Promise<void> {
    this.#attempts++;
    try {
      const result = await discover(this.#deps.client, this.#discoveryOptions(), this.#abort.signal);
      this.#lastContactMs = this.#now();
      if (result.kind === "elsewhere") throw new UpstreamError("UPSTREAM_NO_LOOKUP", result.reason);
      if (result.kind === "found") await this.#assertThere(result.found);
      if (result.kind === "found") this.#discovered(result.found, await this.#feedCapability(result.found));
      else if (result.kind === "refused") this.#input({ kind: "refused", reason: result.reason });
      else
        this.#input({
          kind: "failed",
          error: new UpstreamError(
            "UPSTREAM_NO_LOOKUP",
            "it advertises no lookup interfaces (core.rd-lookup-ep, core.rd-lookup-res)",
          ),
        });
    } catch (error) {
      this.#input({ kind: "failed", error: toUpstreamError(error) });
    }
  }

  /** One that is only asked has no follower to find out that a lookup goes on missing. @throws {UpstreamError} */
  async #assertThere(found: Discovered): Promise<void> {
    const kind = this.#missedLookup;
    if (kind === null || this.#options.mode !== "forward") return;
    const { client } = this.#deps;
    const control = { client, timeoutMs: this.#options.timeoutMs, signal: this.#abort.signal };
    this.#notFound.forLookups(found.endpointLookup, found.resourceLookup);
    const isThere = this.#notFound.isNothing || (await this.#notFound.isThere(lookupUri(found, kind), control));
    if (!isThere) throw lookupGone(kind, CODE.NOT_FOUND);
    this.#missedLookup = null;
  }

  #ownNames(found: Discovered | null): OwnNames {
    const { directory, isConfigured, isThisNode } = this.#deps;
    const { uri, authorities = [] } = this.#options;
    const sourceOfRd = this.name.replace(/#\d+$/, "");
    return new OwnNames({
      authorities,
      // A lookup proxy takes no registrations itself; nodes of the project tell theirs from those of others.
      mayGuess:
        found?.registration !== undefined &&
        normalOrigin(found.registration) === normalOrigin(uri) &&
        !found.isTributary &&
        !found.isTier,
      mayBeOwn: (origin) => isConfigured?.(origin) !== true && isThisNode?.(origin) !== true,
      isKnownFromElsewhere: ({ path, ep, d }) =>
        directory
          .candidates(ep, d)
          .some(({ source, href }) => source.replace(/#\d+$/, "") !== sourceOfRd && pathOf(href) === path),
    });
  }

  async #isStillAdvertised(found: Discovered): Promise<boolean> {
    return this.#confirmDiscovery(found).then(
      () => true,
      () => false,
    );
  }

  /** @throws {UpstreamError} */
  async #confirmDiscovery(found: Discovered): Promise<void> {
    if (this.#now() - this.#discoveredMs <= RECENT_DISCOVERY_MS) return;
    await this.#rediscovery.confirm(found, this.#abort.signal);
    this.#discoveredMs = this.#now();
  }

  /** One that is only asked is asked for ages too (design section 5, rule 1), if it tells them to this peer. */
  async #feedCapability(found: Discovered): Promise<CapabilityReport["feed"]> {
    if (!found.hasFeed) return "no";
    if (this.#options.mode !== "forward") return "unknown";
    const { timeoutMs } = this.#discoveryOptions();
    const isGiven = await isFeedGiven(this.#deps.client, found, { signal: this.#abort.signal, timeoutMs });
    return isGiven ? "yes" : "refused";
  }

  #discovered(found: Discovered, feed: CapabilityReport["feed"]): void {
    this.#found = found;
    this.#discoveredMs = this.#now();
    const { endpointLookup, resourceLookup, registration } = found;
    this.#notFound.forLookups(endpointLookup, resourceLookup);
    this.#names = this.#ownNames(found);
    // What was found out before may not hold any more: it may be another program behind the same address.
    this.#capabilities = {
      ...UNKNOWN,
      feed,
      lifetimeAge: feed === "yes" ? "yes" : "unknown",
      endpointLookup,
      resourceLookup,
      ...(registration === undefined ? {} : { registration }),
    };
    if (found.isTributary)
      this.#capabilities = {
        ...this.#capabilities,
        provenance: "yes",
        hrefFilter: "yes",
        paging: "yes",
      };
    this.#input({ kind: "discovered", found });
  }

  #follow(found: Discovered, method: "feed" | "links" | "none"): void {
    if (method === "none") return;
    const { directory } = this.#deps;
    directory.openSource(this.name, { authority: found.authority, account: accountOf(this.#options) });
    this.#copy.noteState(found.authority, this.#wasComplete);
    if (method === "links") this.#rediscovery.watch(found);
    const deps = this.#followerDeps(found);
    this.#follower =
      method === "feed"
        ? new FeedFollower(deps, this.#copy.openForFeed())
        : new PlainRdFollower(deps, this.#copy.openForLookups());
    // The last one may still be taking its leave; both talk about the same records.
    const follower = this.#follower;
    void this.#stopping.then(() => {
      if (this.#follower === follower) follower.start(found);
    });
  }

  #stopFollowing(): void {
    this.#rediscovery.stop();
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
      notFound: this.#notFound,
      names: this.#names,
      confirmDiscovery: () => this.#confirmDiscovery(found),
      leftOut: this.#leftOut,
      recordLimits: this.#recordLimits,
      turns: this.#turns(),
      report: (capabilities) => {
        this.#capabilities = { ...this.#capabilities, ...capabilities };
      },
      events: {
        receiving: () => this.#receiving(),
        complete: () => this.#input({ kind: "complete" }),
        failed: (error) => this.#input({ kind: "failed", error }),
        feedUnavailable: (reason, isRefusal) => this.#unavailable(reason, isRefusal),
        bytes: (count) => {
          this.#feedBytes += count;
        },
        changed: () => {
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

function isLookupGone(error: unknown): error is UpstreamError {
  return error instanceof UpstreamError && error.code === "UPSTREAM_LOOKUP_GONE";
}
