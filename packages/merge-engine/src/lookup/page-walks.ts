import type { Criterion } from "@tributary/link-model";
import type { KeyState } from "../records/stored-record.js";
import { compareKeys } from "../records/total-order.js";
import type { LookupInterface } from "../types.js";

/** Where a walk through the results of a lookup was: `position` results stand before the first one of `key`. */
export interface WalkMark {
  readonly position: number;
  readonly key: KeyState;
}

/** Candidates between two marks. */
const MARK_DISTANCE = 256;
/** Lookups whose marks are kept. */
const MAX_WALKS = 64;

/**
 * Remembers where the pages of lookups begin, so that a deep page costs as much as a first one. Holds until what is shown
 * changes: many pages of one lookup, observed or walked through, cost one walk.
 */
export class PageWalks {
  readonly #walks = new Map<string, WalkMark[]>();

  /** What is shown has changed: results may stand elsewhere. */
  forget(): void {
    if (this.#walks.size > 0) this.#walks.clear();
  }

  /** Begin a walk to the result at `start`, from the mark that is nearest before it. */
  begin(kind: LookupInterface, criteria: readonly Criterion[], zone: string | undefined, start: number): PageWalk {
    const name = JSON.stringify([kind, zone ?? null, criteria.map((one) => [one.name, one.value, one.isPrefix])]);
    const known = this.#walks.get(name);
    const marks = known ?? [];
    // The one that was used longest ago is the first.
    this.#walks.delete(name);
    this.#walks.set(name, marks);
    if (known === undefined && this.#walks.size > MAX_WALKS)
      this.#walks.delete(this.#walks.keys().next().value as string);
    return new PageWalk(marks, start);
  }
}

export class PageWalk {
  readonly from: WalkMark | undefined;
  readonly #marks: WalkMark[];
  #passed = 0;

  constructor(marks: WalkMark[], start: number) {
    this.#marks = marks;
    this.from = lastBefore(marks, start);
  }

  /** The walk comes to `key` with `position` results behind it. */
  pass(key: KeyState, position: number): void {
    if (++this.#passed < MARK_DISTANCE) return;
    this.#passed = 0;
    const last = this.#marks.at(-1);
    if (last === undefined || compareKeys(last.key, key) < 0) this.#marks.push({ position, key });
  }
}

function lastBefore(marks: readonly WalkMark[], start: number): WalkMark | undefined {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((marks[middle] as WalkMark).position <= start) low = middle + 1;
    else high = middle;
  }
  return marks[low - 1];
}
