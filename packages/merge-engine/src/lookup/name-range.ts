import type { Criterion } from "@tributary/link-model";
import type { KeyBound } from "../records/key-order.js";
import { compareKeys } from "../records/total-order.js";
import type { AttributeIndex } from "./attribute-index.js";

/** Part of the order of keys: those from `start` on (all when absent) that come before `end` (to the last when absent). */
export interface NameRange {
  readonly start: KeyBound | undefined;
  readonly end: KeyBound | undefined;
  /** The criteria that exactly the keys in the range meet. */
  readonly covers: readonly Criterion[];
}

/** The range of all keys, for a lookup with criteria that say nothing about names. */
export const ALL_NAMES: NameRange = { start: undefined, end: undefined, covers: [] };

/**
 * The keys whose endpoint name meets the criteria for `ep`. Names are ordered by code units, so those with one prefix are next to
 * each other. A criterion that a registration or link could meet by an attribute called `ep` does not limit the range. Pure.
 */
export function nameRange(criteria: readonly Criterion[], indexes: readonly AttributeIndex[]): NameRange {
  let start: KeyBound | undefined;
  let end: KeyBound | undefined;
  const covers: Criterion[] = [];
  for (const criterion of criteria) {
    if (criterion.name !== "ep" || indexes.some((index) => hasAttribute(index, criterion))) continue;
    covers.push(criterion);
    const { value, isPrefix } = criterion;
    const first = { ep: value, d: undefined };
    if (start === undefined || compareKeys(first, start) > 0) start = first;
    const next = isPrefix ? afterPrefix(value) : `${value}\u0000`;
    if (next === undefined) continue;
    const last = { ep: next, d: undefined };
    if (end === undefined || compareKeys(last, end) < 0) end = last;
  }
  return covers.length === 0 ? ALL_NAMES : { start, end, covers };
}

/** Whether no key can be in a range: the criteria contradict each other. */
export function isEmptyRange({ start, end }: NameRange): boolean {
  return start !== undefined && end !== undefined && compareKeys(start, end) >= 0;
}

function hasAttribute(index: AttributeIndex, { name, value, isPrefix }: Criterion): boolean {
  if (!isPrefix) return index.exact(name, value) !== undefined;
  return index.withPrefix(name, value).next().done !== true;
}

/** The smallest text that is larger than all texts with this prefix; undefined: there is none. */
function afterPrefix(prefix: string): string | undefined {
  for (let at = prefix.length - 1; at >= 0; at--) {
    const unit = prefix.charCodeAt(at);
    if (unit < 0xffff) return prefix.slice(0, at) + String.fromCharCode(unit + 1);
  }
  return undefined;
}
