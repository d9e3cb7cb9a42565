import type { Criterion, Link, LookupQuery } from "@tributary/link-model";
import { CANDIDATES_PER_STEP, MARKED_SHARE, MIN_SORTED, SORTED_SHARE } from "./constants.js";
import { AttributeIndex, type TokenList } from "./lookup/attribute-index.js";
import { type Selection, selectByCriterion } from "./lookup/candidates.js";
import { endpointLink, registrationMatches, resourceLink, resourceMatches } from "./lookup/matching.js";
import { SortedChunks } from "./lookup/sorted-chunks.js";
import { PageWalks } from "./page-walks.js";
import type { ExpiryHeap } from "./records/expiry-heap.js";
import type { KeyTable } from "./records/key-table.js";
import { type KeyState, RecordReader, type Source, type StoredRecord, snapshot } from "./records/stored-record.js";
import { compareKeys, firstLive } from "./records/total-order.js";
import type { LookupInterface, LookupOptions, SourcedRegistration } from "./types.js";

export interface VisibleUnionDeps {
  readonly keys: KeyTable;
  readonly heap: ExpiryHeap;
  readonly sources: ReadonlyMap<string, Source>;
}

/** What lookups see: one registration per key, in the order of answers, with the index to find them by. */
export class VisibleUnion {
  readonly #deps: VisibleUnionDeps;
  readonly #index = new AttributeIndex();
  readonly #order = new SortedChunks<KeyState>((one, other) => compareKeys(one, other) < 0);

  readonly #walks = new PageWalks();

  constructor(deps: VisibleUnionDeps) {
    this.#deps = deps;
  }

  /** Distinct (name, value) pairs in the index. */
  get tokenCount(): number {
    return this.#index.size;
  }

  open(key: KeyState): void {
    this.forgetPages();
    this.#order.add(key);
  }

  close(key: KeyState): void {
    this.forgetPages();
    this.#order.delete(key);
  }

  /** The registration that is shown for a key was found by `before`, the one that is now by `after`. */
  reindex(key: KeyState, before: TokenList | null, after: TokenList | null): void {
    this.forgetPages();
    this.#index.change(key.slot, before, after);
  }

  /** What lookups see may be another now. */
  forgetPages(): void {
    this.#walks.forget();
  }

  keys(): Generator<KeyState> {
    return this.#order.from();
  }

  lookup(kind: LookupInterface, query: LookupQuery, nowMs: number, options: LookupOptions): Generator<Link> {
    return this.#walk(kind, query, nowMs, options, Number.POSITIVE_INFINITY) as Generator<Link>;
  }

  /** The same, with null after so many candidates or links without a result. */
  lookupInSteps(
    kind: LookupInterface,
    query: LookupQuery,
    nowMs: number,
    options: LookupOptions,
  ): Generator<Link | null> {
    return this.#walk(kind, query, nowMs, options, CANDIDATES_PER_STEP);
  }

  *#walk(
    kind: LookupInterface,
    query: LookupQuery,
    nowMs: number,
    options: LookupOptions,
    perStep: number,
  ): Generator<Link | null> {
    const { criteria, showProvenance, count, page = 0 } = query;
    const start = count === undefined ? 0 : page * count;
    const end = count === undefined ? Number.POSITIVE_INFINITY : start + count;
    if (start >= end) return;
    // What has ended and is still there would count at one time and not at another.
    const isSettled = !this.#deps.heap.dueBy(nowMs).next().value;
    const isOfAll = options.sources === undefined && options.heldBy === undefined;
    const isRemembered = start > 0 && isSettled && isOfAll;
    const walk = isRemembered ? this.#walks.begin(kind, criteria, options.zone, start) : undefined;
    let position = walk?.from?.position ?? 0;
    let looked = 0;
    for (const record of this.#records(criteria, nowMs, options, walk?.from?.key)) {
      const registration = new RecordReader(record);
      walk?.pass(record.key, position);
      if (++looked >= perStep) {
        looked = 0;
        yield null;
      }
      if (kind === "ep") {
        if (!registrationMatches(criteria, registration)) continue;
        if (position >= start) yield endpointLink(registration);
        if (++position >= end) return;
        continue;
      }
      for (const link of registration.links) {
        looked++;
        if (!resourceMatches(criteria, registration, link)) continue;
        if (position >= start) yield resourceLink(link, registration, showProvenance);
        if (++position >= end) return;
      }
    }
  }

  *select(criteria: readonly Criterion[], nowMs: number, options: LookupOptions): Generator<SourcedRegistration> {
    for (const record of this.#candidates(criteria, nowMs, options)) {
      if (registrationMatches(criteria, new RecordReader(record))) yield snapshot(record);
    }
  }

  #records(
    criteria: readonly Criterion[],
    nowMs: number,
    options: LookupOptions,
    from?: KeyState,
  ): Iterable<StoredRecord> {
    const { heldBy } = options;
    if (heldBy === undefined) return this.#candidates(criteria, nowMs, options, from);
    const shown = this.#candidates(criteria, nowMs, { ...options, sources: new Set([heldBy]) });
    const { superseded } = this.#deps.sources.get(heldBy) ?? {};
    if (superseded === undefined || superseded.size === 0) return shown;
    const matching = [...superseded].filter(
      (record) =>
        shownAt(record.key, nowMs) !== record &&
        !record.hasEnded(nowMs) &&
        isShownIn(options.zone, record) &&
        registrationMatches(criteria, new RecordReader(record)),
    );
    return inOrder(
      shown,
      matching.sort((one, other) => compareKeys(one.key, other.key)),
    );
  }

  /** Records that are shown at `nowMs` to such a client and can meet the criteria, in order, from a key on. */
  *#candidates(
    criteria: readonly Criterion[],
    nowMs: number,
    options: LookupOptions,
    from?: KeyState,
  ): Generator<StoredRecord> {
    for (const key of this.#candidateKeys(criteria, nowMs, from)) {
      const record = shownAt(key, nowMs);
      if (record === null) continue;
      if (!isShownIn(options.zone, record)) continue;
      if (options.sources !== undefined && !options.sources.has(record.source.name)) continue;
      yield record;
    }
  }

  /**
   * Keys that can match, in order. Few candidates are collected and sorted; for many it is cheaper to walk the order and
   * skip those that are not marked; when most are candidates the index is of no use.
   */
  #candidateKeys(criteria: readonly Criterion[], nowMs: number, from?: KeyState): Iterable<KeyState> {
    const selection = this.#mostSelective(criteria);
    if (selection === null) return this.#order.from(from);
    if (selection.size > Math.max(MIN_SORTED, this.#order.size * SORTED_SHARE))
      return this.#marked(selection, nowMs, from);
    const sorted = this.#sorted(selection, nowMs);
    return from === undefined ? sorted : sorted.filter((key) => compareKeys(key, from) >= 0);
  }

  #mostSelective(criteria: readonly Criterion[]): Selection | null {
    let best: Selection | null = null;
    let limit = Math.max(MIN_SORTED, this.#order.size * MARKED_SHARE);
    const deps = { index: this.#index, order: this.#order, sources: this.#deps.sources };
    // Exact values first: they are counted at once and make the limit for prefixes, which are added up.
    for (const criterion of [...criteria].sort((a, b) => Number(a.isPrefix) - Number(b.isPrefix))) {
      const selection = selectByCriterion(criterion, limit, deps);
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

  *#marked(selection: Selection, nowMs: number, from?: KeyState): Generator<KeyState> {
    const marks = new Uint32Array((this.#deps.keys.slots >>> 5) + 1);
    const mark = (slot: number): void => {
      marks[slot >>> 5] = (marks[slot >>> 5] as number) | (1 << (slot & 31));
    };
    selection.forEachSlot(mark);
    for (const { slot } of this.#unsettled(nowMs)) mark(slot);
    for (const key of this.#order.from(from)) {
      if (((marks[key.slot >>> 5] ?? 0) & (1 << (key.slot & 31))) !== 0) yield key;
    }
  }

  /** Keys whose shown record has ended since the last `expire`: another one takes its place, which is not indexed yet. */
  *#unsettled(nowMs: number): Generator<KeyState> {
    for (const record of this.#deps.heap.dueBy(nowMs)) {
      if (record.key.shown === record && record.hasEnded(nowMs)) yield record.key;
    }
  }
}

/** Two sequences in the order of keys as one. */
function* inOrder(some: Iterable<StoredRecord>, others: readonly StoredRecord[]): Generator<StoredRecord> {
  let next = 0;
  for (const record of some) {
    for (
      let other = others[next];
      other !== undefined && compareKeys(other.key, record.key) < 0;
      other = others[next]
    ) {
      yield other;
      next++;
    }
    yield record;
  }
  yield* others.slice(next);
}

/** RFC 9176 section 6.1: a link-local registration is shown on its link only. */
function isShownIn(zone: string | undefined, record: StoredRecord): boolean {
  return record.zone === undefined || record.zone === zone;
}

/** What rule 1 shows for a key at `nowMs`, whether or not `expire` has been called since. */
function shownAt({ shown, records }: KeyState, nowMs: number): StoredRecord | null {
  return shown === null || !shown.hasEnded(nowMs) ? shown : firstLive(records, nowMs);
}
