import type { Criterion } from "@tributary/link-model";
import { ENDPOINT_RESOURCE_TYPE, MIN_SORTED } from "../constants.js";
import type { KeyTable } from "../records/key-table.js";
import type { KeyState, Source } from "../records/stored-record.js";
import { compareKeys } from "../records/total-order.js";
import type { AttributeIndex } from "./attribute-index.js";
import { forEachSlot, type Posting, postingSize } from "./postings.js";

export interface FewCandidatesDeps {
  readonly keys: KeyTable;
  readonly sources: ReadonlyMap<string, Source>;
  readonly index: AttributeIndex;
}

/**
 * Finds the keys that can match a selective lookup, in order; null if no exact criterion has few of them. Only while no record is
 * past its end, because what takes the place of such a record is not indexed yet.
 */
export function fewCandidates(criteria: readonly Criterion[], deps: FewCandidatesDeps): readonly KeyState[] | null {
  let best: readonly KeyState[] | null = null;
  for (const criterion of criteria) {
    if (criterion.isPrefix) continue;
    const found = keysOf(criterion, best === null ? MIN_SORTED : best.length - 1, deps);
    if (found === null) continue;
    best = found;
    if (best.length < 2) break;
  }
  if (best === null || best.length < 2) return best;
  return [...new Set(best)].sort(compareKeys);
}

/** Keys that can meet an exact criterion, some perhaps repeatedly; null if there are more than `limit`. */
function keysOf({ name, value }: Criterion, limit: number, deps: FewCandidatesDeps): KeyState[] | null {
  // Every endpoint has this type.
  if (name === "rt" && value === ENDPOINT_RESOURCE_TYPE) return null;
  const keys: KeyState[] = [];
  const take = (posting: Posting | undefined): boolean => {
    if (posting === undefined) return true;
    if (keys.length + postingSize(posting) > limit) return false;
    forEachSlot(posting, (slot) => {
      const key = deps.keys.at(slot);
      if (key !== undefined) keys.push(key);
    });
    return true;
  };
  if (!take(deps.index.exact(name, value))) return null;
  if (name === "ep") {
    const named = deps.keys.named(value);
    if (keys.length + named.length > limit) return null;
    keys.push(...named);
  }
  if (name === "href" || name === "provenance")
    for (const { authority, hrefToken } of deps.sources.values()) {
      if (authority !== null && !value.startsWith("/") && !take(deps.index.exact(hrefToken, value))) return null;
      const own = authority ?? "";
      if (value.startsWith(own) && !take(deps.index.exact(hrefToken, value.slice(own.length)))) return null;
    }
  return keys;
}
