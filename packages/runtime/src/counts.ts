/** Adds `by` to the count of `key`. */
export function addCount<K>(counts: Map<K, number>, key: K, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

/** Adds each count of `others` to the count of its key. */
export function addCounts<K>(counts: Map<K, number>, others: ReadonlyMap<K, number>): void {
  for (const [key, by] of others) addCount(counts, key, by);
}
