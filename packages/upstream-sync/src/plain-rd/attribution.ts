import { isPathAbsolute, type Link, lastValue } from "@tributary/link-model";
import { inTurns } from "@tributary/runtime";
import {
  ATTRIBUTION_SAMPLES,
  BASE_SAMPLES,
  MANY_REGISTRATIONS,
  MAX_ATTRIBUTION_SAMPLES,
  MAX_SHARED_QUERIES,
} from "../constants.js";
import { isMereRefusal, normalOrigin } from "../discovery/discovery.js";
import type { OwnNames } from "../discovery/own-names.js";
import type { UpstreamError } from "../errors.js";
import { type AskedMethod, planQueriesInSteps, type QueryPlan } from "./attribution-query.js";
import { AttributionRequests, type AttributionRequestsDeps, type LinksListener } from "./attribution-requests.js";
import { attributeByBase, contextOriginOf } from "./base-attribution.js";
import { type EndpointEntry, LinkCounts, mapped, replicatedLink } from "./lookup-documents.js";

/** Ways to ask which links belong to a registration, best first. */
export const ATTRIBUTION_METHODS = ["provenance", "href", "ep", "resource"] as const;
export type AttributionMethod = (typeof ATTRIBUTION_METHODS)[number];

/** Collaborators of `Attribution`. */
export interface AttributionDeps extends AttributionRequestsDeps {
  readonly names: OwnNames;
  /** Every link of the RD, read at this moment; null when it does not show them all at once. */
  readonly readWhole: () => Promise<readonly Link[] | null>;
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
  readonly #requests: AttributionRequests;
  /** Attribution by base: not tried, in use, or found to be wrong. */
  #byBase: "untried" | "used" | "wrong" = "untried";
  /** Place in the list of registrations at which the verification of that goes on. */
  #nextToVerify = 0;
  /** Reading registrations one by one costs the RD much less than a query, so that its whole document can wait. */
  #isReadingQuick = false;
  #wholeRead: Promise<readonly Link[] | null> | null = null;

  constructor(deps: AttributionDeps) {
    this.#deps = deps;
    this.#requests = new AttributionRequests(deps);
  }

  /** How links are attributed; null before the first time. */
  get method(): AttributionMethod | "base" | null {
    return this.#byBase === "used" ? "base" : this.#method;
  }

  /**
   * The links of each of `endpoints`; those that could not be asked for are missing. `onSome` gets them as they become known.
   * @throws {UpstreamError} `UPSTREAM_TIMEOUT` when the RD does not answer any more.
   */
  async linksOf(
    endpoints: readonly EndpointEntry[],
    onSome: LinksListener = async () => {},
  ): Promise<Map<string, readonly Link[]>> {
    if (endpoints.length === 0) return new Map();
    this.#wholeRead = null;
    this.#method ??= await this.#choose(endpoints);
    if (this.#method === "provenance") return this.#byProvenance(endpoints);
    const found = new Map(await this.#linksByBase(endpoints, this.#method));
    if (found.size > 0) await onSome(found);
    const rest: EndpointEntry[] = [];
    await this.#inTurns(mapped(endpoints, (endpoint) => found.has(endpoint.href) || rest.push(endpoint)));
    for (const [href, links] of await this.#ask(rest, this.#method, onSome)) found.set(href, links);
    return found;
  }

  #ask(
    endpoints: readonly EndpointEntry[],
    method: Exclude<AttributionMethod, "provenance">,
    onSome?: LinksListener,
  ): Promise<Map<string, readonly Link[]>> {
    return method === "resource" ? this.#requests.readEach(endpoints, onSome) : this.#query(endpoints, method, onSome);
  }

  /**
   * The links of those of many `endpoints` whose base is their own, without a request for each: none where that is wrong for any of a
   * sample that is asked for by `method`.
   */
  async #linksByBase(
    endpoints: readonly EndpointEntry[],
    method: Exclude<AttributionMethod, "provenance">,
  ): Promise<ReadonlyMap<string, readonly Link[]>> {
    const found = new Map<string, readonly Link[]>();
    if (this.#byBase === "wrong" || this.#isReadingQuick || endpoints.length < MANY_REGISTRATIONS) return found;
    const whole = await this.#whole();
    if (whole === null) return found;
    const { links } = (await this.#inTurns(attributeByBase(whole, this.#deps.endpoints()))) ?? { links: found };
    const unique: EndpointEntry[] = [];
    await this.#inTurns(mapped(endpoints, (endpoint) => links.has(endpoint.href) && unique.push(endpoint)));
    if (unique.length === 0) return found;
    const sample = evenly(unique, BASE_SAMPLES);
    const asked = await this.#ask(sample, method);
    if (this.#deps.signal.aborted) return found;
    if (!sample.every(({ href }) => areSame(asked.get(href), links.get(href)))) {
      this.#byBase = "wrong";
      return found;
    }
    this.#byBase = "used";
    await this.#inTurns(mapped(unique, ({ href }) => found.set(href, links.get(href) ?? [])));
    return found;
  }

  /**
   * Asks for the links of a few registrations that were attributed by base. True when those are wrong, so that all have to be asked
   * for. @throws {UpstreamError}
   */
  async verifySome(most: number): Promise<boolean> {
    const method = this.#method;
    if (this.#byBase !== "used" || method === null || method === "provenance") return false;
    const all = this.#deps.endpoints();
    if (this.#nextToVerify >= all.length) this.#nextToVerify = 0;
    const some = all.slice(this.#nextToVerify, this.#nextToVerify + most);
    this.#nextToVerify += some.length;
    const asked = await this.#ask(some, method);
    if (this.#deps.signal.aborted) return false;
    const differing = some.filter(
      ({ href }) => asked.has(href) && !areSame(asked.get(href), this.#deps.knownLinks(href)),
    );
    // It may have changed since: what it shows now decides.
    if (differing.length === 0 || (await this.#isRightByBase(differing, method))) return false;
    this.#byBase = "wrong";
    return true;
  }

  async #isRightByBase(
    endpoints: readonly EndpointEntry[],
    method: Exclude<AttributionMethod, "provenance">,
  ): Promise<boolean> {
    const whole = await this.#deps.readWhole();
    if (whole === null) return true;
    const { links } = (await this.#inTurns(attributeByBase(whole, this.#deps.endpoints()))) ?? { links: new Map() };
    const asked = await this.#ask(endpoints, method);
    return endpoints.every(({ href }) => !asked.has(href) || areSame(asked.get(href), links.get(href)));
  }

  /** Ask by `method`; what that cannot tell from other registrations is read from the registration itself. */
  async #query(
    endpoints: readonly EndpointEntry[],
    method: AskedMethod,
    onSome?: LinksListener,
  ): Promise<Map<string, readonly Link[]>> {
    const plans = await this.#inTurns(
      planQueriesInSteps(method, endpoints, this.#deps.endpoints(), MAX_SHARED_QUERIES),
    );
    if (plans === undefined) return new Map();
    const { alone, shared } = plans;
    const found = await this.#requests.askEach(alone, onSome);
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
    for (const [href, links] of await this.#requests.readEach(unclear.slice(0, MAX_SHARED_QUERIES)))
      found.set(href, links);
    return found;
  }

  /** The links of a registration whose query matches others as well: what is left without theirs, all of which must be there. */
  async #ownShare(
    { endpoint, query, others }: QueryPlan,
    found: ReadonlyMap<string, readonly Link[]>,
  ): Promise<readonly Link[] | null> {
    const theirs = others.map(({ href }) => found.get(href) ?? this.#deps.knownLinks(href));
    const answer = theirs.includes(undefined)
      ? null
      : (await this.#requests.askEach([{ endpoint, query }])).get(endpoint.href);
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
    if (this.#byBase === "used") {
      // Whatever does not add up, asking for each registration says more.
      this.#byBase = "wrong";
      return true;
    }
    if (method === null || method === "resource" || endpoints.length === 0) return false;
    const whole = await this.#deps.readWhole();
    if (await this.#isRight(method, endpoints, whole)) return false;
    this.#disproved.add(method);
    this.#method = null;
    return true;
  }

  async #choose(endpoints: readonly EndpointEntry[]): Promise<AttributionMethod> {
    const isMany = endpoints.length >= MANY_REGISTRATIONS;
    if (isMany && (await this.#isReadingBetter(endpoints))) return "resource";
    const whole = await this.#whole();
    for (const method of ATTRIBUTION_METHODS) {
      if (method === "resource" || this.#disproved.has(method)) continue;
      if (method === "provenance" && isMany && !(await this.#showsProvenance(endpoints))) continue;
      try {
        if (await this.#isRight(method, endpoints, whole)) return method;
      } catch (error) {
        // Some RDs leave what they do not like unanswered; whether this one is gone shows with the next question.
        if (this.#deps.signal.aborted || (error as UpstreamError).code !== "UPSTREAM_TIMEOUT") throw error;
      }
    }
    return "resource";
  }

  /** Whether registrations can be read one by one, with the links that a query finds, in half the time that it takes, or less. */
  async #isReadingBetter(endpoints: readonly EndpointEntry[]): Promise<boolean> {
    const { nowMs } = this.#deps;
    const sample = evenly(endpoints, ATTRIBUTION_SAMPLES);
    if (this.#disproved.size > 0 || !sample.every(({ href }) => isPathAbsolute(href))) return false;
    const startMs = nowMs();
    const asked = await this.#query(sample, "href");
    const askedMs = nowMs();
    const read = await this.#requests.readEach(sample);
    const isQuicker = 2 * (nowMs() - askedMs) <= askedMs - startMs;
    this.#isReadingQuick =
      isQuicker &&
      sample.some(({ href }) => (asked.get(href)?.length ?? 0) > 0) &&
      sample.every(({ href }) => areSame(asked.get(href), read.get(href)));
    return this.#isReadingQuick;
  }

  /** Whether provenance is worth asking for in a long document: it is shown for some registration when that is asked for. */
  async #showsProvenance(endpoints: readonly EndpointEntry[]): Promise<boolean> {
    const { resourceLookup } = this.#deps;
    for (const { href } of evenly(endpoints, ATTRIBUTION_SAMPLES)) {
      // The last one of several criteria is the only one that counts for some RDs.
      const links = await this.#requests.get(resourceLookup, ["provenance", `href=${href}`]).catch(() => []);
      if (links.length > 0) return links.every((link) => this.#provenanceOf(link) !== null);
    }
    return false;
  }

  /** Every link of the RD, read at most once for the same question. */
  #whole(): Promise<readonly Link[] | null> {
    this.#wholeRead ??= this.#deps.readWhole();
    return this.#wholeRead;
  }

  /** The whole resource lookup, if it was read to answer the last question. */
  takeWhole(): Promise<readonly Link[] | null> | null {
    const whole = this.#wholeRead;
    this.#wholeRead = null;
    return whole;
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
      const found = await this.#requests.askEach(sample);
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
      const links = await this.#requests.get(resourceLookup, ["provenance"]);
      const known = new Set<string>();
      await this.#inTurns(mapped(endpoints, ({ href }) => known.add(href)));
      const names = (await this.#inTurns(mapped(links, (link) => this.#provenanceOf(link)))) ?? [];
      if (links.length === 0 || names.includes(null) || !names.some((href) => known.has(href ?? ""))) return false;
      const plain = await this.#requests.get(resourceLookup, []);
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
    await this.#inTurns(mapped(await this.#requests.get(resourceLookup, ["provenance"]), add));
    return found;
  }

  /** Undefined when it is given up: then nobody waits for the result. */
  #inTurns<T>(work: Generator<void, T>): Promise<T | undefined> {
    return inTurns(this.#deps.turns, work, this.#deps.signal);
  }
}

/** A few of `items`, from all over the list. */
function evenly<T>(items: readonly T[], count: number): T[] {
  const step = Math.max(1, Math.floor(items.length / count));
  return items.filter((_, index) => index % step === 0).slice(0, count);
}

function areSame(one: readonly Link[] | undefined, other: readonly Link[] | undefined): boolean {
  if (one === undefined || other === undefined || one.length !== other.length) return false;
  const rest = new LinkCounts(one);
  for (const link of other) rest.add(link, -1);
  return rest.isEmpty;
}

/** No two answers are the same: the filter is not ignored. */
function areDifferent(answers: readonly (readonly Link[])[]): boolean {
  return new Set(answers.map((links) => JSON.stringify(links))).size === answers.length;
}
