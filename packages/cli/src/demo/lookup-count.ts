import type { Node } from "@tributary/node";

/** Lookups that a host of a story was asked since. */
export interface LookupCount {
  count(): number;
  /** The same, in words. */
  times(): string;
  /** Begin again at nothing. */
  reset(): void;
}

/** Count what `node` is asked from now on. */
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
