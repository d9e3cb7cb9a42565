import { CHUNK_SIZE } from "./constants.js";

/** A sorted set in chunks: insertion, removal and search take O(log n + chunk), iteration is in order and lazy. */
export class SortedChunks<T> {
  readonly #compare: (a: T, b: T) => number;
  #chunks: T[][] = [];
  #size = 0;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#size;
  }

  /** Add an item; false when an equal one is there. */
  add(item: T): boolean {
    const chunkIndex = this.#chunkFor(item);
    const chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) {
      this.#append(item);
      return true;
    }
    const at = this.#lowerBound(chunk, item);
    if (at < chunk.length && this.#compare(chunk[at] as T, item) === 0) return false;
    chunk.splice(at, 0, item);
    this.#size++;
    if (chunk.length > CHUNK_SIZE) this.#chunks.splice(chunkIndex + 1, 0, chunk.splice(chunk.length >>> 1));
    return true;
  }

  /** Remove the item equal to `item`; false when there is none. */
  delete(item: T): boolean {
    const chunkIndex = this.#chunkFor(item);
    const chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) return false;
    const at = this.#lowerBound(chunk, item);
    if (at === chunk.length || this.#compare(chunk[at] as T, item) !== 0) return false;
    chunk.splice(at, 1);
    this.#size--;
    if (chunk.length === 0) this.#chunks.splice(chunkIndex, 1);
    return true;
  }

  /** Items from the first that is not smaller than `from` (all when absent), in order. */
  *from(from?: T): Generator<T> {
    let chunkIndex = from === undefined ? 0 : this.#chunkFor(from);
    let at = from === undefined ? 0 : this.#lowerBound(this.#chunks[chunkIndex] ?? [], from);
    for (; chunkIndex < this.#chunks.length; chunkIndex++, at = 0) {
      const chunk = this.#chunks[chunkIndex] as T[];
      for (; at < chunk.length; at++) yield chunk[at] as T;
    }
  }

  /** A largest item goes to the last chunk, or to a new one when that is full: filling in order packs densely. */
  #append(item: T): void {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined || last.length >= CHUNK_SIZE) this.#chunks.push([item]);
    else last.push(item);
    this.#size++;
  }

  /** The first chunk whose last item is not smaller than `item`. */
  #chunkFor(item: T): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle] as T[];
      if (this.#compare(chunk[chunk.length - 1] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #lowerBound(chunk: readonly T[], item: T): number {
    let low = 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(chunk[middle] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
