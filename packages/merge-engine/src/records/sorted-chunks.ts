import { CHUNK_SIZE } from "../constants.js";

/** Follows how a `SortedChunks` divides its items, to keep something for each chunk. */
export interface ChunkObserver<T> {
  /** An item that was added or removed belonged to the chunk at this index. */
  changed(chunkIndex: number, item: T, isAdded: boolean): void;
  /** `count` chunks from this index on were replaced by `chunks`. After `changed`. */
  rearranged(chunkIndex: number, count: number, chunks: readonly (readonly T[])[]): void;
}

/** A sorted set in chunks: insertion, removal and search take O(log n + chunk), iteration is in order and lazy. */
export class SortedChunks<T> {
  readonly #isBefore: (a: T, b: T) => boolean;
  readonly #observer: ChunkObserver<T> | undefined;
  readonly #chunks: T[][] = [];
  #size = 0;
  /** Changes of structure so far, for those who iterate meanwhile. */
  #version = 0;

  /** `isBefore` is a total order; two items are equal when neither is before the other. */
  constructor(isBefore: (a: T, b: T) => boolean, observer?: ChunkObserver<T>) {
    this.#isBefore = isBefore;
    this.#observer = observer;
  }

  get size(): number {
    return this.#size;
  }

  /** Index of the first chunk whose last item is not smaller than `item`; the number of chunks if all are. */
  chunkFor(item: T): number {
    return this.#chunkFor(item);
  }

  /** The items of one chunk, in order. Valid until the next change. */
  chunkAt(chunkIndex: number): readonly T[] {
    return this.#chunks[chunkIndex] ?? [];
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
    this.#observer?.changed(chunkIndex, item, true);
    if (chunk.length > CHUNK_SIZE) this.#split(chunkIndex, chunk);
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
    this.#observer?.changed(chunkIndex, item, false);
    this.#size--;
    this.#version++;
    if (chunk.length < CHUNK_SIZE / 4) this.#joinNeighbour(chunkIndex);
    return true;
  }

  /**
   * Items from the first that is not smaller than `start` (all when absent), in order. Changes between two items are fine:
   * each item that is there throughout comes exactly once. `isWanted`: only these.
   */
  *from(start?: T, isWanted?: (item: T) => boolean): Generator<T> {
    let chunkIndex = start === undefined ? 0 : this.#chunkFor(start);
    let at = start === undefined ? 0 : this.#lowerBound(this.#chunks[chunkIndex] ?? [], start);
    for (let chunk = this.#chunks[chunkIndex]; chunk !== undefined; chunk = this.#chunks[chunkIndex]) {
      if (at >= chunk.length) {
        chunkIndex++;
        at = 0;
        continue;
      }
      const item = chunk[at++] as T;
      if (isWanted !== undefined && !isWanted(item)) continue;
      const version = this.#version;
      yield item;
      if (version === this.#version) continue;
      chunkIndex = this.#chunkFor(item);
      const moved = this.#chunks[chunkIndex] ?? [];
      at = this.#lowerBound(moved, item);
      if (at < moved.length && !this.#isBefore(item, moved[at] as T)) at++;
    }
  }

  /**
   * All items in order, a chunk at a time, each valid until the next change. After a change some items may come again; those that
   * are there throughout come.
   */
  *chunks(): Generator<readonly T[]> {
    for (let at = 0; at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] as T[];
      const last = chunk[chunk.length - 1] as T;
      const version = this.#version;
      yield chunk;
      if (version === this.#version) continue;
      at = this.#chunkFor(last);
      // A chunk that goes on after the last item has some that did not come yet.
      const present = this.#chunks[at];
      if (present !== undefined && this.#isBefore(last, present[present.length - 1] as T)) at--;
    }
  }

  /** All items in order. */
  forEach(visit: (item: T) => void): void {
    for (const chunk of this.#chunks) for (const item of chunk) visit(item);
  }

  /** A largest item goes to the last chunk, or to a new one when that is full: filling in order packs densely. */
  #append(item: T): void {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined || last.length >= CHUNK_SIZE) {
      this.#chunks.push([item]);
      this.#observer?.rearranged(this.#chunks.length - 1, 0, [[item]]);
    } else {
      last.push(item);
      this.#observer?.changed(this.#chunks.length - 1, item, true);
    }
    this.#size++;
    this.#version++;
  }

  #split(chunkIndex: number, chunk: T[]): void {
    const right = chunk.splice(chunk.length >>> 1);
    this.#chunks.splice(chunkIndex + 1, 0, right);
    this.#observer?.rearranged(chunkIndex, 1, [chunk, right]);
  }

  /** Keep chunks from becoming many and small: an empty one goes, a small one moves in with a small neighbour. */
  #joinNeighbour(chunkIndex: number): void {
    const chunk = this.#chunks[chunkIndex] as T[];
    if (chunk.length === 0) {
      this.#chunks.splice(chunkIndex, 1);
      this.#observer?.rearranged(chunkIndex, 1, []);
      return;
    }
    const leftIndex = chunkIndex > 0 ? chunkIndex - 1 : chunkIndex;
    const left = this.#chunks[leftIndex] as T[];
    const right = this.#chunks[leftIndex + 1];
    if (right === undefined || left.length + right.length > CHUNK_SIZE / 2) return;
    const joined = left.concat(right);
    this.#chunks.splice(leftIndex, 2, joined);
    this.#observer?.rearranged(leftIndex, 2, [joined]);
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
