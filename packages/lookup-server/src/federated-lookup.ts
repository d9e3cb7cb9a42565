import { addressHolder, CODE, type Peer } from "@tributary/coap-transport";
import type { Link } from "@tributary/link-model";
import type { LookupContext, LookupRefusal, LookupResult, LookupSource } from "@tributary/lookup-interface";
import type { Directory, LookupOptions } from "@tributary/merge-engine";
import { type Environment, inTurns, turnsOf } from "@tributary/runtime";
import type { Upstream } from "@tributary/upstream-sync";
import { COPY_WAIT_SHARE, PARTIAL_MAX_AGE_S } from "./constants.js";
import { LookupServerError } from "./errors.js";
import { type FanOutRequest, type FanOutResult, fanOut } from "./fan-out.js";
import {
  absent,
  leftOutOf,
  type MissingPart,
  type ParticipationPlan,
  planParticipation,
} from "./participation-plan.js";
import type { ResponseCache } from "./response-cache.js";
import { ResultUnion } from "./result-union.js";

/** Collaborators of `createFederatedLookup`. */
export interface FederatedLookupDeps {
  readonly directory: Directory;
  /** Asks upstreams, or has results of them. */
  readonly cache: ResponseCache;
  /** The upstreams at present, in any order. */
  readonly upstreams: () => readonly Upstream[];
  readonly env: Environment;
  /** What this node itself should have and does not have at present. */
  readonly missing?: () => readonly string[];
}

/** Settings of `createFederatedLookup`. */
export interface FederatedLookupOptions {
  /** Deadline of a lookup that asks upstreams, ms; 1 or more. */
  readonly timeoutMs: number;
  /** When the part of an upstream is missing: serve the rest, or respond with 5.04. */
  readonly onPartial: "serve" | "fail";
  /** The source with the registrations of this node's own RD, if it is one. */
  readonly ownSource?: string;
}

/**
 * Makes the lookup source of an LP (draft 4.4, 6.2.1): the copy is used for every upstream whose coverage contains the query, and
 * the others are asked. A query that is covered everywhere has its result at once, without a promise.
 * @throws {LookupServerError} `BAD_OPTIONS`
 */
export function createFederatedLookup(deps: FederatedLookupDeps, options: FederatedLookupOptions): LookupSource {
  if (!(options.timeoutMs >= 1)) throw new LookupServerError("BAD_OPTIONS", "timeout must be at least 1 ms");
  const lookup = new FederatedLookup(deps, options);
  return (context) => lookup.perform(context);
}

class FederatedLookup {
  readonly #deps: FederatedLookupDeps;
  readonly #options: FederatedLookupOptions;
  readonly #union: ResultUnion;

  constructor(deps: FederatedLookupDeps, options: FederatedLookupOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#union = new ResultUnion(deps);
  }

  perform(context: LookupContext): LookupResult | LookupRefusal | Promise<LookupResult | LookupRefusal> {
    if (context.scope === "here") return this.#registeredHere(context);
    const plan = this.#plan(context);
    if (plan.copies.length > 0) return this.#afterCopies(context, plan.copies);
    return this.#performPlanned(context, plan);
  }

  #plan(context: LookupContext): ParticipationPlan {
    return planParticipation(context, {
      upstreams: this.#deps.upstreams(),
      missing: this.#deps.missing?.() ?? [],
      hasOwnSource: this.#options.ownSource !== undefined,
    });
  }

  #performPlanned(
    context: LookupContext,
    plan: ParticipationPlan,
    timeoutMs = this.#options.timeoutMs,
  ): LookupResult | LookupRefusal | Promise<LookupResult | LookupRefusal> {
    if (plan.asked.length > 0) return this.#askAndUnite(context, plan, timeoutMs);
    if (plan.missing.length === 0)
      return { ...this.#fromDirectory(context), origin: "local", isCacheable: plan.isCacheable };
    // What was copied of an upstream before it was lost is still true, but not complete.
    return this.#partial(plan.missing, this.#isAnythingKnown(plan), () => this.#fromDirectory(context));
  }

  /**
   * Upstreams have no part in what is registered at this node (draft 4.4.2), whatever their mode: a registration made here is
   * registered here although its endpoint has a newer one elsewhere.
   */
  #registeredHere(context: LookupContext): LookupResult {
    const { ownSource } = this.#options;
    if (ownSource === undefined) return { links: [], origin: "local", isCacheable: true };
    return { ...this.#fromDirectory(context, { heldBy: ownSource }), origin: "local", isCacheable: true };
  }

  #fromDirectory(
    { kind, query, request }: LookupContext,
    more: LookupOptions = {},
  ): Required<Pick<LookupResult, "links" | "steps" | "text">> {
    const { directory, env } = this.#deps;
    const nowMs = env.clock.nowMs();
    const options = { ...optionsOf(request.peer), ...more };
    return {
      links: directory.lookup(kind, query, nowMs, options),
      steps: () => directory.lookupInSteps(kind, query, nowMs, options),
      text: () => directory.lookupText(kind, query, nowMs, options),
    };
  }

  /** Waits for copies, for part of the deadline, and plans again with what is covered then. */
  async #afterCopies(context: LookupContext, copies: readonly Promise<void>[]): Promise<LookupResult | LookupRefusal> {
    const startMs = this.#deps.env.clock.nowMs();
    const longestMs = this.#options.timeoutMs * COPY_WAIT_SHARE;
    await new Promise<void>((resolve) => {
      const timer = this.#deps.env.clock.setTimer(longestMs, resolve);
      void Promise.all(copies).then(() => {
        timer.cancel();
        resolve();
      });
    });
    const waitedMs = this.#deps.env.clock.nowMs() - startMs;
    return this.#performPlanned(context, this.#plan(context), this.#options.timeoutMs - waitedMs);
  }

  async #askAndUnite(
    context: LookupContext,
    plan: ParticipationPlan,
    timeoutMs: number,
  ): Promise<LookupResult | LookupRefusal> {
    const deadline = new AbortController();
    const timer = this.#deps.env.clock.setTimer(timeoutMs, () => deadline.abort());
    try {
      return await this.#askUntil(context, plan, deadline.signal);
    } finally {
      timer.cancel();
    }
  }

  async #askUntil(
    context: LookupContext,
    plan: ParticipationPlan,
    deadline: AbortSignal,
  ): Promise<LookupResult | LookupRefusal> {
    const needsEndpoints = this.#hasSeveralOrigins(plan);
    const request: FanOutRequest = { ...context, deadline, needsEndpoints, inTurns: this.#inTurnsOf(context) };
    let results = await fanOut(plan.asked, request, this.#deps.cache);
    let links = await request.inTurns(this.#union.unite(context, results));
    if (isShort(context, links) && results.some((result) => "links" in result && !result.isWhole)) {
      // Duplicates took places within the pushed-down count: the rest is needed after all.
      results = await fanOut(plan.asked, { ...request, ignoreCount: true }, this.#deps.cache);
      links = await request.inTurns(this.#union.unite(context, results));
    }
    const missing = [...plan.missing, ...this.#failures(results)];
    const page = paged(context, links);
    const found = { links: page, steps: () => page };
    const received = results.flatMap((result) => ("links" in result ? [result] : []));
    if (missing.length > 0)
      return this.#partial(missing, received.length > 0 || this.#isAnythingKnown(plan), () => found);
    const maxAgeS = Math.min(60, ...received.map(({ maxAgeS }) => maxAgeS));
    return {
      ...found,
      origin: received.every(({ origin }) => origin === "cached") ? "cached" : "forwarded",
      maxAgeS,
    };
  }

  /** Runs work for the client of a lookup, to its end. */
  #inTurnsOf({ request: { peer } }: LookupContext): FanOutRequest["inTurns"] {
    const turns = turnsOf(this.#deps.env.clock).ownedBy(addressHolder(peer));
    return async <T>(work: Generator<void, T>) => (await inTurns(turns, work)) as T;
  }

  /** Whether registrations of one endpoint may be found in several places. */
  #hasSeveralOrigins({ asked }: ParticipationPlan): boolean {
    if (asked.length > 1) return true;
    const { directory } = this.#deps;
    const sources = new Set(asked.flatMap((upstream) => upstream.planning().sources));
    return directory.sources().some((source) => !sources.has(source) && directory.counts(source).total > 0);
  }

  #isAnythingKnown({ isAnyCovered }: ParticipationPlan): boolean {
    return isAnyCovered || this.#deps.directory.counts().visible > 0;
  }

  #failures(results: readonly FanOutResult[]): MissingPart[] {
    return results.flatMap((result) => {
      const { name } = result.upstream;
      const failure = "failure" in result ? result.failure : result.endpointsFailure;
      if (failure === undefined && "links" in result) {
        if (result.origin === "stale") return [absent(name)];
        const losses = [...result.losses].map(([cause, { count }]) => [cause, count] as const);
        return losses.length === 0 ? [] : [leftOutOf(name, losses)];
      }
      this.#deps.env.logger.debug("an upstream failed in a lookup", {
        upstream: name,
        error: failure?.message,
      });
      return [absent(name)];
    });
  }

  #partial(
    missing: readonly MissingPart[],
    isAnythingKnown: boolean,
    found: () => Pick<LookupResult, "links" | "steps" | "text">,
  ): LookupResult | LookupRefusal {
    const names = missing.map(({ text }) => text).join(", ");
    if (!isAnythingKnown) return { code: CODE.GATEWAY_TIMEOUT, message: `no upstream could be reached: ${names}` };
    if (this.#options.onPartial === "fail")
      return { code: CODE.GATEWAY_TIMEOUT, message: `upstreams missing: ${names}` };
    return {
      ...found(),
      origin: "partial",
      missing: missing.map(({ upstream }) => upstream),
      maxAgeS: PARTIAL_MAX_AGE_S,
    };
  }
}

/** RFC 9176 section 6.2: page and count apply to the merged result. */
function paged({ query }: LookupContext, links: readonly Link[]): readonly Link[] {
  if (query.count === undefined) return links;
  const start = (query.page ?? 0) * query.count;
  return links.slice(start, start + query.count);
}

function isShort({ query }: LookupContext, links: readonly Link[]): boolean {
  return query.count !== undefined && links.length < ((query.page ?? 0) + 1) * query.count;
}

function optionsOf({ zone }: Peer): LookupOptions {
  return zone === undefined ? {} : { zone };
}
