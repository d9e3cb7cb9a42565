import type { LookupInterface } from "../types.js";
import { type ChunkObserver, SortedChunks } from "./sorted-chunks.js";
import type { KeyState } from "./stored-record.js";
import { compareKeys } from "./total-order.js";

/** What the order compares: a key, or a bound between keys. */
export type KeyBound = Pick<KeyState, "ep" | "d">;

/** A place among the results of a lookup. */
export interface OrderedPlace {
  /** The key to which the result belongs. */
  readonly key: KeyState;
  /** Number of results of all keys before it. */
  readonly before: number;
}

/**
 * All keys in the order of results, with the number of results in each chunk, so that a result is found by its number without
 * passing those before it: an order statistic in the time of O(chunks + chunk). Registrations that are shown in one zone only are
 * not counted, and nothing can be found by number for a client of such a zone.
 */
export class KeyOrder {
  readonly #chunks: SortedChunks<KeyState>;
  readonly #sums = new ChunkSums();
  #zoned = 0;

  constructor() {
    this.#chunks = new SortedChunks<KeyState>((one, other) => compareKeys(one, other) < 0, this.#sums);
  }

  get size(): number {
    return this.#chunks.size;
  }

  /** Number of keys that are shown in one zone only. */
  get zoned(): number {
    return this.#zoned;
  }

  add(key: KeyState): void {
    this.#chunks.add(key);
  }

  delete(key: KeyState): void {
    this.#count(key, -1);
    this.#chunks.delete(key);
  }

  /** Counts a key again, whose registration or links may have changed. */
  recount(key: KeyState): void {
    const { shown } = key;
    if (shown === null) this.#count(key, -1);
    else if (shown.zone !== undefined) this.#count(key, ZONED);
    else this.#count(key, linkCount(shown.links));
  }

  /** Keys from `bound` on (all when absent), in order. Changes between two keys are fine. `isWanted`: only these. */
  from(bound?: KeyBound, isWanted?: (key: KeyState) => boolean): Generator<KeyState> {
    return this.#chunks.from(bound as KeyState | undefined, isWanted);
  }

  /** Number of results of all keys before `bound`; of all keys if it is absent. */
  before(kind: LookupInterface, bound: KeyBound | undefined): number {
    const sums = this.#sums.of(kind);
    const end = bound === undefined ? sums.length : this.#chunks.chunkFor(bound as KeyState);
    let before = 0;
    for (let at = 0; at < end; at++) before += sums[at] as number;
    if (bound === undefined) return before;
    for (const key of this.#chunks.chunkAt(end)) {
      if (compareKeys(key, bound) >= 0) break;
      before += resultsOf(kind, key);
    }
    return before;
  }

  /** Finds the result with this number, counted from 0; undefined: there are not so many. */
  at(kind: LookupInterface, position: number): OrderedPlace | undefined {
    let before = 0;
    for (const [at, sum] of this.#sums.of(kind).entries()) {
      if (before + sum <= position) {
        before += sum;
        continue;
      }
      for (const key of this.#chunks.chunkAt(at)) {
        const results = resultsOf(kind, key);
        if (before + results > position) return { key, before };
        before += results;
      }
    }
    return undefined;
  }

  #count(key: KeyState, counted: number): void {
    const { counted: previous } = key;
    if (previous === counted) return;
    if (previous === ZONED) this.#zoned--;
    if (counted === ZONED) this.#zoned++;
    key.counted = counted;
    this.#sums.add(
      this.#chunks.chunkFor(key),
      Number(counted >= 0) - Number(previous >= 0),
      Math.max(0, counted) - Math.max(0, previous),
    );
  }
}

/** `counted` of a key that is shown in one zone only. */
const ZONED = -2;

/** Endpoints and links per chunk. */
class ChunkSums implements ChunkObserver<KeyState> {
  readonly #endpoints: number[] = [];
  readonly #links: number[] = [];

  of(kind: LookupInterface): readonly number[] {
    return kind === "ep" ? this.#endpoints : this.#links;
  }

  add(chunkIndex: number, endpoints: number, links: number): void {
    this.#endpoints[chunkIndex] = (this.#endpoints[chunkIndex] as number) + endpoints;
    this.#links[chunkIndex] = (this.#links[chunkIndex] as number) + links;
  }

  changed(chunkIndex: number, key: KeyState, isAdded: boolean): void {
    const sign = isAdded ? 1 : -1;
    this.add(chunkIndex, sign * resultsOf("ep", key), sign * resultsOf("res", key));
  }

  rearranged(chunkIndex: number, count: number, chunks: readonly (readonly KeyState[])[]): void {
    const sum = (kind: LookupInterface): number[] =>
      chunks.map((keys) => keys.reduce((total, key) => total + resultsOf(kind, key), 0));
    this.#endpoints.splice(chunkIndex, count, ...sum("ep"));
    this.#links.splice(chunkIndex, count, ...sum("res"));
  }
}

function resultsOf(kind: LookupInterface, { counted }: KeyState): number {
  return counted < 0 ? 0 : kind === "ep" ? 1 : counted;
}

function linkCount(links: readonly (string | number | null)[]): number {
  let count = 0;
  // A target, the number of its attributes, and two entries for each of these.
  for (let at = 0; at < links.length; at += 2 + 2 * (links[at + 1] as number)) count++;
  return count;
}
