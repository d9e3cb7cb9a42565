import type { Criterion } from "@tributary/link-model";
import { KEYS_PER_LOOK, MARKED_SHARE, MIN_SORTED, SORTED_SHARE } from "../constants.js";
import type { ExpiryHeap } from "../records/expiry-heap.js";
import type { KeyTable } from "../records/key-table.js";
import type { SortedChunks } from "../records/sorted-chunks.js";
import type { KeyState, Source } from "../records/stored-record.js";
import { compareKeys } from "../records/total-order.js";
import type { AttributeIndex } from "./attribute-index.js";
import { type Selection, type SelectionDeps, SourceSelection, selectByCriterion } from "./candidates.js";
import type { Pace } from "./pace.js";
import type { SupersededIndex } from "./superseded-index.js";

export interface CandidateSearchDeps {
  readonly keys: KeyTable;
  readonly heap: ExpiryHeap;
  readonly sources: ReadonlyMap<string, Source>;
  readonly index: AttributeIndex;
  readonly order: SortedChunks<KeyState>;
  readonly superseded: SupersededIndex;
}

/** Which keys a search is about. */
export interface SearchRange {
  /** Only keys from this one on. */
  readonly from?: KeyState | undefined;
  /** Only keys of which this source has a record, shown or superseded. */
  readonly heldBy?: string | undefined;
}

/** Finds the keys whose registration can match a lookup, in order, with null wherever the search may be interrupted. */
export class CandidateSearch {
  readonly #deps: CandidateSearchDeps;
  /** Where shown registrations are found. */
  readonly #shown: SelectionDeps;
  /** Where those of this node are found, shown or not. */
  readonly #held: SelectionDeps;

  constructor(deps: CandidateSearchDeps) {
    const { index, order, sources, superseded } = deps;
    this.#deps = deps;
    this.#shown = { indexes: [index], order, sources };
    this.#held = { indexes: [index, superseded.index], order, sources };
  }

  /**
   * Keys that can match. Few candidates are collected and sorted; for many it is cheaper to walk the order and
   * skip those that are not marked; when most are candidates the index is of no use.
   */
  *keys(
    criteria: readonly Criterion[],
    nowMs: number,
    pace: Pace,
    { from, heldBy }: SearchRange = {},
  ): Generator<KeyState | null> {
    const { order } = this.#deps;
    const selection =
      heldBy === undefined
        ? yield* this.#mostSelective(criteria, pace, this.#shown, null)
        : yield* this.#mostSelectiveOf(heldBy, criteria, pace);
    if (selection === null) yield* order.from(from);
    else if (selection.size > Math.max(MIN_SORTED, order.size * SORTED_SHARE))
      yield* this.#marked(selection, nowMs, pace, from);
    else
      for (const key of this.#sorted(selection, nowMs))
        if (from === undefined || compareKeys(key, from) >= 0) yield key;
  }

  *#mostSelectiveOf(source: string, criteria: readonly Criterion[], pace: Pace): Generator<null, Selection | null> {
    const { sources, superseded } = this.#deps;
    const { version } = superseded;
    const known = sources.get(source);
    if (known === undefined) return NOTHING;
    const all = new SourceSelection(known);
    const selection = yield* this.#mostSelective(criteria, pace, this.#held, all);
    // A record that went from one index to the other meanwhile may have been missed in both.
    const isExact = selection === null || selection === all || version === superseded.version;
    return isExact ? selection : all;
  }

  /** The smallest selection that has everything that matches; null: there is none that is small enough. */
  *#mostSelective(
    criteria: readonly Criterion[],
    pace: Pace,
    deps: SelectionDeps,
    all: Selection | null,
  ): Generator<null, Selection | null> {
    let limit = Math.max(MIN_SORTED, this.#deps.order.size * MARKED_SHARE);
    let best: Selection | null = null;
    if (all !== null && all.size <= limit) {
      best = all;
      limit = all.size;
    }
    // Exact values first: they are counted at once and make the limit for prefixes, which are added up.
    for (const criterion of [...criteria].sort((a, b) => Number(a.isPrefix) - Number(b.isPrefix))) {
      const selection: Selection | null = yield* selectByCriterion(criterion, limit, deps, pace);
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

const NOTHING: Selection = { size: 0, forEachSlot: () => {} };
