import { addressHolder, CODE, type Peer } from "@tributary/coap-transport";
import { firstValue, type Link } from "@tributary/link-model";
import type { LookupAnswer, LookupContext, LookupRefusal, LookupSource } from "@tributary/lookup-interface";
import type { Directory, LookupOptions, SourcedRenewal } from "@tributary/merge-engine";
import { type Environment, inTurns, turnsOf } from "@tributary/runtime";
import type { Upstream } from "@tributary/upstream-sync";
import { COPY_WAIT_SHARE, LINKS_PER_STEP, PARTIAL_MAX_AGE_S } from "./constants.js";
import { participation } from "./coverage.js";
import { LookupServerError } from "./errors.js";
import { type FanOutRequest, type FanOutResult, fanOut } from "./fan-out.js";
import type { ResponseCache } from "./response-cache.js";
import { type Contribution, inSteps, type KnownEndpoint, reportedAgeS, unionInSteps } from "./union.js";

/** Collaborators of `createFederatedLookup`. */
export interface FederatedLookupDeps {
  readonly directory: Directory;
  /** Asks the upstreams, or answers for them. */
  readonly cache: ResponseCache;
  /** The upstreams at present, in any order. */
  readonly upstreams: () => readonly Upstream[];
  readonly env: Environment;
  /** What this node should have itself and does not have at present. */
  readonly missing?: () => readonly string[];
}

/** Settings of `createFederatedLookup`. */
export interface FederatedLookupOptions {
  /** Deadline of a lookup that asks upstreams, ms; 1 or more. */
  readonly timeoutMs: number;
  /** What to do when an upstream's part is missing: answer with the rest, or 5.04. */
  readonly onPartial: "serve" | "fail";
  /** The source with the registrations of this node's own RD, if it is one. */
  readonly ownSource?: string;
}

/**
 * Answers lookups of an LP (draft 4.4, 6.2.1): from the replica for every upstream whose coverage contains the query, and
 * by asking the others. A fully covered query is answered at once, without a promise.
 * @throws {LookupServerError} `BAD_OPTIONS`
 */
export function createFederatedLookup(deps: FederatedLookupDeps, options: FederatedLookupOptions): LookupSource {
  if (!(options.timeoutMs >= 1)) throw new LookupServerError("BAD_OPTIONS", "timeout must be at least 1 ms");
  const lookup = new FederatedLookup(deps, options);
  return (context) => lookup.answer(context);
}

type AnsweredResult = Extract<FanOutResult, { readonly links: readonly Link[] }>;

/** An upstream that an answer may miss something of. */
interface MissingPart {
  readonly upstream: string;
  /** With what is missing, where that is known. */
  readonly text: string;
}

interface Plan {
  /** Sources that the replica answers for. */
  readonly covered: Set<string>;
  /** No upstream has to know what it is asked for. */
  isLasting: boolean;
  readonly asked: Upstream[];
  readonly missing: MissingPart[];
  /** Copies that will cover the query in a moment: waiting for them costs the upstream less than being asked. */
  readonly copies: Promise<void>[];
}

class FederatedLookup {
  readonly #deps: FederatedLookupDeps;
  readonly #options: FederatedLookupOptions;

  constructor(deps: FederatedLookupDeps, options: FederatedLookupOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  answer(context: LookupContext): LookupAnswer | LookupRefusal | Promise<LookupAnswer | LookupRefusal> {
    if (context.scope === "here") return this.#registeredHere(context);
    const plan = this.#plan(context);
    if (plan.copies.length > 0) return this.#afterCopies(context, plan.copies);
    return this.#answer(context, plan);
  }

  #answer(
    context: LookupContext,
    plan: Plan,
    timeoutMs = this.#options.timeoutMs,
  ): LookupAnswer | LookupRefusal | Promise<LookupAnswer | LookupRefusal> {
    if (plan.asked.length > 0) return this.#askAndUnite(context, plan, timeoutMs);
    if (plan.missing.length === 0) {
      const { isLasting } = plan;
      return { links: this.#replica(context), steps: this.#steps(context), origin: "local", isLasting };
    }
    // What was copied of an upstream before it was lost is still true, only not all of it.
    return this.#partial(plan.missing, this.#isAnythingKnown(plan), () => ({
      links: this.#replica(context),
      steps: this.#steps(context),
    }));
  }

  /**
   * Whatever the mode of an upstream, it has no part in what is registered at this node (draft 4.4.2): what an endpoint
   * registered here is registered here although it has a newer registration elsewhere.
   */
  #registeredHere(context: LookupContext): LookupAnswer {
    const { ownSource } = this.#options;
    if (ownSource === undefined) return { links: [], origin: "local", isLasting: true };
    const { kind, query, request } = context;
    const options = { ...optionsOf(request.peer), heldBy: ownSource };
    const nowMs = this.#deps.env.clock.nowMs();
    const { directory } = this.#deps;
    const links = directory.lookup(kind, query, nowMs, options);
    return {
      links,
      steps: () => directory.lookupInSteps(kind, query, nowMs, options),
      origin: "local",
      isLasting: true,
    };
  }

  #plan({ query, scope }: LookupContext): Plan {
    const plan: Plan = {
      covered: new Set(this.#options.ownSource === undefined ? [] : [this.#options.ownSource]),
      asked: [],
      missing: (this.#deps.missing?.() ?? []).map(absent),
      copies: [],
      isLasting: true,
    };
    for (const upstream of this.#deps.upstreams()) {
      const status = upstream.status();
      const part = participation(status, query.criteria);
      if (upstream.noteLookup !== undefined) {
        upstream.noteLookup(query.criteria);
        plan.isLasting = false;
      }
      if (part === "replica" || part === "lossy-replica") plan.covered.add(upstream.name);
      if (part === "lossy-replica") plan.missing.push(leftOutOf(upstream.name, [...status.leftOut]));
      // Proxies that follow each other would ask each other without end.
      else if (part === "ask" && status.isTier && scope === "directories") plan.missing.push(absent(upstream.name));
      else if (part === "ask") {
        plan.asked.push(upstream);
        const copy = upstream.copyUnderWay?.(query.criteria);
        if (copy !== undefined) plan.copies.push(copy);
      } else if (part === "missing") plan.missing.push(absent(upstream.name));
    }
    return plan;
  }

  #replica({ kind, query, request }: LookupContext, sources?: ReadonlySet<string>): Iterable<Link> {
    return this.#deps.directory.lookup(kind, query, this.#deps.env.clock.nowMs(), optionsOf(request.peer, sources));
  }

  /** The same, with places where others may have their turn. */
  #steps(context: LookupContext, sources?: ReadonlySet<string>): () => Iterable<Link | null> {
    const { kind, query, request } = context;
    const nowMs = this.#deps.env.clock.nowMs();
    return () => this.#deps.directory.lookupInSteps(kind, query, nowMs, optionsOf(request.peer, sources));
  }

  /** Wait for copies, for part of the deadline, and answer by what is covered then. */
  async #afterCopies(context: LookupContext, copies: readonly Promise<void>[]): Promise<LookupAnswer | LookupRefusal> {
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
    return this.#answer(context, this.#plan(context), this.#options.timeoutMs - waitedMs);
  }

  async #askAndUnite(context: LookupContext, plan: Plan, timeoutMs: number): Promise<LookupAnswer | LookupRefusal> {
    const deadline = new AbortController();
    const timer = this.#deps.env.clock.setTimer(timeoutMs, () => deadline.abort());
    try {
      return await this.#askUntil(context, plan, deadline.signal);
    } finally {
      timer.cancel();
    }
  }

  async #askUntil(context: LookupContext, plan: Plan, deadline: AbortSignal): Promise<LookupAnswer | LookupRefusal> {
    const needsEndpoints = this.#hasSeveralOrigins(plan);
    const request: FanOutRequest = { ...context, deadline, needsEndpoints, inTurns: this.#inTurnsOf(context) };
    let results = await fanOut(plan.asked, request, this.#deps.cache);
    let links = await request.inTurns(this.#unite(context, results));
    if (isShort(context, links) && results.some((result) => "links" in result && !result.isWhole)) {
      // Duplicates took places within the pushed-down count: the rest is needed after all.
      results = await fanOut(plan.asked, { ...request, ignoreCount: true }, this.#deps.cache);
      links = await request.inTurns(this.#unite(context, results));
    }
    const missing = [...plan.missing, ...this.#failures(results)];
    const page = paged(context, links);
    const found = { links: page, steps: () => page };
    const answered = results.flatMap((result) => ("links" in result ? [result] : []));
    if (missing.length > 0)
      return this.#partial(missing, answered.length > 0 || this.#isAnythingKnown(plan), () => found);
    const maxAgeS = Math.min(60, ...answered.map((answer) => answer.maxAgeS));
    return {
      ...found,
      origin: answered.every(({ origin }) => origin === "cached") ? "cached" : "forwarded",
      maxAgeS,
    };
  }

  /** Runs work for the client of a lookup, to its end. */
  #inTurnsOf({ request: { peer } }: LookupContext): FanOutRequest["inTurns"] {
    const turns = turnsOf(this.#deps.env.clock);
    return async <T>(work: Generator<void, T>) => (await inTurns(turns, work, undefined, addressHolder(peer))) as T;
  }

  /** Whether registrations of one endpoint may be found in several places. */
  #hasSeveralOrigins({ asked }: Plan): boolean {
    if (asked.length > 1) return true;
    const { directory } = this.#deps;
    const sources = new Set(asked.flatMap((upstream) => upstream.status().sources));
    return directory.sources().some((source) => !sources.has(source) && directory.counts(source).total > 0);
  }

  /** Yields between small steps. */
  *#unite(context: LookupContext, results: readonly FanOutResult[]): Generator<void, Link[]> {
    const { kind, query } = context;
    const nowMs = this.#deps.env.clock.nowMs();
    const answers = results
      .flatMap((result) => ("links" in result ? [result] : []))
      .sort((a, b) => (a.upstream.name < b.upstream.name ? -1 : 1));
    const contributions = [yield* this.#copied(context, answers, nowMs)];
    for (const { links, endpoints, origin } of answers) {
      const known =
        endpoints === undefined
          ? undefined
          : yield* inSteps(endpoints, (link) => this.#endpoint(link, origin === "stale", nowMs));
      contributions.push({ links, ...(known === undefined ? {} : { endpoints: known }) });
    }
    const mayDecide = this.#mayDecide(context, contributions, answers);
    const knownElsewhere = (ep: string, d: string | undefined) =>
      this.#deps.directory.renewals(ep, d, nowMs).filter((renewal) => mayDecide(ep, d, renewal));
    return yield* unionInSteps(kind, contributions, knownElsewhere, query.showProvenance);
  }

  /** What the directory has of all sources but those of upstreams that answered. */
  *#copied(context: LookupContext, answers: readonly AnsweredResult[], nowMs: number): Generator<void, Contribution> {
    const answered = new Set(answers.flatMap(({ upstream }) => upstream.status().sources));
    const sources = new Set(this.#deps.directory.sources().filter((source) => !answered.has(source)));
    const { criteria } = context.query;
    // Provenance is read first and dropped at the end, whether or not the client asked for it.
    const whole = { ...context, query: { criteria, showProvenance: true } };
    const links = yield* found(this.#steps(whole, sources));
    const endpoints = context.kind === "ep" ? links : yield* found(this.#steps({ ...whole, kind: "ep" }, sources));
    return { links, endpoints: yield* inSteps(endpoints, (link) => this.#endpoint(link, false, nowMs)) };
  }

  /** A copy that is connected knows the moment of the last renewal better than an answer, which tells whole seconds. */
  #endpoint(link: Link, isLost: boolean, nowMs: number): KnownEndpoint {
    const { directory } = this.#deps;
    const ep = firstValue(link, "ep");
    const renewals = typeof ep === "string" ? directory.renewals(ep, firstValue(link, "d") ?? undefined, nowMs) : [];
    const copied = renewals.find(({ href }) => href === link.target);
    const ageS = reportedAgeS(link);
    if (copied !== undefined && (ageS === undefined || !copied.isLost)) return { link, renewal: copied };
    const renewedAtMs = ageS === undefined ? Number.NEGATIVE_INFINITY : directory.clock.timeAt(nowMs - ageS * 1000);
    return { link, renewal: { renewedAtMs, href: link.target, base: firstValue(link, "base") ?? "", isLost } };
  }

  /**
   * What the directory knows decides about answers too. But an upstream that answered speaks for itself, unless its copy is
   * connected and the answer is of this moment. Even then a registration that matches the lookup decides only if it is part of
   * the result: otherwise it arrived after the result was read, or its RD no longer has it, and nothing would be shown of its
   * endpoint.
   */
  #mayDecide(
    { query, request }: LookupContext,
    contributions: readonly Contribution[],
    answers: readonly AnsweredResult[],
  ): (ep: string, d: string | undefined, renewal: SourcedRenewal) => boolean {
    const bySource = new Map(
      answers.flatMap((answer) => answer.upstream.status().sources.map((source) => [source, answer])),
    );
    let contributed: Set<string> | undefined;
    return (ep, d, renewal) => {
      const answer = bySource.get(renewal.source);
      if (answer !== undefined && (renewal.isLost || answer.origin !== "forwarded")) return false;
      contributed ??= new Set(contributions.flatMap(({ endpoints = [] }) => endpoints.map(({ link }) => link.target)));
      if (contributed.has(renewal.href) || (answer !== undefined && !hasAllEndpoints(answer))) return true;
      return !this.#deps.directory.isMatch(ep, d, renewal, query, request.peer.zone);
    };
  }

  #isAnythingKnown(plan: Plan): boolean {
    return plan.covered.size > 0 || this.#deps.directory.counts().visible > 0;
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
      this.#deps.env.logger.debug("upstream did not answer a lookup", {
        upstream: name,
        error: failure?.message,
      });
      return [absent(name)];
    });
  }

  #partial(
    missing: readonly MissingPart[],
    isAnythingKnown: boolean,
    found: () => Pick<LookupAnswer, "links" | "steps">,
  ): LookupAnswer | LookupRefusal {
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

/** The links of a lookup, all at once. */
function* found(steps: () => Iterable<Link | null>): Generator<void, Link[]> {
  const links: Link[] = [];
  for (const link of steps()) {
    if (link === null || links.push(link) % LINKS_PER_STEP === 0) yield;
  }
  return links;
}

/** Every registration that matches the lookup is among the endpoints of the answer. */
function hasAllEndpoints({ endpoints, areEndpointsWhole }: AnsweredResult): boolean {
  return endpoints !== undefined && areEndpointsWhole === true;
}

function absent(upstream: string): MissingPart {
  return { upstream, text: upstream };
}

/** Part of an upstream that could not be taken. */
function leftOutOf(upstream: string, counts: readonly (readonly [cause: string, count: number])[]): MissingPart {
  const text = counts.map(([cause, count]) => `${count} ${cause}`).join(", ");
  return { upstream, text: `${upstream} (left out: ${text})` };
}

/** RFC 9176 section 6.2: page and count apply to the merged answer. */
function paged({ query }: LookupContext, links: readonly Link[]): readonly Link[] {
  if (query.count === undefined) return links;
  const start = (query.page ?? 0) * query.count;
  return links.slice(start, start + query.count);
}

function isShort({ query }: LookupContext, links: readonly Link[]): boolean {
  return query.count !== undefined && links.length < ((query.page ?? 0) + 1) * query.count;
}

function optionsOf({ zone }: Peer, sources?: ReadonlySet<string>): LookupOptions {
  return { ...(zone === undefined ? {} : { zone }), ...(sources === undefined ? {} : { sources }) };
}
