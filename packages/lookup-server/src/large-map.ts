/** Parts of a map. Each grows by itself, so that none has many entries to move when it does. */
const PARTS = 64;

/**
 * A map by text that may become large within one lookup. A plain `Map` of 100,000 entries moves all of them at once whenever it
 * grows, which takes longer than one turn of the event loop may.
 */
export class LargeMap<V> {
  readonly #parts: (Map<string, V> | undefined)[] = new Array(PARTS).fill(undefined);

  get(key: string): V | undefined {
    return this.#parts[partOf(key)]?.get(key);
  }

  has(key: string): boolean {
    return this.#parts[partOf(key)]?.has(key) ?? false;
  }

  set(key: string, value: V): void {
    const part = partOf(key);
    let map = this.#parts[part];
    if (map === undefined) {
      map = new Map();
      this.#parts[part] = map;
    }
    map.set(key, value);
  }

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
