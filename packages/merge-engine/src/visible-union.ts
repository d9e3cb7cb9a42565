import { type Criterion, type Link, LinkModelError, type LookupQuery } from "@tributary/link-model";
import { CANDIDATES_AT_ONCE, CANDIDATES_PER_STEP, KEYS_PER_LOOK, MAX_DUE_EXAMINED } from "./constants.js";
import { MergeError } from "./errors.js";
import { AttributeIndex, type TokenList } from "./lookup/attribute-index.js";
import { CandidateSearch, type Candidates } from "./lookup/candidate-search.js";
import { type FewCandidatesDeps, fewCandidates } from "./lookup/few-candidates.js";
import { LinkText } from "./lookup/link-text.js";
import { endpointLink, resourceLink } from "./lookup/matching.js";
import { type NameRange, nameRange } from "./lookup/name-range.js";
import { Pace } from "./lookup/pace.js";
import { criteriaForLinks, linkMeetsAll, nextLink, recordMatches } from "./lookup/packed-matching.js";
import { PageWalk, PageWalks, type WalkPlace } from "./lookup/page-walks.js";
import { endpointText, resourceText } from "./lookup/record-text.js";
import { SupersededIndex } from "./lookup/superseded-index.js";
import type { ExpiryHeap } from "./records/expiry-heap.js";
import { KeyOrder } from "./records/key-order.js";
import type { KeyTable } from "./records/key-table.js";
import { type PackedLinks, unpackLink } from "./records/packed-links.js";
import { type KeyState, RecordReader, type Source, type StoredRecord, snapshot } from "./records/stored-record.js";
import { firstLive } from "./records/total-order.js";
import type { LookupInterface, LookupOptions, SourcedRegistration } from "./types.js";

/** So many words of packed links, as a power of two, take about as long to look at as a registration with few. */
const WORDS_PER_LOOK_BITS = 4;
/** Words of packed links that a selective lookup examines at once: about a millisecond of work. */
const MAX_WORDS_AT_ONCE = 16_384;
/** Characters that such a lookup writes at once; a longer body is written as it is sent. */
const MAX_LENGTH_AT_ONCE = 65_536;
const FIRST: WalkPlace = { position: 0, key: undefined };
const NO_PAUSE = new Pace(Number.POSITIVE_INFINITY);

export interface VisibleUnionDeps {
  readonly keys: KeyTable;
  readonly heap: ExpiryHeap;
  readonly sources: ReadonlyMap<string, Source>;
}

/** What lookups see: one registration per key, in the order of answers, with the index to find them by. */
export class VisibleUnion {
  readonly #deps: VisibleUnionDeps;
  readonly superseded = new SupersededIndex();
  readonly #index = new AttributeIndex();
  readonly #order = new KeyOrder();
  readonly #walks = new PageWalks();
  readonly #search: CandidateSearch;
  readonly #few: FewCandidatesDeps;
  /** Number of sources whose records went all at once. */
  #closedSources = 0;

  constructor(deps: VisibleUnionDeps) {
    this.#deps = deps;
    const { keys, heap, sources } = deps;
    this.#few = { keys, sources, index: this.#index };
    this.#search = new CandidateSearch({
      keys,
      heap,
      sources,
      index: this.#index,
      order: this.#order,
      superseded: this.superseded,
    });
  }

  /**
   * Ends the lookups that are being read: what they have still to examine is no longer what was there when they began, although all
   * of it may still be shown by other means.
   */
  endWalks(): void {
    this.#closedSources++;
  }

  /** Distinct (name, value) pairs in the index. */
  get tokenCount(): number {
    return this.#index.size;
  }

  open(key: KeyState): void {
    this.#walks.note(key);
    this.#order.add(key);
  }

  close(key: KeyState): void {
    this.#walks.note(key);
    this.#order.delete(key);
  }

  /** The registration that is shown for a key was found by `before`, the one that is now by `after`. */
  reindex(key: KeyState, before: TokenList | null, after: TokenList | null): void {
    this.#walks.note(key);
    this.#order.recount(key);
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
    const asked = this.#asked(kind, query, nowMs, options, NO_PAUSE);
    return this.#walk(asked, linkWriter(kind, query)) as Generator<Link>;
  }

  /** The same, with null after so many candidates or links without a result. */
  lookupInSteps(
    kind: LookupInterface,
    query: LookupQuery,
    nowMs: number,
    options: LookupOptions,
  ): Generator<Link | null> {
    const asked = this.#asked(kind, query, nowMs, options, new Pace(CANDIDATES_PER_STEP));
    return this.#walk(asked, linkWriter(kind, query));
  }

  /**
   * Performs a lookup at once that is selective, or asks for one page, and returns its links in link format; null if it takes long,
   * or if some of it cannot be written. Then `lookup` has the result.
   */
  lookupText(kind: LookupInterface, query: LookupQuery, nowMs: number, options: LookupOptions): string | null {
    const { sources, heldBy, zone } = options;
    if (sources !== undefined || heldBy !== undefined || !this.#isSettled(nowMs)) return null;
    const keys = fewCandidates(query.criteria, this.#few);
    if (keys === null) return this.#textInOrder(kind, query, nowMs, options);
    const body = new LinkText(kind, query);
    let words = 0;
    for (const { shown } of keys) {
      if (shown === null || !isShownIn(zone, shown)) continue;
      words += shown.links.length;
      if (words > MAX_WORDS_AT_ONCE) return null;
      if (!body.add(shown)) return null;
      if (body.isFull) break;
    }
    return body.text;
  }

  #textInOrder(kind: LookupInterface, query: LookupQuery, nowMs: number, options: LookupOptions): string | null {
    const { count = 0 } = query;
    if (count > CANDIDATES_AT_ONCE / 2) return null;
    const asked = this.#asked(kind, query, nowMs, options, new Pace(CANDIDATES_AT_ONCE));
    if (count === 0 && asked.candidates.count() > CANDIDATES_AT_ONCE) return null;
    let text = "";
    try {
      for (const link of this.#walk(asked, textWriter(kind, query))) {
        if (link === null || text.length > MAX_LENGTH_AT_ONCE) return null;
        text = text === "" ? link : `${text},${link}`;
      }
    } catch (error) {
      if (error instanceof LinkModelError) return null;
      throw error;
    }
    return text;
  }

  /** Whether no record that is shown has ended: such a record would count at one time and not at another. */
  #isSettled(nowMs: number): boolean {
    const earliestMs = this.#deps.heap.earliestMs();
    if (earliestMs === undefined || earliestMs > nowMs) return true;
    let examined = 0;
    for (const record of this.#deps.heap.dueBy(nowMs)) {
      if (++examined > MAX_DUE_EXAMINED || (record.key.shown === record && record.hasEnded(nowMs))) return false;
    }
    return true;
  }

  #asked(kind: LookupInterface, query: LookupQuery, nowMs: number, options: LookupOptions, pace: Pace): AskedResults {
    const { criteria, count, page = 0 } = query;
    const { sources, heldBy } = options;
    const isOrdered = sources === undefined && heldBy === undefined && this.#isSettled(nowMs);
    const range = isOrdered ? nameRange(criteria, [this.#index]) : undefined;
    const start = count === undefined ? 0 : page * count;
    const end = count === undefined ? Number.POSITIVE_INFINITY : start + count;
    const candidates = this.#search.begin({ criteria, nowMs, pace, range, heldBy });
    return { kind, criteria, nowMs, options, pace, start, end, range, candidates };
  }

  /** Where to begin; null: there is nothing at `start`. */
  #firstPlace({ kind, criteria, options, start, range }: AskedResults): WalkPlace | PageWalk | null {
    if (start === 0 || range === undefined) return FIRST;
    const { zone } = options;
    // Without criteria for anything else than names, results are found by their number.
    if (range.covers.length === criteria.length && (zone === undefined || this.#order.zoned === 0)) {
      const before = range.start === undefined ? 0 : this.#order.before(kind, range.start);
      const place = this.#order.at(kind, before + start);
      return place === undefined ? null : { position: place.before - before, key: place.key };
    }
    return this.#walks.begin({ kind, criteria, zone }, start, this.#order.size);
  }

  *#walk<T>(asked: AskedResults, write: ResultWriter<T>): Generator<T | null> {
    const { kind, criteria, start, end, pace } = asked;
    if (start >= end) return;
    const first = this.#firstPlace(asked);
    if (first === null) return;
    const walk = first instanceof PageWalk ? first : undefined;
    const closedSources = this.#closedSources;
    let { position, key: from } = first instanceof PageWalk ? first.skip() : first;
    for (;;) {
      let isSkipping = false;
      for (const record of this.#candidates(asked, from)) {
        this.#assertOpenSince(closedSources);
        if (record === null) {
          yield null;
          continue;
        }
        isSkipping = walk?.pass(record.key, position) ?? false;
        if (isSkipping) break;
        if (pace.isPause(1 + (record.links.length >>> WORDS_PER_LOOK_BITS))) yield null;
        if (kind === "ep") {
          if (!recordMatches(criteria, record)) continue;
          if (position >= start) yield write(record, 0);
          if (++position >= end) return;
          continue;
        }
        // A change between two links replaces the list, not its content.
        const { links } = record;
        const rest = criteriaForLinks(criteria, record);
        for (let at = 0; at < links.length; at = nextLink(links, at)) {
          if (pace.isPause()) yield null;
          if (!linkMeetsAll(rest, links, at)) continue;
          if (position >= start) yield write(record, at, links);
          if (++position >= end) return;
        }
      }
      this.#assertOpenSince(closedSources);
      if (!isSkipping || walk === undefined) return;
      ({ position, key: from } = walk.skip());
    }
  }

  /** @throws {MergeError} `SOURCE_CLOSED` */
  #assertOpenSince(closedSources: number): void {
    if (closedSources !== this.#closedSources)
      throw new MergeError("SOURCE_CLOSED", "a source was closed during the lookup: begin it again");
  }

  *select(criteria: readonly Criterion[], nowMs: number, options: LookupOptions): Generator<SourcedRegistration> {
    const query = { criteria, showProvenance: false };
    for (const record of this.#candidates(this.#asked("ep", query, nowMs, options, NO_PAUSE))) {
      if (record !== null && recordMatches(criteria, record)) yield snapshot(record);
    }
  }

  /** Whether a record that need not be shown matches the criteria, for a client in that zone. */
  matches(record: StoredRecord, criteria: readonly Criterion[], zone: string | undefined): boolean {
    return isShownIn(zone, record) && recordMatches(criteria, record);
  }

  /** Records that such a client sees at `nowMs` and that can meet the criteria, in order, with null wherever it may be interrupted. */
  *#candidates({ nowMs, options, pace, candidates }: AskedResults, from?: KeyState): Generator<StoredRecord | null> {
    const { heldBy } = options;
    let skipped = 0;
    for (const key of candidates.from(from)) {
      const record =
        key === null ? null : heldBy === undefined ? shownAmong(key, nowMs, options) : heldAt(key, nowMs, heldBy);
      if (record !== null && isShownTo(options, record)) yield record;
      else if (key === null || (++skipped % KEYS_PER_LOOK === 0 && pace.isPause())) yield null;
    }
  }
}

/** What a lookup asks for, and where it is found. */
interface AskedResults {
  readonly kind: LookupInterface;
  readonly criteria: readonly Criterion[];
  readonly nowMs: number;
  readonly options: LookupOptions;
  readonly pace: Pace;
  /** Number of the first result of the page, and of the first one after it. */
  readonly start: number;
  readonly end: number;
  /** Part of the order with all results; absent: results have no fixed numbers at present. */
  readonly range: NameRange | undefined;
  readonly candidates: Candidates;
}

/** Writes a record, or the link at `at` of it. `links`: those of the record when the walk came to it. */
type ResultWriter<T> = (record: StoredRecord, at: number, links?: PackedLinks) => T;

function linkWriter(kind: LookupInterface, { showProvenance }: LookupQuery): ResultWriter<Link> {
  if (kind === "ep") return (record) => endpointLink(new RecordReader(record));
  return (record, at, links = record.links) => resourceLink(unpackLink(links, at), record, showProvenance);
}

/** @throws {LinkModelError} when called with what link format cannot express */
function textWriter(kind: LookupInterface, { showProvenance }: LookupQuery): ResultWriter<string> {
  return kind === "ep" ? endpointText : (record, at) => resourceText(record, at, showProvenance);
}

function isShownTo({ sources, zone }: LookupOptions, record: StoredRecord): boolean {
  return isShownIn(zone, record) && (sources === undefined || sources.has(record.source.name));
}

/** RFC 9176 section 6.1: a link-local registration is shown on its link only. */
function isShownIn(zone: string | undefined, record: StoredRecord): boolean {
  return record.zone === undefined || record.zone === zone;
}

/** What one source has of a key, shown or not. */
function heldAt({ records }: KeyState, nowMs: number, source: string): StoredRecord | null {
  return records.find((record) => record.source.name === source && !record.hasEnded(nowMs)) ?? null;
}

/** What is shown for a key, or what some of the sources hold in its stead. */
function shownAmong(key: KeyState, nowMs: number, { sources }: LookupOptions): StoredRecord | null {
  const shown = shownAt(key, nowMs);
  if (shown === null || sources === undefined || sources.has(shown.source.name)) return shown;
  return key.records.find((record) => sources.has(record.source.name) && !record.hasEnded(nowMs)) ?? null;
}

/** What rule 1 shows for a key at `nowMs`, whether or not `expire` has been called since. */
function shownAt({ shown, records }: KeyState, nowMs: number): StoredRecord | null {
  return shown === null || !shown.hasEnded(nowMs) ? shown : firstLive(records, nowMs);
}
