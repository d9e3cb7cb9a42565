import { CODE, type CoapClient } from "@tributary/coap-transport";
import { type Link, lastValue, originOf, parseLinkFormatTolerantly, resolveLink } from "@tributary/link-model";
import pLimit from "p-limit";
import { ATTRIBUTION_SAMPLES, ATTRIBUTION_TRIES, MAX_ATTRIBUTION_SAMPLES, TIMEOUTS_UNTIL_GONE } from "./constants.js";
import { assertContent, get, isMereRefusal } from "./discovery.js";
import { UpstreamError } from "./errors.js";
import { type ForeignEndpoint, LinkCounts, localPath, replicatedLink } from "./foreign-documents.js";

/** Ways to find out which links belong to a registration, best first. */
export const ATTRIBUTION_METHODS = ["provenance", "href", "ep", "resource"] as const;
export type AttributionMethod = (typeof ATTRIBUTION_METHODS)[number];
type AskedMethod = Exclude<AttributionMethod, "provenance">;

export interface AttributionDeps {
  readonly client: CoapClient;
  readonly endpointLookup: string;
  readonly resourceLookup: string;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly signal: AbortSignal;
  /** Every link of the RD, read at this moment; null when it does not show them all at once. */
  readonly readWhole: () => Promise<readonly Link[] | null>;
  /** Whether 4.04 to a query means, at this RD, that nothing matches. Never rejects. */
  readonly isNotFoundNothing: () => Promise<boolean>;
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
  async linksOf(endpoints: readonly ForeignEndpoint[]): Promise<Map<string, readonly Link[]>> {
    if (endpoints.length === 0) return new Map();
    this.#method ??= await this.#choose(endpoints);
    return this.#method === "provenance" ? this.#byProvenance(endpoints) : this.#askEach(endpoints, this.#method);
  }

  /**
   * What was attributed does not add up to what the RD shows: either it changed meanwhile, or this way of asking is wrong.
   * Try it out anew on some of those concerned; true when it is wrong and another one will be taken from now on.
   */
  async reconsider(endpoints: readonly ForeignEndpoint[]): Promise<boolean> {
    const method = this.#method;
    if (method === null || method === "resource" || endpoints.length === 0) return false;
    const whole = await this.#deps.readWhole();
    if (await this.#isRight(method, endpoints, whole)) return false;
    this.#disproved.add(method);
    this.#method = null;
    return true;
  }

  async #choose(endpoints: readonly ForeignEndpoint[]): Promise<AttributionMethod> {
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
    endpoints: readonly ForeignEndpoint[],
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
    endpoints: readonly ForeignEndpoint[],
    whole: readonly Link[] | null,
  ): Promise<boolean> {
    const most = Math.min(endpoints.length, MAX_ATTRIBUTION_SAMPLES);
    for (let start = 0; start < most; start += ATTRIBUTION_SAMPLES) {
      const sample = endpoints.slice(start, start + ATTRIBUTION_SAMPLES);
      const found = await this.#askEach(sample, method);
      if (found.size < sample.length) return false;
      const answers = [...found.values()].filter((links) => links.length > 0);
      if (answers.length === 0) continue;
      return whole === null
        ? areDifferent(answers)
        : isPartOf(whole, answers.flat(), sample.length === endpoints.length);
    }
    return whole === null || whole.length === 0;
  }

  /**
   * Provenance that the RD generates names a registration on every link and comes only when asked for (draft 5.1); what it
   * merely stored of its clients is shown always, and who knows whom it names (PRV-06).
   */
  async #isProvenanceGenerated(endpoints: readonly ForeignEndpoint[]): Promise<boolean> {
    const { resourceLookup } = this.#deps;
    try {
      const links = await this.#get(resourceLookup, ["provenance"]);
      const known = new Set(endpoints.map(({ href }) => href));
      const names = links.map((link) => this.#provenanceOf(link));
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
    return typeof provenance === "string" ? localPath(provenance, this.#deps.resourceLookup) : null;
  }

  async #byProvenance(endpoints: readonly ForeignEndpoint[]): Promise<Map<string, readonly Link[]>> {
    const { resourceLookup } = this.#deps;
    const found = new Map<string, Link[]>(endpoints.map(({ href }) => [href, []]));
    for (const link of await this.#get(resourceLookup, ["provenance"]))
      found.get(this.#provenanceOf(link) ?? "")?.push(replicatedLink(link, resourceLookup));
    return found;
  }

  async #askEach(endpoints: readonly ForeignEndpoint[], method: AskedMethod): Promise<Map<string, readonly Link[]>> {
    const limit = pLimit(this.#deps.concurrency);
    const found = new Map<string, readonly Link[]>();
    this.#timeoutsInARow = 0;
    await Promise.all(
      endpoints.map((endpoint) =>
        limit(async () => {
          const links = await this.#askPatiently(endpoint, method);
          if (links !== null) found.set(endpoint.href, links);
        }),
      ),
    );
    if (this.#timeoutsInARow >= TIMEOUTS_UNTIL_GONE)
      throw new UpstreamError("UPSTREAM_TIMEOUT", "it no longer answers while it is copied");
    return found;
  }

  async #askPatiently(endpoint: ForeignEndpoint, method: AskedMethod): Promise<readonly Link[] | null> {
    for (let tries = 0; tries < ATTRIBUTION_TRIES; tries++) {
      // Nobody is there any more: do not wait for each answer in turn.
      if (this.#deps.signal.aborted || this.#timeoutsInARow >= TIMEOUTS_UNTIL_GONE) return null;
      try {
        const links = await this.#ask(endpoint, method);
        this.#timeoutsInARow = 0;
        return links;
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

  async #ask(endpoint: ForeignEndpoint, method: AskedMethod): Promise<readonly Link[]> {
    const { resourceLookup, endpointLookup } = this.#deps;
    if (method === "resource") {
      const links = await this.#get(`${originOf(endpointLookup) ?? ""}${endpoint.href}`, []);
      return links.map((link) => replicatedLink(resolveLink(endpoint.base, link), endpoint.base));
    }
    const sector = endpoint.shownSector ?? endpoint.d;
    const query =
      method === "href"
        ? [`href=${endpoint.href}`]
        : [`ep=${endpoint.ep}`, ...(sector === undefined ? [] : [`d=${sector}`])];
    return (await this.#get(resourceLookup, query)).map((link) => replicatedLink(link, resourceLookup));
  }

  async #get(uri: string, query: readonly string[]): Promise<readonly Link[]> {
    const response = await get(this.#deps.client, uri, query, this.#deps.timeoutMs, this.#deps.signal);
    if (response.code === CODE.NOT_FOUND && query.length > 0 && (await this.#deps.isNotFoundNothing())) return [];
    assertContent(response);
    return parseLinkFormatTolerantly(response.payload).links;
  }
}

/** The links are among those of the RD, and all of them when every registration was asked for. */
function isPartOf(whole: readonly Link[], links: readonly Link[], isEverything: boolean): boolean {
  const rest = new LinkCounts(whole);
  for (const link of links) rest.add(link, -1);
  return links.every((link) => rest.count(link) >= 0) && (!isEverything || rest.isEmpty);
}

/** No two answers are the same: the filter is not ignored. */
function areDifferent(answers: readonly (readonly Link[])[]): boolean {
  return new Set(answers.map((links) => JSON.stringify(links))).size === answers.length;
}
