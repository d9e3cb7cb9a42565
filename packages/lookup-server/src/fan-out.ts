import type { Link, LookupQuery } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import { type Losses, type Upstream, UpstreamError } from "@tributary/upstream-sync";
import { withTimePassed } from "./cached-ages.js";
import { MAX_PUSHED_COUNT } from "./constants.js";
import type { CacheResult, ResponseCache } from "./response-cache.js";
import { namesUnknownRegistration } from "./union.js";

/** What one upstream contributed, or why it did not. */
export type FanOutResult =
  | {
      readonly upstream: Upstream;
      readonly links: readonly Link[];
      /**
       * Endpoint links of all registrations that `links` come from, when they were asked for and the upstream tells them: on the
       * endpoint lookup `links` themselves.
       */
      readonly endpoints?: readonly Link[];
      /** Nothing was left out of `endpoints` by a pushed-down `count`. */
      readonly areEndpointsWhole?: boolean;
      /** Seconds. */
      readonly maxAgeS: number;
      /** What of the answer could not be taken. */
      readonly losses: Losses;
      /** Nothing was left out by a pushed-down `count`. */
      readonly isWhole: boolean;
      readonly origin: CacheResult["origin"];
      /** The endpoints were asked for, and there was no answer. */
      readonly endpointsFailure?: Error;
    }
  | { readonly upstream: Upstream; readonly failure: Error };

/** One lookup on its way to upstreams. */
export interface FanOutRequest {
  readonly kind: LookupInterface;
  readonly query: LookupQuery;
  /** Query items as received. */
  readonly items: readonly string[];
  /** Aborted at the deadline of the lookup. */
  readonly deadline: AbortSignal;
  /** Ask for everything even where `count` could be pushed down. */
  readonly ignoreCount?: boolean;
  /** On the resource lookup, ask for the endpoints as well: several origins may have links of one endpoint. */
  readonly needsEndpoints: boolean;
  /** Runs what yields between small steps, so that a long answer does not hold up others. */
  readonly inTurns: <T>(work: Generator<void, T>) => Promise<T>;
}

type Answered = Exclude<FanOutResult, { readonly failure: Error }>;

/**
 * Ask several upstreams in parallel, until the deadline, or answer for them out of the cache: each at most once on each lookup
 * interface, but for a `count` that turns out too small. One that has no turn by then, because others that do not answer take
 * every place, has failed and is not asked any more.
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

/** Both lookups at once: waiting for one to ask the other would take two round trips. */
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
    // An RD that turns the query down may still be followed: its links stay unattributed.
    const isRefusal = endpoints.failure instanceof UpstreamError && endpoints.failure.code === "UPSTREAM_REFUSED";
    return isRefusal ? resources : { ...resources, endpointsFailure: endpoints.failure };
  }
  const joined = join(resources, endpoints);
  const mayBeOutOfDate = endpoints.origin !== "forwarded" || !endpoints.isWhole;
  if (!mayBeOutOfDate) return joined;
  if (!(await request.inTurns(namesUnknownRegistration(joined.links, joined.endpoints ?? [])))) return joined;
  // Registered after the endpoints were cached, or beyond the count that was asked for.
  const latest = await askOne(upstream, { ...endpointRequest, ignoreCount: true }, cache, { mustValidate: true });
  return "failure" in latest ? joined : join(resources, latest);
}

function join(resources: Answered, endpoints: Answered): Answered {
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
    const { answer, ageS, maxAgeS, origin } = await cache.ask(upstream, kind, items, deadline, control);
    const links = kind === "ep" ? await request.inTurns(withTimePassed(answer.links, ageS)) : answer.links;
    const isWhole = count === null || answer.received < count;
    const { losses } = answer;
    const endpoints = kind === "ep" ? { endpoints: links, areEndpointsWhole: isWhole } : {};
    return { upstream, links, losses, ...endpoints, maxAgeS, isWhole, origin };
  } catch (error) {
    return { upstream, failure: error instanceof Error ? error : new Error(String(error)) };
  }
}

/**
 * The items for one upstream: the criteria as received, `page`/`count` replaced by a single `count` that reaches to the
 * end of the page asked for, and provenance and age where the upstream generates them, so that rule 1 can be applied.
 */
function forwardedItems(upstream: Upstream, request: FanOutRequest): { items: string[]; count: number | null } {
  const items = request.items.filter((item) => !isPaging(item) && item !== "provenance");
  const { capabilities } = upstream.status();
  const { page = 0, count } = request.query;
  const needed = count === undefined || request.ignoreCount ? Number.POSITIVE_INFINITY : (page + 1) * count;
  const isPushed = capabilities.paging === "yes" && needed > 0 && needed <= MAX_PUSHED_COUNT;
  if (isPushed) items.push(`count=${needed}`);
  if (request.kind === "res" && capabilities.provenance === "yes") items.push("provenance");
  if (request.kind === "ep" && capabilities.lifetimeAge === "yes") items.push("lt-age");
  return { items, count: isPushed ? needed : null };
}

function isPaging(item: string): boolean {
  return item.startsWith("page=") || item.startsWith("count=");
}
