import type { Node } from "@tributary/node";

/** Number of lookups at a host since the count began. */
export interface LookupCount {
  count(): number;
  /** The number in words. */
  times(): string;
  /** Restarts the count at 0. */
  reset(): void;
}

/** Counts the lookups at `node` from now on. */
export function countLookups(node: Node): LookupCount {
  let count = 0;
  node.onLookup(() => count++);
  return {
    count: () => count,
    times: () => (count === 1 ? "once" : `${count} times`),
    reset: () => {
      count = 0;
    },
  };
}
