import type { Criterion } from "@tributary/link-model";
import {
  KEYS_PER_LOOK,
  LOOKS_BEFORE_MARKS,
  LOOKS_BEFORE_PREFIXES,
  MARKED_PER_LOOK,
  MARKED_SHARE,
  MAX_COUNTED,
  MAX_SORTED,
  MIN_SORTED,
  SORTED_SHARE,
} from "../constants.js";
import type { ExpiryHeap } from "../records/expiry-heap.js";
import type { KeyBound, KeyOrder } from "../records/key-order.js";
import type { KeyTable } from "../records/key-table.js";
import type { KeyState, Source } from "../records/stored-record.js";
import { compareKeys } from "../records/total-order.js";
import type { AttributeIndex } from "./attribute-index.js";
import { type Selection, type SelectionDeps, SourceSelection, selectByCriterion } from "./candidates.js";
import { ALL_NAMES, isEmptyRange, type NameRange } from "./name-range.js";
import type { Pace } from "./pace.js";
import { SlotMarks } from "./slot-marks.js";
import type { SupersededIndex } from "./superseded-index.js";

export interface CandidateSearchDeps {
  readonly keys: KeyTable;
  readonly heap: ExpiryHeap;
  readonly sources: ReadonlyMap<string, Source>;
  readonly index: AttributeIndex;
  readonly order: KeyOrder;
  readonly superseded: SupersededIndex;
}

/** What a search is about. */
export interface SearchOptions {
  readonly criteria: readonly Criterion[];
  readonly nowMs: number;
  readonly pace: Pace;
  /** Only these keys; default: all. */
  readonly range?: NameRange | undefined;
  /** Only keys of which this source has a record, shown or superseded. */
  readonly heldBy?: string | undefined;
}

/** How the candidates of a search are found. */
type Plan =
  /** They are few, and known. */
  | { readonly kind: "sorted"; readonly keys: readonly KeyState[] }
  /** All keys of the range, in order; `looks` of them, and then it is decided again with the help of the index. */
  | { readonly kind: "walk"; readonly selections: readonly Selection[]; looks: number }
  /** The same, without those that are not marked. */
  | { readonly kind: "marked"; readonly marks: SlotMarks };

/** Finds the keys whose registration can match a lookup. */
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

  begin(options: SearchOptions): Candidates {
    return new Candidates(this.#deps, options.heldBy === undefined ? this.#shown : this.#held, options);
  }
}

/**
 * The keys that can match one lookup, in order, with null wherever the search may be interrupted. Few candidates are collected and
 * sorted. Among many, the next ones in the order are tried first: often they are all that is asked for. If they are not, it is
 * worth marking what the index has for all criteria together, and skipping the rest.
 */
export class Candidates {
  readonly #deps: CandidateSearchDeps;
  readonly #where: SelectionDeps;
  readonly #options: SearchOptions;
  readonly #range: NameRange;
  /** Criteria that the range says nothing about. */
  readonly #criteria: readonly Criterion[];
  #plan: Plan | undefined;

  constructor(deps: CandidateSearchDeps, where: SelectionDeps, options: SearchOptions) {
    const { criteria, range = ALL_NAMES } = options;
    this.#deps = deps;
    this.#where = where;
    this.#options = options;
    this.#range = range;
    this.#criteria = criteria.filter((criterion) => !range.covers.includes(criterion));
  }

  /** Candidates from `start` on; all when absent. May be called again, for another part of them. */
  *from(start?: KeyBound): Generator<KeyState | null> {
    this.#plan ??= yield* this.#begin();
    const plan = this.#plan;
    if (plan.kind === "sorted") yield* sortedFrom(plan.keys, start);
    else yield* this.#walk(later(start, this.#range.start));
  }

  /** At least the number of all candidates; infinite: many. */
  count(): number {
    for (const plan = this.#begin(); this.#plan === undefined; ) {
      const step = plan.next();
      if (step.done === true) this.#plan = step.value;
    }
    return this.#plan.kind === "sorted" ? this.#plan.keys.length : this.#rangeSize();
  }

  *#walk(start: KeyBound | undefined): Generator<KeyState | null> {
    const { end } = this.#range;
    if (this.#plan?.kind === "marked") yield* this.#marked(this.#plan.marks, start);
    else
      for (const key of this.#deps.order.from(start)) {
        if (end !== undefined && compareKeys(key, end) >= 0) return;
        const plan = this.#plan as Plan;
        if (plan.kind === "walk" && plan.looks-- > 0) yield key;
        else {
          if (plan.kind === "walk") this.#plan = yield* this.#mark(plan.selections);
          yield* this.from(key);
          return;
        }
      }
  }

  *#marked(marks: SlotMarks, start: KeyBound | undefined): Generator<KeyState | null> {
    const { end } = this.#range;
    let skipped = 0;
    const isWanted = ({ slot }: KeyState): boolean => marks.has(slot) || ++skipped % KEYS_PER_PAUSE === 0;
    for (const key of this.#deps.order.from(start, isWanted)) {
      if (end !== undefined && compareKeys(key, end) >= 0) return;
      if (marks.has(key.slot)) yield key;
      else if (this.#options.pace.isPause(KEYS_PER_PAUSE / KEYS_PER_LOOK)) yield null;
    }
  }

  *#begin(): Generator<null, Plan> {
    if (isEmptyRange(this.#range)) return { kind: "sorted", keys: [] };
    if (this.#options.heldBy !== undefined) return yield* this.#heldBy(this.#options.heldBy);
    // Exact values are counted at once; prefixes are added up, so only as far as they may be the smallest.
    const selections = yield* this.#select(false, Number.POSITIVE_INFINITY);
    let best = selections[0];
    let most = this.#mostSorted();
    const size = this.#rangeSize();
    if (size <= most && size <= (best?.size ?? size)) return { kind: "walk", selections: [], looks: size + most };
    if (best !== undefined) most = Math.min(most, best.size);
    const [prefix] = yield* this.#select(true, Math.min(most, MAX_COUNTED));
    if (prefix !== undefined && prefix.size <= most) best = prefix;
    if (best !== undefined && best.size <= most) return this.#sorted(best);
    const total = selections.reduce((sum, one) => sum + one.size, 0);
    const looks = LOOKS_BEFORE_MARKS + total / MARKED_PER_LOOK;
    const hasPrefixes = this.#criteria.some(({ isPrefix }) => isPrefix);
    return { kind: "walk", selections, looks: hasPrefixes ? looks + LOOKS_BEFORE_PREFIXES : looks };
  }

  /** Selections by exact values, or by prefixes, the smallest first. Those that are larger than `limit` are left out. */
  *#select(isPrefix: boolean, limit: number): Generator<null, Selection[]> {
    const selections: Selection[] = [];
    for (const criterion of this.#criteria) {
      if (criterion.isPrefix !== isPrefix) continue;
      const selection = yield* selectByCriterion(criterion, limit, this.#where, this.#options.pace);
      if (selection !== null) selections.push(selection);
    }
    return selections.sort(bySize);
  }

  /** Marks what meets all criteria, as far as the index knows. */
  *#mark(exact: readonly Selection[]): Generator<null, Plan> {
    const { order, keys } = this.#deps;
    const worthwhile = order.size * MARKED_SHARE;
    const selections = [...exact, ...(yield* this.#select(true, worthwhile))].sort(bySize);
    const [smallest, ...others] = selections;
    const common = others.filter(({ size }) => size <= order.size * MAX_COMMON_SHARE);
    if (smallest === undefined || (common.length === 0 && smallest.size > worthwhile)) return EVERYTHING;
    const marks = new SlotMarks(keys.slots);
    yield* this.#markSlots(marks, smallest);
    for (const selection of common) {
      const more = new SlotMarks(keys.slots);
      yield* this.#markSlots(more, selection);
      marks.keepCommon(more);
    }
    for (const { slot } of this.#unsettled()) marks.add(slot);
    const slots = marks.slots(this.#mostSorted());
    return slots === null ? { kind: "marked", marks } : { kind: "sorted", keys: this.#keysAt(slots) };
  }

  *#markSlots(marks: SlotMarks, selection: Selection): Generator<null, void> {
    for (const slots of selection.slots()) {
      for (const slot of slots) marks.add(slot);
      if (this.#options.pace.isPause(1 + slots.length / MARKED_PER_LOOK)) yield null;
    }
  }

  *#heldBy(source: string): Generator<null, Plan> {
    const selection = yield* this.#smallestHeldBy(source);
    if (selection === null) return EVERYTHING;
    if (selection.size <= this.#mostSorted()) return this.#sorted(selection);
    const marks = new SlotMarks(this.#deps.keys.slots);
    // At once: a record may go from one index to the other meanwhile.
    for (const slots of selection.slots()) for (const slot of slots) marks.add(slot);
    for (const { slot } of this.#unsettled()) marks.add(slot);
    return { kind: "marked", marks };
  }

  /** The smallest selection of what a source has; null: there is none that is small enough. */
  *#smallestHeldBy(source: string): Generator<null, Selection | null> {
    const { sources, superseded, order } = this.#deps;
    const { version } = superseded;
    const known = sources.get(source);
    if (known === undefined) return NOTHING;
    const all = new SourceSelection(known);
    const limit = Math.max(MIN_SORTED, order.size * MARKED_SHARE);
    let best: Selection | null = all.size <= limit ? all : null;
    for (const isPrefix of [false, true]) {
      const [smallest] = yield* this.#select(isPrefix, best?.size ?? limit);
      if (smallest !== undefined && smallest.size < (best?.size ?? Number.POSITIVE_INFINITY)) best = smallest;
    }
    // A record that went from one index to the other meanwhile may have been missed in both.
    const isExact = best === null || best === all || version === superseded.version;
    return isExact ? best : all;
  }

  #sorted(selection: Selection): Plan {
    const slots = new Set<number>();
    for (const some of selection.slots()) for (const slot of some) slots.add(slot);
    for (const { slot } of this.#unsettled()) slots.add(slot);
    return { kind: "sorted", keys: this.#keysAt(slots) };
  }

  #keysAt(slots: Iterable<number>): KeyState[] {
    const { start, end } = this.#range;
    const keys: KeyState[] = [];
    for (const slot of slots) {
      const key = this.#deps.keys.at(slot);
      if (key === undefined || (start !== undefined && compareKeys(key, start) < 0)) continue;
      if (end === undefined || compareKeys(key, end) < 0) keys.push(key);
    }
    return keys.sort(compareKeys);
  }

  #mostSorted(): number {
    return Math.max(MIN_SORTED, Math.min(MAX_SORTED, this.#deps.order.size * SORTED_SHARE));
  }

  /** About the number of keys in the range; infinite: all. */
  #rangeSize(): number {
    const { start, end } = this.#range;
    if (start === undefined && end === undefined) return Number.POSITIVE_INFINITY;
    const { order } = this.#deps;
    return order.before("ep", end) - (start === undefined ? 0 : order.before("ep", start));
  }

  /** Keys whose shown record has ended since the last `expire`: another one takes its place, which is not indexed yet. */
  *#unsettled(): Generator<KeyState> {
    const { nowMs } = this.#options;
    for (const record of this.#deps.heap.dueBy(nowMs)) {
      if (record.key.shown === record && record.hasEnded(nowMs)) yield record.key;
    }
  }
}

/** Selections of more than this share of all keys are not worth being compared with others. */
const MAX_COMMON_SHARE = 3 / 4;
/** Keys that are skipped between two occasions for a pause. */
const KEYS_PER_PAUSE = 16 * KEYS_PER_LOOK;
const NOTHING: Selection = { size: 0, slots: () => [] };
const EVERYTHING: Plan = { kind: "walk", selections: [], looks: Number.POSITIVE_INFINITY };

function bySize(one: Selection, other: Selection): number {
  return one.size - other.size;
}

function later(one: KeyBound | undefined, other: KeyBound | undefined): KeyBound | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return compareKeys(one, other) < 0 ? other : one;
}

function* sortedFrom(keys: readonly KeyState[], start: KeyBound | undefined): Generator<KeyState> {
  let at = 0;
  if (start !== undefined) {
    let end = keys.length;
    while (at < end) {
      const middle = (at + end) >>> 1;
      if (compareKeys(keys[middle] as KeyState, start) < 0) at = middle + 1;
      else end = middle;
    }
  }
  for (; at < keys.length; at++) yield keys[at] as KeyState;
}
