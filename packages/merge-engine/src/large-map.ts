/** Parts of a map. Each grows by itself, so that none has many entries to move when it does. */
const PARTS = 64;

/**
 * A map by text that may become large. A plain `Map` of 100,000 entries moves all of them at once whenever it grows, which takes longer
 * than one turn of the event loop may. Iterates in no particular order.
 */
export class LargeMap<V> {
  readonly #parts: (Map<string, V> | undefined)[] = new Array(PARTS).fill(undefined);
  #size = 0;

  /** Number of entries. */
  get size(): number {
    return this.#size;
  }

  /** Returns the value of a key; undefined if there is none. */
  get(key: string): V | undefined {
    return this.#parts[partOf(key)]?.get(key);
  }

  /** Whether there is a value of a key. */
  has(key: string): boolean {
    return this.#parts[partOf(key)]?.has(key) ?? false;
  }

  /** Sets the value of a key. */
  set(key: string, value: V): void {
    const at = partOf(key);
    const part = this.#parts[at];
    if (part === undefined) {
      this.#parts[at] = new Map([[key, value]]);
      this.#size++;
      return;
    }
    const before = part.size;
    part.set(key, value);
    this.#size += part.size - before;
  }

  /** Removes a key. Returns whether it was there. */
  delete(key: string): boolean {
    const wasThere = this.#parts[partOf(key)]?.delete(key) ?? false;
    if (wasThere) this.#size--;
    return wasThere;
  }

  /** Iterates over the keys. */
  *keys(): Generator<string> {
    for (const part of this.#parts) if (part !== undefined) yield* part.keys();
  }

  /** Iterates over the values. */
  *values(): Generator<V> {
    for (const part of this.#parts) if (part !== undefined) yield* part.values();
  }

  /** Iterates over keys and values. */
  *entries(): Generator<[key: string, value: V]> {
    for (const part of this.#parts) if (part !== undefined) yield* part;
  }
}

/** Texts of one kind differ most at their ends. */
function partOf(key: string): number {
  let hash = key.length;
  for (let at = Math.max(0, key.length - 6); at < key.length; at++) hash = Math.imul(hash, 31) + key.charCodeAt(at);
  return (hash ^ (hash >>> 7)) & (PARTS - 1);
}
