import { firstValue, type Link } from "@tributary/link-model";
import type { LookupContext } from "@tributary/lookup-interface";
import { type Directory, LargeMap, type LookupOptions, type SourcedRenewal } from "@tributary/merge-engine";
import type { Environment } from "@tributary/runtime";
import { LINKS_PER_STEP } from "./constants.js";
import type { FanOutResult, UpstreamResult } from "./fan-out.js";
import { forEachInSteps, inSteps } from "./in-steps.js";
import { type Contribution, type KnownEndpoint, reportedAgeS, unionInSteps } from "./union.js";

export interface ResultUnionDeps {
  readonly directory: Directory;
  readonly env: Environment;
}

/** Unites the results of upstreams with what the directory has of all others. */
export class ResultUnion {
  readonly #directory: Directory;
  readonly #env: Environment;

  constructor({ directory, env }: ResultUnionDeps) {
    this.#directory = directory;
    this.#env = env;
  }

  /** The links of a lookup before `page` and `count` are applied. Yields between small steps. */
  *unite(context: LookupContext, outcomes: readonly FanOutResult[]): Generator<void, Link[]> {
    const { kind, query } = context;
    const nowMs = this.#env.clock.nowMs();
    const results = outcomes
      .flatMap((outcome) => ("links" in outcome ? [outcome] : []))
      .sort((a, b) => (a.upstream.name < b.upstream.name ? -1 : 1));
    const contributions = [yield* this.#copied(context, results, nowMs)];
    for (const { links, endpoints, origin } of results) {
      const known =
        endpoints === undefined
          ? undefined
          : yield* inSteps(endpoints, (link) => this.#endpoint(link, origin === "stale", nowMs));
      contributions.push({ links, ...(known === undefined ? {} : { endpoints: known }) });
    }
    const mayDecide = yield* this.#whichDecide(context, contributions, results);
    const knownElsewhere = (ep: string, d: string | undefined) =>
      this.#directory.renewals(ep, d, nowMs).filter((renewal) => mayDecide(ep, d, renewal));
    return yield* unionInSteps(kind, contributions, knownElsewhere, query.showProvenance);
  }

  /** What the directory has of all sources except those of upstreams that returned a result. */
  *#copied(context: LookupContext, results: readonly UpstreamResult[], nowMs: number): Generator<void, Contribution> {
    const asked = new Set(results.flatMap(({ upstream }) => upstream.planning().sources));
    const sources = new Set(this.#directory.sources().filter((source) => !asked.has(source)));
    const { kind, query, request } = context;
    // Provenance is needed here, and dropped at the end unless the client asked for it.
    const whole = { criteria: query.criteria, showProvenance: true };
    const options: LookupOptions = {
      sources,
      ...(request.peer.zone === undefined ? {} : { zone: request.peer.zone }),
    };
    const links = yield* allLinks(this.#directory.lookupInSteps(kind, whole, nowMs, options));
    const endpoints =
      kind === "ep" ? links : yield* allLinks(this.#directory.lookupInSteps("ep", whole, nowMs, options));
    return { links, endpoints: yield* inSteps(endpoints, (link) => this.#endpoint(link, false, nowMs)) };
  }

  /** A copy that is connected knows the moment of the last renewal better than a response, which has whole seconds. */
  #endpoint(link: Link, isLost: boolean, nowMs: number): KnownEndpoint {
    const ep = firstValue(link, "ep");
    const renewals =
      typeof ep === "string" ? this.#directory.renewals(ep, firstValue(link, "d") ?? undefined, nowMs) : [];
    const copied = renewals.find(({ href }) => href === link.target);
    const ageS = reportedAgeS(link);
    if (copied !== undefined && (ageS === undefined || !copied.isLost)) return { link, renewal: copied };
    const renewedAtMs =
      ageS === undefined ? Number.NEGATIVE_INFINITY : this.#directory.clock.timeAt(nowMs - ageS * 1000);
    return { link, renewal: { renewedAtMs, href: link.target, base: firstValue(link, "base") ?? "", isLost } };
  }

  /**
   * Which registrations of the directory decide about results too. An upstream that returned a result speaks for itself, unless its
   * copy is connected and the result is of this moment. Even then a registration that matches the lookup decides only if it is
   * part of the result: otherwise it arrived after the result was read, or its RD no longer has it, and nothing would be shown
   * of its endpoint. Yields between small steps.
   */
  *#whichDecide(
    { query, request }: LookupContext,
    contributions: readonly Contribution[],
    results: readonly UpstreamResult[],
  ): Generator<void, (ep: string, d: string | undefined, renewal: SourcedRenewal) => boolean> {
    const bySource = new Map(
      results.flatMap((result) => result.upstream.planning().sources.map((source) => [source, result])),
    );
    const contributed = new LargeMap<true>();
    for (const { endpoints = [] } of contributions)
      yield* forEachInSteps(endpoints, ({ link }) => contributed.set(link.target, true));
    return (ep, d, renewal) => {
      const result = bySource.get(renewal.source);
      if (result !== undefined && (renewal.isLost || result.origin !== "forwarded")) return false;
      if (contributed.has(renewal.href) || (result !== undefined && !hasAllEndpoints(result))) return true;
      return !this.#directory.isMatch(ep, d, renewal, query, request.peer.zone);
    };
  }
}

/** The links of a lookup, all at once. */
function* allLinks(steps: Iterable<Link | null>): Generator<void, Link[]> {
  const links: Link[] = [];
  for (const link of steps) {
    if (link === null || links.push(link) % LINKS_PER_STEP === 0) yield;
  }
  return links;
}

/** Every registration that matches the lookup is among the endpoints of the result. */
function hasAllEndpoints({ endpoints, areEndpointsWhole }: UpstreamResult): boolean {
  return endpoints !== undefined && areEndpointsWhole === true;
}
