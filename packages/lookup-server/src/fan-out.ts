import type { LookupQuery } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import type { ForwardedAnswer, Upstream } from "@tributary/upstream-sync";
import type { LimitFunction } from "p-limit";
import { MAX_PUSHED_COUNT } from "./constants.js";

/** What one upstream contributed, or why it did not. */
export type FanOutResult =
  | { readonly upstream: Upstream; readonly answer: ForwardedAnswer; readonly isWhole: boolean }
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
 * Ask several upstreams in parallel, until the deadline; `limit` bounds the requests under way over all lookups. One that has
 * no turn by then, because others that do not answer take every place, has failed and is not asked any more.
 * Never rejects: a failed upstream is part of the result (draft 4.4: report the union of what there is).
 */
export async function fanOut(
  upstreams: readonly Upstream[],
  request: FanOutRequest,
  limit: LimitFunction,
): Promise<FanOutResult[]> {
  return Promise.all(upstreams.map((upstream) => askInTurn(upstream, request, limit)));
}

function askInTurn(upstream: Upstream, request: FanOutRequest, limit: LimitFunction): Promise<FanOutResult> {
  const { deadline } = request;
  return new Promise((resolve) => {
    const giveUp = (): void => resolve({ upstream, failure: new Error("no turn within the deadline") });
    if (deadline.aborted) return giveUp();
    deadline.addEventListener("abort", giveUp, { once: true });
    void limit(async () => {
      deadline.removeEventListener("abort", giveUp);
      if (!deadline.aborted) resolve(await askOne(upstream, request));
    });
  });
}

async function askOne(upstream: Upstream, request: FanOutRequest): Promise<FanOutResult> {
  const { items, count } = forwardedItems(upstream, request);
  try {
    const answer = await upstream.forward(request.kind, items, { signal: request.deadline });
    return { upstream, answer, isWhole: count === null || answer.received < count };
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
