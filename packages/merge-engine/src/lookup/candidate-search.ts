import type { Criterion } from "@tributary/link-model";
import { KEYS_PER_LOOK, MARKED_SHARE, MIN_SORTED, SORTED_SHARE } from "../constants.js";
import type { ExpiryHeap } from "../records/expiry-heap.js";
import type { KeyTable } from "../records/key-table.js";
import type { SortedChunks } from "../records/sorted-chunks.js";
import type { KeyState, Source } from "../records/stored-record.js";
import { compareKeys } from "../records/total-order.js";
import type { AttributeIndex } from "./attribute-index.js";
import { type Selection, selectByCriterion } from "./candidates.js";
import type { Pace } from "./pace.js";

export interface CandidateSearchDeps {
  readonly keys: KeyTable;
  readonly heap: ExpiryHeap;
  readonly sources: ReadonlyMap<string, Source>;
  readonly index: AttributeIndex;
  readonly order: SortedChunks<KeyState>;
}

/** Finds the keys whose shown registration can match a lookup, in order, with null wherever the search may be interrupted. */
export class CandidateSearch {
  readonly #deps: CandidateSearchDeps;

  constructor(deps: CandidateSearchDeps) {
    this.#deps = deps;
  }

  /**
   * Keys that can match, from one on. Few candidates are collected and sorted; for many it is cheaper to walk the order and
   * skip those that are not marked; when most are candidates the index is of no use.
   */
  *keys(criteria: readonly Criterion[], nowMs: number, pace: Pace, from?: KeyState): Generator<KeyState | null> {
    const { order } = this.#deps;
    const selection = yield* this.#mostSelective(criteria, pace);
    if (selection === null) yield* order.from(from);
    else if (selection.size > Math.max(MIN_SORTED, order.size * SORTED_SHARE))
      yield* this.#marked(selection, nowMs, pace, from);
    else
      for (const key of this.#sorted(selection, nowMs))
        if (from === undefined || compareKeys(key, from) >= 0) yield key;
  }

  *#mostSelective(criteria: readonly Criterion[], pace: Pace): Generator<null, Selection | null> {
    let best: Selection | null = null;
    let limit = Math.max(MIN_SORTED, this.#deps.order.size * MARKED_SHARE);
    // Exact values first: they are counted at once and make the limit for prefixes, which are added up.
    for (const criterion of [...criteria].sort((a, b) => Number(a.isPrefix) - Number(b.isPrefix))) {
      const selection: Selection | null = yield* selectByCriterion(criterion, limit, this.#deps, pace);
      if (selection === null || (best !== null && selection.size >= best.size)) continue;
      best = selection;
      limit = selection.size;
      if (limit === 0) break;
    }
    return best;
  }

  #sorted(selection: Selection, nowMs: number): KeyState[] {
    const keys = new Set<KeyState>(this.#unsettled(nowMs));
    selection.forEachSlot((slot) => {
      const key = this.#deps.keys.at(slot);
      if (key !== undefined) keys.add(key);
    });
    return [...keys].sort(compareKeys);
  }

  *#marked(selection: Selection, nowMs: number, pace: Pace, from?: KeyState): Generator<KeyState | null> {
    const marks = new Uint32Array((this.#deps.keys.slots >>> 5) + 1);
    const mark = (slot: number): void => {
      marks[slot >>> 5] = (marks[slot >>> 5] as number) | (1 << (slot & 31));
    };
    selection.forEachSlot(mark);
    for (const { slot } of this.#unsettled(nowMs)) mark(slot);
    let skipped = 0;
    for (const key of this.#deps.order.from(from)) {
      if (((marks[key.slot >>> 5] ?? 0) & (1 << (key.slot & 31))) !== 0) yield key;
      else if (++skipped % KEYS_PER_LOOK === 0 && pace.isPause()) yield null;
    }
  }

  /** Keys whose shown record has ended since the last `expire`: another one takes its place, which is not indexed yet. */
  *#unsettled(nowMs: number): Generator<KeyState> {
    for (const record of this.#deps.heap.dueBy(nowMs)) {
      if (record.key.shown === record && record.hasEnded(nowMs)) yield record.key;
    }
  }
}
