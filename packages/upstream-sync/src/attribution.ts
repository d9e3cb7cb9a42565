import { CODE, type CoapClient } from "@tributary/coap-transport";
import { type Link, lastValue, originOf, parseLinkFormatTolerantly, resolveLink } from "@tributary/link-model";
import pLimit from "p-limit";
import { ATTRIBUTION_SAMPLES, ATTRIBUTION_TRIES } from "./constants.js";
import { assertContent, get } from "./discovery.js";
import type { UpstreamError } from "./errors.js";
import { type ForeignEndpoint, LinkCounts, localPath, replicatedLink } from "./foreign-documents.js";

/** Ways to find out which links belong to a registration, best first. */
export const ATTRIBUTION_METHODS = ["provenance", "href", "ep", "resource"] as const;
export type AttributionMethod = (typeof ATTRIBUTION_METHODS)[number];

export interface AttributionDeps {
  readonly client: CoapClient;
  readonly endpointLookup: string;
  readonly resourceLookup: string;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly signal: AbortSignal;
  /** Every link of the RD, read at this moment. */
  readonly readWhole: () => Promise<readonly Link[]>;
}

/** Asks an RD without provenance which links belong to which registration (design section 4). */
export class Attribution {
  readonly #deps: AttributionDeps;
  #method: AttributionMethod | null = null;
  /** Methods that gave wrong answers. */
  readonly #disproved = new Set<AttributionMethod>();

  constructor(deps: AttributionDeps) {
    this.#deps = deps;
  }

  get method(): AttributionMethod | null {
    return this.#method;
  }

  /** The links of each of `endpoints`; those that could not be asked for are missing. Bounded concurrency. */
  async linksOf(endpoints: readonly ForeignEndpoint[]): Promise<Map<string, readonly Link[]>> {
    if (endpoints.length === 0) return new Map();
    this.#method ??= await this.#choose(endpoints);
    return this.#method === "provenance" ? this.#byProvenance(endpoints) : this.#askEach(endpoints, this.#method);
  }

  /** What was attributed does not add up to what the RD shows: try another way next time. False when none is left. */
  disprove(): boolean {
    if (this.#method !== null && this.#method !== "resource") this.#disproved.add(this.#method);
    const isLast = this.#method === "resource";
    this.#method = null;
    return !isLast;
  }

  async #choose(endpoints: readonly ForeignEndpoint[]): Promise<AttributionMethod> {
    const whole = await this.#deps.readWhole();
    for (const method of ATTRIBUTION_METHODS) {
      if (method === "resource" || this.#disproved.has(method)) continue;
      if (await this.#isPlausible(method, endpoints, whole)) return method;
    }
    return "resource";
  }

  /**
   * Try a method on a few registrations: their links must be among those of the RD, no more than it has, and not none at
   * all. A filter that the RD ignores gives everything each time; one that it does not know gives nothing.
   */
  async #isPlausible(
    method: AttributionMethod,
    endpoints: readonly ForeignEndpoint[],
    whole: readonly Link[],
  ): Promise<boolean> {
    const sample = endpoints.slice(0, ATTRIBUTION_SAMPLES);
    const found = method === "provenance" ? await this.#byProvenance(endpoints) : await this.#askEach(sample, method);
    if (method === "provenance") return found.size > 0;
    if (found.size < sample.length) return false;
    const links = [...found.values()].flat();
    const rest = new LinkCounts(whole);
    for (const link of links) rest.add(link, -1);
    const isWithin = links.every((link) => rest.count(link) >= 0);
    const isEverything = sample.length < endpoints.length || rest.isEmpty;
    return isWithin && isEverything && (links.length > 0 || whole.length === 0);
  }

  /** Draft 5.1: provenance that the RD generates names registrations; what it merely stores is no such name or not on all. */
  async #byProvenance(endpoints: readonly ForeignEndpoint[]): Promise<Map<string, readonly Link[]>> {
    const { resourceLookup } = this.#deps;
    const links = await this.#get(resourceLookup, ["provenance"]).catch(() => null);
    const found = new Map<string, Link[]>(endpoints.map(({ href }) => [href, []]));
    for (const link of links ?? []) {
      const provenance = lastValue(link, "provenance");
      const href = typeof provenance === "string" ? localPath(provenance, resourceLookup) : null;
      if (href === null) return new Map();
      found.get(href)?.push(replicatedLink(link, resourceLookup));
    }
    return links === null || links.length === 0 ? new Map() : found;
  }

  async #askEach(
    endpoints: readonly ForeignEndpoint[],
    method: Exclude<AttributionMethod, "provenance">,
  ): Promise<Map<string, readonly Link[]>> {
    const limit = pLimit(this.#deps.concurrency);
    const found = new Map<string, readonly Link[]>();
    await Promise.all(
      endpoints.map((endpoint) =>
        limit(async () => {
          const links = await this.#askPatiently(endpoint, method);
          if (links !== null) found.set(endpoint.href, links);
        }),
      ),
    );
    return found;
  }

  async #askPatiently(
    endpoint: ForeignEndpoint,
    method: Exclude<AttributionMethod, "provenance">,
  ): Promise<readonly Link[] | null> {
    for (let tries = 0; tries < ATTRIBUTION_TRIES; tries++) {
      try {
        return await this.#ask(endpoint, method);
      } catch (error) {
        // A refusal will be repeated; a lost datagram may not.
        if (this.#deps.signal.aborted || (error as UpstreamError).code === "UPSTREAM_REFUSED") return null;
      }
    }
    return null;
  }

  async #ask(endpoint: ForeignEndpoint, method: Exclude<AttributionMethod, "provenance">): Promise<readonly Link[]> {
    const { resourceLookup, endpointLookup } = this.#deps;
    if (method === "resource") {
      const links = await this.#get(`${originOf(endpointLookup) ?? ""}${endpoint.href}`, []);
      return links.map((link) => replicatedLink(resolveLink(endpoint.base, link), endpoint.base));
    }
    const query =
      method === "href"
        ? [`href=${endpoint.href}`]
        : [`ep=${endpoint.ep}`, ...(endpoint.d === undefined ? [] : [`d=${endpoint.d}`])];
    return (await this.#get(resourceLookup, query)).map((link) => replicatedLink(link, resourceLookup));
  }

  async #get(uri: string, query: readonly string[]): Promise<readonly Link[]> {
    const response = await get(this.#deps.client, uri, query, this.#deps.timeoutMs, this.#deps.signal);
    if (response.code === CODE.NOT_FOUND && query.length > 0) return [];
    assertContent(response);
    return parseLinkFormatTolerantly(response.payload).links;
  }
}
