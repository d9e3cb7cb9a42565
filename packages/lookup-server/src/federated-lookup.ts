import { CODE, type Environment } from "@tributary/coap-transport";
import type { Link } from "@tributary/link-model";
import type { Directory } from "@tributary/merge-engine";
import type { LookupAnswer, LookupContext, LookupRefusal, LookupSource } from "@tributary/resource-directory";
import type { Upstream } from "@tributary/upstream-sync";
import { COPY_WAIT_SHARE, PARTIAL_MAX_AGE_S } from "./constants.js";
import { participation } from "./coverage.js";
import { LookupServerError } from "./errors.js";
import { type FanOutRequest, type FanOutResult, fanOut } from "./fan-out.js";
import type { ResponseCache } from "./response-cache.js";
import { type AgeOf, type Contribution, union } from "./union.js";

export interface FederatedLookupDeps {
  readonly directory: Directory;
  /** Asks the upstreams, or answers for them. */
  readonly cache: ResponseCache;
  /** The upstreams at present, in any order. */
  readonly upstreams: () => readonly Upstream[];
  readonly env: Environment;
}

export interface FederatedLookupOptions {
  /** Deadline of a lookup that asks upstreams, ms; 1 or more. */
  readonly timeoutMs: number;
  /** What to do when an upstream's part is missing: answer with the rest, or 5.04. */
  readonly onPartial: "serve" | "fail";
  /** Source names that need no upstream (this node's own RD). */
  readonly ownSources: readonly string[];
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

interface Plan {
  /** Sources that the replica answers for. */
  readonly covered: Set<string>;
  /** No upstream has to know what it is asked for. */
  isLasting: boolean;
  readonly asked: Upstream[];
  readonly missing: string[];
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
    if (plan.missing.length === 0) return { links: this.#replica(context), origin: "local", isLasting: plan.isLasting };
    // What was copied of an upstream before it was lost is still true, only not all of it.
    return this.#partial(plan.missing, this.#isAnythingKnown(plan), () => this.#replica(context));
  }

  /** Whatever the mode of an upstream: it has no part in what is registered at this node (draft 4.4.2). */
  #registeredHere(context: LookupContext): LookupAnswer {
    return { links: this.#replica(context, new Set(this.#options.ownSources)), origin: "local", isLasting: true };
  }

  #plan({ query, scope }: LookupContext): Plan {
    const plan: Plan = {
      covered: new Set(this.#options.ownSources),
      asked: [],
      missing: [],
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
      if (part === "replica") plan.covered.add(upstream.name);
      // Proxies that follow each other would ask each other without end.
      else if (part === "ask" && status.isTier && scope === "directories") plan.missing.push(upstream.name);
      else if (part === "ask") {
        plan.asked.push(upstream);
        const copy = upstream.copyUnderWay?.(query.criteria);
        if (copy !== undefined) plan.copies.push(copy);
      } else if (part === "missing") plan.missing.push(upstream.name);
    }
    return plan;
  }

  #replica({ kind, query, request }: LookupContext, sources?: ReadonlySet<string>): Iterable<Link> {
    const { zone } = request.peer;
    const options = { ...(zone === undefined ? {} : { zone }), ...(sources === undefined ? {} : { sources }) };
    return this.#deps.directory.lookup(kind, query, this.#deps.env.clock.nowMs(), options);
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
    const request: FanOutRequest = { ...context, deadline };
    let results = await fanOut(plan.asked, request, this.#deps.cache);
    let links = this.#unite(context, plan, results);
    if (isShort(context, links) && results.some((result) => "answer" in result && !result.isWhole)) {
      // Duplicates took places within the pushed-down count: the rest is needed after all.
      results = await fanOut(plan.asked, { ...request, ignoreCount: true }, this.#deps.cache);
      links = this.#unite(context, plan, results);
    }
    const missing = [...plan.missing, ...this.#failures(results)];
    const page = paged(context, links);
    const answered = results.flatMap((result) => ("answer" in result ? [result] : []));
    if (missing.length > 0)
      return this.#partial(missing, answered.length > 0 || this.#isAnythingKnown(plan), () => page);
    const maxAgeS = Math.min(60, ...answered.map(({ answer }) => answer.maxAgeS));
    return {
      links: page,
      origin: answered.every(({ origin }) => origin === "cached") ? "cached" : "forwarded",
      maxAgeS,
    };
  }

  #unite(context: LookupContext, plan: Plan, results: readonly FanOutResult[]): Link[] {
    const { criteria } = context.query;
    // Provenance is read first and dropped at the end, whether or not the client asked for it.
    const whole = { ...context, query: { criteria, showProvenance: true } };
    const contributions: Contribution[] = [
      { source: "", links: [...this.#replica(whole, this.#sourcesBut(plan.asked))] },
    ];
    for (const result of [...results].sort((a, b) => (a.upstream.name < b.upstream.name ? -1 : 1))) {
      if ("answer" in result) contributions.push({ source: result.upstream.name, links: result.answer.links });
    }
    return union(context.kind, contributions, this.#ageOf(), context.query.showProvenance);
  }

  #sourcesBut(asked: readonly Upstream[]): ReadonlySet<string> {
    const names = new Set(asked.flatMap((upstream) => upstream.status().sources));
    return new Set(this.#deps.directory.sources().filter((source) => !names.has(source)));
  }

  #isAnythingKnown(plan: Plan): boolean {
    return plan.covered.size > 0 || this.#deps.directory.counts().visible > 0;
  }

  /** Ages of the replica's registrations: an endpoint link shows where it comes from by its target. */
  #ageOf(): AgeOf {
    const nowMs = this.#deps.env.clock.nowMs();
    return (link) => {
      const ep = link.attributes.find(([name]) => name === "ep")?.[1];
      const d = link.attributes.find(([name]) => name === "d")?.[1];
      if (typeof ep !== "string") return undefined;
      const known = this.#deps.directory
        .candidates(ep, d ?? undefined)
        .find(({ shownHref }) => shownHref === link.target);
      return known === undefined ? undefined : Math.max(0, Math.floor((nowMs - known.renewedAtMs) / 1000));
    };
  }

  #failures(results: readonly FanOutResult[]): string[] {
    return results.flatMap((result) => {
      if ("answer" in result) return result.origin === "stale" ? [result.upstream.name] : [];
      this.#deps.env.logger.debug("upstream did not answer a lookup", {
        upstream: result.upstream.name,
        error: result.failure.message,
      });
      return [result.upstream.name];
    });
  }

  #partial(
    missing: readonly string[],
    isAnythingKnown: boolean,
    links: () => Iterable<Link>,
  ): LookupAnswer | LookupRefusal {
    const names = missing.join(", ");
    if (!isAnythingKnown) return { code: CODE.GATEWAY_TIMEOUT, message: `no upstream could be reached: ${names}` };
    if (this.#options.onPartial === "fail")
      return { code: CODE.GATEWAY_TIMEOUT, message: `upstreams missing: ${names}` };
    return { links: links(), origin: "partial", missing, maxAgeS: PARTIAL_MAX_AGE_S };
  }
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
