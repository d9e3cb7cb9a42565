import { CHUNK_SIZE } from "../constants.js";

/** A sorted set in chunks: insertion, removal and search take O(log n + chunk), iteration is in order and lazy. */
export class SortedChunks<T> {
  readonly #isBefore: (a: T, b: T) => boolean;
  readonly #chunks: T[][] = [];
  #size = 0;
  /** Changes of structure so far, for those who iterate meanwhile. */
  #version = 0;

  /** `isBefore` is a total order; two items are equal when neither is before the other. */
  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#size;
  }

  /** The item equal to `item`. */
  find(item: T): T | undefined {
    const chunk = this.#chunks[this.#chunkFor(item)];
    if (chunk === undefined) return undefined;
    const found = chunk[this.#lowerBound(chunk, item)] as T;
    return this.#isBefore(item, found) ? undefined : found;
  }

  /** Add an item; false when an equal one is there. */
  add(item: T): boolean {
    const before = this.#size;
    this.findOrAdd(item);
    return this.#size > before;
  }

  /** The item equal to `item`, which is this one from now on when there was none. */
  findOrAdd(item: T): T {
    const chunkIndex = this.#chunkFor(item);
    const chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) {
      this.#append(item);
      return item;
    }
    const at = this.#lowerBound(chunk, item);
    const found = chunk[at] as T;
    if (!this.#isBefore(item, found)) return found;
    chunk.splice(at, 0, item);
    if (chunk.length > CHUNK_SIZE) this.#chunks.splice(chunkIndex + 1, 0, chunk.splice(chunk.length >>> 1));
    this.#size++;
    this.#version++;
    return item;
  }

  /** Remove the item equal to `item`; false when there is none. */
  delete(item: T): boolean {
    const chunkIndex = this.#chunkFor(item);
    const chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) return false;
    const at = this.#lowerBound(chunk, item);
    if (this.#isBefore(item, chunk[at] as T)) return false;
    chunk.splice(at, 1);
    this.#size--;
    this.#version++;
    if (chunk.length < CHUNK_SIZE / 4) this.#joinNeighbour(chunkIndex);
    return true;
  }

  /**
   * Items from the first that is not smaller than `start` (all when absent), in order. Changes between two items are fine:
   * each item that is there throughout comes exactly once.
   */
  *from(start?: T): Generator<T> {
    let chunkIndex = start === undefined ? 0 : this.#chunkFor(start);
    let at = start === undefined ? 0 : this.#lowerBound(this.#chunks[chunkIndex] ?? [], start);
    for (let chunk = this.#chunks[chunkIndex]; chunk !== undefined; chunk = this.#chunks[chunkIndex]) {
      if (at >= chunk.length) {
        chunkIndex++;
        at = 0;
        continue;
      }
      const item = chunk[at++] as T;
      const version = this.#version;
      yield item;
      if (version === this.#version) continue;
      chunkIndex = this.#chunkFor(item);
      const moved = this.#chunks[chunkIndex] ?? [];
      at = this.#lowerBound(moved, item);
      if (at < moved.length && !this.#isBefore(item, moved[at] as T)) at++;
    }
  }

  /** All items in order. */
  forEach(visit: (item: T) => void): void {
    for (const chunk of this.#chunks) for (const item of chunk) visit(item);
  }

  /** A largest item goes to the last chunk, or to a new one when that is full: filling in order packs densely. */
  #append(item: T): void {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined || last.length >= CHUNK_SIZE) this.#chunks.push([item]);
    else last.push(item);
    this.#size++;
    this.#version++;
  }

  /** Keep chunks from becoming many and small: an empty one goes, a small one moves in with a small neighbour. */
  #joinNeighbour(chunkIndex: number): void {
    const chunk = this.#chunks[chunkIndex] as T[];
    if (chunk.length === 0) {
      this.#chunks.splice(chunkIndex, 1);
      return;
    }
    const leftIndex = chunkIndex > 0 ? chunkIndex - 1 : chunkIndex;
    const left = this.#chunks[leftIndex] as T[];
    const right = this.#chunks[leftIndex + 1];
    if (right === undefined || left.length + right.length > CHUNK_SIZE / 2) return;
    this.#chunks.splice(leftIndex, 2, left.concat(right));
  }

  /** The first chunk whose last item is not smaller than `item`; no chunk is empty. */
  #chunkFor(item: T): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle] as T[];
      if (this.#isBefore(chunk[chunk.length - 1] as T, item)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #lowerBound(chunk: readonly T[], item: T): number {
    let low = 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isBefore(chunk[middle] as T, item)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
