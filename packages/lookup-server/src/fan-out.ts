import type { Link, LookupQuery } from "@tributary/link-model";
import { type LookupInterface, LT_AGE } from "@tributary/merge-engine";
import { type Losses, type Upstream, UpstreamError } from "@tributary/upstream-sync";
import { withTimePassed } from "./cached-ages.js";
import { MAX_PUSHED_COUNT } from "./constants.js";
import type { CacheResult, ResponseCache } from "./response-cache.js";
import { namesUnknownRegistration } from "./union.js";

/** The result of one upstream, or its failure. */
export type FanOutResult =
  | {
      readonly upstream: Upstream;
      readonly links: readonly Link[];
      /**
       * Endpoint links of all registrations that `links` come from, if they were requested and the upstream reports them; on the
       * endpoint lookup the same as `links`.
       */
      readonly endpoints?: readonly Link[];
      /** `endpoints` was not cut short by a pushed-down `count`. */
      readonly areEndpointsWhole?: boolean;
      /** Seconds. */
      readonly maxAgeS: number;
      /** What of the response could not be taken. */
      readonly losses: Losses;
      /** `links` was not cut short by a pushed-down `count`. */
      readonly isWhole: boolean;
      readonly origin: CacheResult["origin"];
      /** The endpoints were requested, and that failed. */
      readonly endpointsFailure?: Error;
    }
  | { readonly upstream: Upstream; readonly failure: Error };

/** A lookup as it is put to upstreams. */
export interface FanOutRequest {
  readonly kind: LookupInterface;
  readonly query: LookupQuery;
  /** Query items as received. */
  readonly items: readonly string[];
  /** Aborted at the deadline of the lookup. */
  readonly deadline: AbortSignal;
  /** Requests everything even where `count` could be pushed down. */
  readonly ignoreCount?: boolean;
  /** On the resource lookup, requests the endpoints as well: several origins may have links of one endpoint. */
  readonly needsEndpoints: boolean;
  /** Runs work that yields between small steps, so that a long result does not block the event loop. */
  readonly inTurns: <T>(work: Generator<void, T>) => Promise<T>;
}

/** What an upstream returned, as opposed to a failure. */
export type UpstreamResult = Exclude<FanOutResult, { readonly failure: Error }>;

/**
 * Asks several upstreams in parallel, until the deadline, or takes their results from the cache. Each is asked at most once on each
 * lookup interface, unless a `count` turns out too small. An upstream whose request could not be sent by the deadline, because
 * requests without a response took every place, has failed and is not asked any more.
 * Never rejects: a failed upstream is part of the result (draft 4.4: report the union of what there is).
 */
export async function fanOut(
  upstreams: readonly Upstream[],
  request: FanOutRequest,
  cache: ResponseCache,
): Promise<FanOutResult[]> {
  const isJoined = request.kind === "res" && request.needsEndpoints;
  const ask = isJoined ? askWithEndpoints : askOne;
  return Promise.all(upstreams.map((upstream) => ask(upstream, request, cache)));
}

/** Asks both lookups at once: one after the other would take two round trips. */
async function askWithEndpoints(
  upstream: Upstream,
  request: FanOutRequest,
  cache: ResponseCache,
): Promise<FanOutResult> {
  const endpointRequest = { ...request, kind: "ep" } as const;
  const [resources, endpoints] = await Promise.all([
    askOne(upstream, request, cache),
    askOne(upstream, endpointRequest, cache),
  ]);
  if ("failure" in resources) return resources;
  if ("failure" in endpoints) {
    // An RD may refuse the query on one interface only: then its links stay unattributed.
    const isRefusal = endpoints.failure instanceof UpstreamError && endpoints.failure.code === "UPSTREAM_REFUSED";
    return isRefusal ? resources : { ...resources, endpointsFailure: endpoints.failure };
  }
  const joined = join(resources, endpoints);
  const mayBeOutOfDate = endpoints.origin !== "forwarded" || !endpoints.isWhole;
  if (!mayBeOutOfDate) return joined;
  if (!(await request.inTurns(namesUnknownRegistration(joined.links, joined.endpoints ?? [])))) return joined;
  // Registered after the endpoints were cached, or beyond the requested count.
  const latest = await askOne(upstream, { ...endpointRequest, ignoreCount: true }, cache, { mustValidate: true });
  return "failure" in latest ? joined : join(resources, latest);
}

function join(resources: UpstreamResult, endpoints: UpstreamResult): UpstreamResult {
  return {
    ...resources,
    endpoints: endpoints.links,
    areEndpointsWhole: endpoints.isWhole,
    losses: new Map([...endpoints.losses, ...resources.losses]),
    maxAgeS: Math.min(resources.maxAgeS, endpoints.maxAgeS),
    origin: leastFresh(resources.origin, endpoints.origin),
  };
}

/** `cached` only when no request was made. */
function leastFresh(one: CacheResult["origin"], other: CacheResult["origin"]): CacheResult["origin"] {
  if (one === "stale" || other === "stale") return "stale";
  return one === "cached" ? other : one;
}

async function askOne(
  upstream: Upstream,
  request: FanOutRequest,
  cache: ResponseCache,
  control: { readonly mustValidate?: boolean } = {},
): Promise<FanOutResult> {
  const { kind, deadline } = request;
  const { items, count } = forwardedItems(upstream, request);
  try {
    const { result, ageS, maxAgeS, origin } = await cache.ask(upstream, kind, items, deadline, control);
    const links = kind === "ep" ? await request.inTurns(withTimePassed(result.links, ageS)) : result.links;
    const isWhole = count === null || result.received < count;
    const { losses } = result;
    const endpoints = kind === "ep" ? { endpoints: links, areEndpointsWhole: isWhole } : {};
    return { upstream, links, losses, ...endpoints, maxAgeS, isWhole, origin };
  } catch (error) {
    return { upstream, failure: error instanceof Error ? error : new Error(String(error)) };
  }
}

/**
 * The query items for one upstream: the criteria as received, `page` and `count` replaced by one `count` that reaches the end
 * of the requested page, and requests for provenance and age if the upstream has them, so that rule 1 can be applied.
 */
function forwardedItems(upstream: Upstream, request: FanOutRequest): { items: string[]; count: number | null } {
  const items = request.items.filter((item) => !isPaging(item) && item !== "provenance");
  const { capabilities } = upstream.planning();
  const { page = 0, count } = request.query;
  const needed = count === undefined || request.ignoreCount ? Number.POSITIVE_INFINITY : (page + 1) * count;
  const isPushed = capabilities.paging === "yes" && needed > 0 && needed <= MAX_PUSHED_COUNT;
  if (isPushed) items.push(`count=${needed}`);
  if (request.kind === "res" && capabilities.provenance === "yes") items.push("provenance");
  if (request.kind === "ep" && capabilities.lifetimeAge === "yes") items.push(LT_AGE);
  return { items, count: isPushed ? needed : null };
}

function isPaging(item: string): boolean {
  return item.startsWith("page=") || item.startsWith("count=");
}
