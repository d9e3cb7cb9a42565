import { formatCriterion } from "@tributary/link-model";
import { covers } from "@tributary/merge-engine";
import type { RestoredCopy } from "./copy-store.js";
import type { Handover, UpstreamOptions } from "./types.js";

/** Filters as text that can be compared: one for each conjunction. Pure. */
export function filtersAsText(filters: UpstreamOptions["filters"]): string[] {
  return filters.map((criteria) => JSON.stringify(criteria.map(formatCriterion)));
}

/** Where a follower with `options` goes on in the RD's feed; null: it copies. Pure. */
export function feedToResume(options: UpstreamOptions, handover: Handover | undefined): RestoredCopy | null {
  const feed = handover?.feed;
  if (feed === null || feed === undefined || options.mode !== "replicate") return null;
  const isSame =
    handover?.reading === readingOf(options) && feed.filters.join() === filtersAsText(options.filters).join();
  return isSame ? feed.restored : null;
}

/** How the entries of an upstream are read, as text that can be compared: all that does not only concern the way of asking. Pure. */
export function readingOf(options: UpstreamOptions): string {
  const { name: _, mode, filters, timeoutMs, pollMs, concurrency, ...reading } = options;
  return JSON.stringify(reading);
}

/** Whether what was handed over is all that `options` ask to be copied. Pure. */
export function isCompleteFor(options: UpstreamOptions, handover: Handover | undefined): boolean {
  if (handover === undefined || options.mode !== "replicate" || handover.reading !== readingOf(options)) return false;
  const wanted = options.filters.length === 0 ? [[]] : options.filters;
  return wanted.every((criteria) => handover.complete.some((filter) => covers(filter, criteria)));
}
