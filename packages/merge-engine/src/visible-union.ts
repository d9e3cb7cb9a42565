import type { Criterion, Link, LookupQuery } from "@tributary/link-model";
import { AttributeIndex, type Selection } from "./attribute-index.js";
import { BROAD_SHARE } from "./constants.js";
import { endpointLink, registrationMatches, resourceLink, resourceMatches } from "./matching.js";
import { SortedChunks } from "./sorted-chunks.js";
import type { KeyState } from "./stored-record.js";
import { compareKeys } from "./total-order.js";
import type { LookupInterface, LookupOptions, SourcedRegistration } from "./types.js";

/** What is shown: one registration per key, in the order of answers, with the index to find them by. */
export class VisibleUnion {
  readonly #index = new AttributeIndex();
  readonly #order = new SortedChunks<KeyState>(compareKeys);
  readonly #bySlot = new Map<number, KeyState>();

  get size(): number {
    return this.#order.size;
  }

  show(key: KeyState, registration: SourcedRegistration): void {
    if (this.#order.add(key)) this.#bySlot.set(key.slot, key);
    this.#index.add(key.slot, registration);
  }

  /** Take `registration` out of the index; `isGone`: nothing takes its place. */
  hide(key: KeyState, registration: SourcedRegistration, isGone: boolean): void {
    this.#index.delete(key.slot, registration);
    if (!isGone) return;
    this.#order.delete(key);
    this.#bySlot.delete(key.slot);
  }

  *keys(): Generator<KeyState> {
    yield* this.#order.from();
  }

  *lookup(kind: LookupInterface, query: LookupQuery, options: LookupOptions): Generator<Link> {
    const { count, page = 0 } = query;
    const start = count === undefined ? 0 : page * count;
    const end = count === undefined ? Number.POSITIVE_INFINITY : start + count;
    if (start >= end) return;
    let position = 0;
    for (const link of this.#links(kind, query, options)) {
      if (position >= start) yield link;
      if (++position >= end) return;
    }
  }

  *#links(kind: LookupInterface, query: LookupQuery, options: LookupOptions): Generator<Link> {
    for (const registration of this.select(query.criteria, options)) {
      if (kind === "ep") {
        yield endpointLink(registration);
        continue;
      }
      for (const link of registration.links) {
        if (resourceMatches(query.criteria, registration, link))
          yield resourceLink(link, registration, query.showProvenance);
      }
    }
  }

  /** Shown registrations that meet the criteria as on the endpoint interface, in order, lazily. */
  *select(criteria: readonly Criterion[], options: LookupOptions): Generator<SourcedRegistration> {
    for (const key of this.#candidates(criteria)) {
      const record = key.shown;
      if (record === null) continue;
      if (record.zone !== undefined && record.zone !== options.zone) continue;
      if (options.sources !== undefined && !options.sources.has(record.source.name)) continue;
      const registration = record.view();
      if (criteria.length === 0 || registrationMatches(criteria, registration)) yield registration;
    }
  }

  /** Keys that can match, in order: by the most selective criterion, or all of them when none is selective. */
  #candidates(criteria: readonly Criterion[]): Iterable<KeyState> {
    const enough = Math.max(16, Math.floor(this.#order.size * BROAD_SHARE));
    let best: Selection | null = null;
    for (const criterion of [...criteria].sort((a, b) => Number(a.isPrefix) - Number(b.isPrefix))) {
      const selection = this.#index.select(criterion, () => this.#shown(), Math.min(enough, best?.estimate ?? enough));
      if (selection !== null && (best === null || selection.estimate < best.estimate)) best = selection;
      if (best?.estimate === 0) return [];
    }
    if (best === null || best.estimate > enough) return this.#order.from();
    const keys: KeyState[] = [];
    for (const slot of best.slots()) {
      const key = this.#bySlot.get(slot);
      if (key !== undefined) keys.push(key);
    }
    return keys.sort(compareKeys);
  }

  *#shown(): Generator<SourcedRegistration> {
    for (const { shown } of this.#order.from()) if (shown !== null) yield shown.view();
  }
}
