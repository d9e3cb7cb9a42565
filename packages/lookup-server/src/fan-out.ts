import type { LookupQuery } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import type { ForwardedAnswer, Upstream } from "@tributary/upstream-sync";
import { MAX_PUSHED_COUNT } from "./constants.js";
import { withTimePassed } from "./forwarded-ages.js";
import type { CacheAnswer, ResponseCache } from "./response-cache.js";

/** What one upstream contributed, or why it did not. */
export type FanOutResult =
  | {
      readonly upstream: Upstream;
      readonly answer: Pick<ForwardedAnswer, "links" | "maxAgeS">;
      /** Nothing was left out by a pushed-down `count`. */
      readonly isWhole: boolean;
      readonly origin: CacheAnswer["origin"];
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
}

/**
 * Ask several upstreams in parallel, until the deadline, or answer for them out of the cache. One that has no turn by then,
 * because others that do not answer take every place, has failed and is not asked any more.
 * Never rejects: a failed upstream is part of the result (draft 4.4: report the union of what there is).
 */
export async function fanOut(
  upstreams: readonly Upstream[],
  request: FanOutRequest,
  cache: ResponseCache,
): Promise<FanOutResult[]> {
  return Promise.all(upstreams.map((upstream) => askOne(upstream, request, cache)));
}

async function askOne(upstream: Upstream, request: FanOutRequest, cache: ResponseCache): Promise<FanOutResult> {
  const { items, count } = forwardedItems(upstream, request);
  try {
    const { answer, ageS, maxAgeS, origin } = await cache.ask(upstream, request.kind, items, request.deadline);
    const links = request.kind === "ep" ? withTimePassed(answer.links, ageS) : answer.links;
    return { upstream, answer: { links, maxAgeS }, isWhole: count === null || answer.received < count, origin };
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
