import { CODE, type CoapClient } from "@tributary/coap-transport";
import { isPathAbsolute, type Link, lastValue, originOf, readTolerantly, resolveLink } from "@tributary/link-model";
import { inTurns, type OwnedTurns } from "@tributary/runtime";
import pLimit from "p-limit";
import {
  ASKED_TOGETHER,
  ATTRIBUTION_SAMPLES,
  ATTRIBUTION_TRIES,
  MAX_ATTRIBUTION_SAMPLES,
  MAX_SHARED_QUERIES,
  TIMEOUTS_UNTIL_GONE,
} from "../constants.js";
import { assertContent, get, isMereRefusal, normalOrigin } from "../discovery/discovery.js";
import type { OwnNames } from "../discovery/own-names.js";
import { UpstreamError } from "../errors.js";
import { type AskedMethod, planQueriesInSteps, type QueryPlan } from "./attribution-query.js";
import { type EndpointEntry, LinkCounts, mapped, replicatedLink } from "./lookup-documents.js";

/** Ways to find out which links belong to a registration, best first. */
export const ATTRIBUTION_METHODS = ["provenance", "href", "ep", "resource"] as const;
export type AttributionMethod = (typeof ATTRIBUTION_METHODS)[number];

export interface AttributionDeps {
  readonly client: CoapClient;
  readonly endpointLookup: string;
  readonly names: OwnNames;
  readonly resourceLookup: string;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly signal: AbortSignal;
  readonly turns: OwnedTurns;
  /** Every link of the RD, read at this moment; null when it does not show them all at once. */
  readonly readWhole: () => Promise<readonly Link[] | null>;
  /** Whether 4.04 to a query means, at this RD, that nothing matches. Never rejects. */
  readonly isNotFoundNothing: () => Promise<boolean>;
  /** Every registration of the RD. */
  readonly endpoints: () => readonly EndpointEntry[];
  /** The links that a registration is known to have, if they are known. */
  readonly knownLinks: (href: string) => readonly Link[] | undefined;
}

/** Asks an RD that does not speak the feed which links belong to which registration (design section 4). */
export class Attribution {
  readonly #deps: AttributionDeps;
  #method: AttributionMethod | null = null;
  /** Methods that gave wrong answers. */
  readonly #disproved = new Set<AttributionMethod>();
  #timeoutsInARow = 0;

  constructor(deps: AttributionDeps) {
    this.#deps = deps;
  }

  get method(): AttributionMethod | null {
    return this.#method;
  }

  /**
   * The links of each of `endpoints`; those that could not be asked for are missing. Bounded concurrency.
   * @throws {UpstreamError} `UPSTREAM_TIMEOUT` when the RD does not answer any more.
   */
  async linksOf(endpoints: readonly EndpointEntry[]): Promise<Map<string, readonly Link[]>> {
    if (endpoints.length === 0) return new Map();
    this.#method ??= await this.#choose(endpoints);
    switch (this.#method) {
      case "provenance":
        return this.#byProvenance(endpoints);
      case "resource":
        return this.#readEach(endpoints);
      default:
        return this.#query(endpoints, this.#method);
    }
  }

  /** Ask by `method`; what that cannot tell from other registrations is read from the registration itself. */
  async #query(endpoints: readonly EndpointEntry[], method: AskedMethod): Promise<Map<string, readonly Link[]>> {
    const plans = await this.#inTurns(
      planQueriesInSteps(method, endpoints, this.#deps.endpoints(), MAX_SHARED_QUERIES),
    );
    if (plans === undefined) return new Map();
    const { alone, shared } = plans;
    const found = await this.#askEach(alone);
    for (const plan of shared) {
      const links = await this.#ownShare(plan, found);
      if (links !== null) found.set(plan.endpoint.href, links);
    }
    const asked = new Set<string>();
    await this.#inTurns(mapped(alone, ({ endpoint }) => asked.add(endpoint.href)));
    const unclear: EndpointEntry[] = [];
    const noteUnclear = (endpoint: EndpointEntry): void => {
      if (!found.has(endpoint.href) && !asked.has(endpoint.href)) unclear.push(endpoint);
    };
    await this.#inTurns(mapped(endpoints, noteUnclear));
    for (const [href, links] of await this.#readEach(unclear.slice(0, MAX_SHARED_QUERIES))) found.set(href, links);
    return found;
  }

  /** The links of a registration whose query matches others as well: what is left without theirs, all of which must be there. */
  async #ownShare(
    { endpoint, query, others }: QueryPlan,
    found: ReadonlyMap<string, readonly Link[]>,
  ): Promise<readonly Link[] | null> {
    const theirs = others.map(({ href }) => found.get(href) ?? this.#deps.knownLinks(href));
    const answer = theirs.includes(undefined) ? null : (await this.#askEach([{ endpoint, query }])).get(endpoint.href);
    if (answer === null || answer === undefined) return null;
    const rest = new LinkCounts(theirs.flatMap((links) => links ?? []));
    const own = answer.filter((link) => {
      const isTheirs = rest.count(link) > 0;
      if (isTheirs) rest.add(link, -1);
      return !isTheirs;
    });
    return rest.isEmpty ? own : null;
  }

  /**
   * What was attributed does not add up to what the RD shows: either it changed meanwhile, or this way of asking is wrong.
   * Tries it out again on some of those concerned; true when it is wrong and another one will be taken from now on.
   */
  async reconsider(endpoints: readonly EndpointEntry[]): Promise<boolean> {
    const method = this.#method;
    if (method === null || method === "resource" || endpoints.length === 0) return false;
    const whole = await this.#deps.readWhole();
    if (await this.#isRight(method, endpoints, whole)) return false;
    this.#disproved.add(method);
    this.#method = null;
    return true;
  }

  async #choose(endpoints: readonly EndpointEntry[]): Promise<AttributionMethod> {
    const whole = await this.#deps.readWhole();
    for (const method of ATTRIBUTION_METHODS) {
      if (method === "resource" || this.#disproved.has(method)) continue;
      try {
        if (await this.#isRight(method, endpoints, whole)) return method;
      } catch (error) {
        // Some RDs leave what they do not like unanswered; whether this one is gone shows with the next question.
        if (this.#deps.signal.aborted || (error as UpstreamError).code !== "UPSTREAM_TIMEOUT") throw error;
      }
    }
    return "resource";
  }

  async #isRight(
    method: AttributionMethod,
    endpoints: readonly EndpointEntry[],
    whole: readonly Link[] | null,
  ): Promise<boolean> {
    if (method === "resource") return true;
    return method === "provenance"
      ? this.#isProvenanceGenerated(endpoints)
      : this.#isPlausible(method, endpoints, whole);
  }

  /**
   * Try a method on a few registrations: their links must be among those of the RD, no more than it has, and not none at
   * all. A filter that the RD ignores gives everything each time; one that it does not know gives nothing.
   */
  async #isPlausible(
    method: AskedMethod,
    endpoints: readonly EndpointEntry[],
    whole: readonly Link[] | null,
  ): Promise<boolean> {
    const steps = planQueriesInSteps(method, endpoints, this.#deps.endpoints(), MAX_ATTRIBUTION_SAMPLES);
    const alone = (await this.#inTurns(steps))?.alone ?? [];
    const plans = alone.filter(({ query }) => query.isExact);
    if (plans.length === 0) return false;
    const most = Math.min(plans.length, MAX_ATTRIBUTION_SAMPLES);
    for (let start = 0; start < most; start += ATTRIBUTION_SAMPLES) {
      const sample = plans.slice(start, start + ATTRIBUTION_SAMPLES);
      const found = await this.#askEach(sample);
      if (found.size < sample.length) return false;
      const answers = [...found.values()].filter((links) => links.length > 0);
      if (answers.length === 0) continue;
      return whole === null
        ? areDifferent(answers)
        : await this.#isPartOf(whole, answers.flat(), sample.length === endpoints.length ? endpoints : []);
    }
    return whole === null || whole.length === 0;
  }

  /**
   * The links are among those of the RD, and nothing is left that belongs to a registration in `asked`. What else is left says
   * nothing about a method: an RD may show links of registrations that it does not list, or no longer has.
   */
  async #isPartOf(whole: readonly Link[], links: readonly Link[], asked: readonly EndpointEntry[]): Promise<boolean> {
    const rest = new LinkCounts();
    await this.#inTurns(rest.addAll(whole));
    for (const link of links) rest.add(link, -1);
    if (links.some((link) => rest.count(link) < 0)) return false;
    if (rest.isEmpty || asked.length === 0) return true;
    const origins = this.#originsOfOnly(asked);
    return !whole.some((link) => rest.count(link) > 0 && origins.has(contextOriginOf(link)));
  }

  /** Origins of the bases of `asked`, which no other registration has. */
  #originsOfOnly(asked: readonly EndpointEntry[]): ReadonlySet<string> {
    const origins = new Set(asked.map(({ base }) => normalOrigin(base)));
    const hrefs = new Set(asked.map(({ href }) => href));
    for (const { href, base } of this.#deps.endpoints()) if (!hrefs.has(href)) origins.delete(normalOrigin(base));
    return origins;
  }

  /**
   * Provenance that the RD generates names a registration on every link and comes only when asked for (draft 5.1); what it
   * merely stored of its clients is shown always, and who knows whom it names (PRV-06).
   */
  async #isProvenanceGenerated(endpoints: readonly EndpointEntry[]): Promise<boolean> {
    const { resourceLookup } = this.#deps;
    try {
      const links = await this.#get(resourceLookup, ["provenance"]);
      const known = new Set<string>();
      await this.#inTurns(mapped(endpoints, ({ href }) => known.add(href)));
      const names = (await this.#inTurns(mapped(links, (link) => this.#provenanceOf(link)))) ?? [];
      if (links.length === 0 || names.includes(null) || !names.some((href) => known.has(href ?? ""))) return false;
      const plain = await this.#get(resourceLookup, []);
      return plain.length > 0 && plain.every((link) => lastValue(link, "provenance") === undefined);
    } catch (error) {
      if (isMereRefusal(error)) return false;
      throw error;
    }
  }

  #provenanceOf(link: Link): string | null {
    const provenance = lastValue(link, "provenance");
    return typeof provenance === "string" ? this.#deps.names.pathOf(provenance, this.#deps.resourceLookup) : null;
  }

  async #byProvenance(endpoints: readonly EndpointEntry[]): Promise<Map<string, readonly Link[]>> {
    const { resourceLookup } = this.#deps;
    const found = new Map<string, Link[]>();
    await this.#inTurns(mapped(endpoints, ({ href }) => found.set(href, [])));
    const add = (link: Link) => found.get(this.#provenanceOf(link) ?? "")?.push(replicatedLink(link, resourceLookup));
    await this.#inTurns(mapped(await this.#get(resourceLookup, ["provenance"]), add));
    return found;
  }

  #askEach(plans: readonly Pick<QueryPlan, "endpoint" | "query">[]): Promise<Map<string, readonly Link[]>> {
    const { resourceLookup } = this.#deps;
    return this.#each(plans, async ({ endpoint, query }) => {
      const links = await this.#get(resourceLookup, query.items);
      // To an RD without prefixes the star is a character like any other, and nothing has such a name.
      if (links.length === 0 && !query.isExact) return null;
      return [endpoint.href, links.map((link) => replicatedLink(link, resourceLookup))];
    });
  }

  #readEach(endpoints: readonly EndpointEntry[]): Promise<Map<string, readonly Link[]>> {
    const origin = originOf(this.#deps.endpointLookup) ?? "";
    // One that is listed by its base has no resource at the RD.
    const atRd = endpoints.filter(({ href }) => isPathAbsolute(href));
    return this.#each(atRd, async ({ href, base }) => {
      const links = await this.#get(`${origin}${href}`, []);
      return [href, links.map((link) => replicatedLink(resolveLink(base, link), base))];
    });
  }

  /** Ask one question for each of `subjects`, a bounded number at a time; those without an answer are missing. */
  async #each<T>(
    subjects: readonly T[],
    ask: (subject: T) => Promise<[href: string, links: readonly Link[]] | null>,
  ): Promise<Map<string, readonly Link[]>> {
    const limit = pLimit(this.#deps.concurrency);
    const found = new Map<string, readonly Link[]>();
    this.#timeoutsInARow = 0;
    const askOne = async (subject: T): Promise<void> => {
      const answer = await this.#patiently(() => ask(subject));
      if (answer !== null) found.set(...answer);
    };
    // Not all at once: three hundred thousand promises take longer to make than a turn may last.
    for (let start = 0; start < subjects.length; start += ASKED_TOGETHER)
      await Promise.all(subjects.slice(start, start + ASKED_TOGETHER).map((subject) => limit(() => askOne(subject))));
    if (this.#timeoutsInARow >= TIMEOUTS_UNTIL_GONE)
      throw new UpstreamError("UPSTREAM_TIMEOUT", "it no longer answers while it is copied");
    return found;
  }

  async #patiently<T>(ask: () => Promise<T | null>): Promise<T | null> {
    for (let tries = 0; tries < ATTRIBUTION_TRIES; tries++) {
      // Nobody is there any more: do not wait for each answer in turn.
      if (this.#deps.signal.aborted || this.#timeoutsInARow >= TIMEOUTS_UNTIL_GONE) return null;
      try {
        const answer = await ask();
        this.#timeoutsInARow = 0;
        return answer;
      } catch (error) {
        // A refusal will be repeated; a lost datagram may not.
        if (isMereRefusal(error)) {
          this.#timeoutsInARow = 0;
          return null;
        }
        this.#timeoutsInARow++;
      }
    }
    return null;
  }

  /** Undefined when it is given up: then nobody waits for the result. */
  #inTurns<T>(work: Generator<void, T>): Promise<T | undefined> {
    return inTurns(this.#deps.turns, work, this.#deps.signal);
  }

  async #get(uri: string, query: readonly string[]): Promise<readonly Link[]> {
    const response = await get(this.#deps.client, uri, query, this.#deps.timeoutMs, this.#deps.signal);
    if (response.code === CODE.NOT_FOUND && query.length > 0 && (await this.#deps.isNotFoundNothing())) return [];
    assertContent(response);
    return (await this.#inTurns(readTolerantly(response.payload)))?.links ?? [];
  }
}

/** The origin of what a link of a resource lookup is about: its context, or what it points to when it names none. */
function contextOriginOf(link: Link): string {
  return normalOrigin(lastValue(link, "anchor") ?? link.target);
}

/** No two answers are the same: the filter is not ignored. */
function areDifferent(answers: readonly (readonly Link[])[]): boolean {
  return new Set(answers.map((links) => JSON.stringify(links))).size === answers.length;
}
