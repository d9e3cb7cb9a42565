/** Largest edit distance of a suggestion. */
const MAX_EDITS = 2;

/**
 * Returns the name in `known` that `word` is probably a misspelling of: the one with the fewest edits (one character inserted, deleted
 * or replaced, or two neighbours swapped), at most two and fewer than half of the name. Case and `_` for `-` are ignored. Pure.
 */
export function nearestKey(word: string, known: readonly string[]): string | undefined {
  let best: { name: string; edits: number } | undefined;
  for (const name of known) {
    const edits = editDistance(normalise(word), normalise(name));
    if (edits <= MAX_EDITS && edits * 2 < Math.max(name.length, 2) && (best === undefined || edits < best.edits)) {
      best = { name, edits };
    }
  }
  return best?.name;
}

function normalise(word: string): string {
  // Bounds the comparison; no key is nearly as long.
  return word.slice(0, 40).toLowerCase().replaceAll("_", "-");
}

/** Optimal string alignment distance. */
function editDistance(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[row - 1] === other[column - 1];
      let edits = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (isSame ? 0 : 1));
      const isSwap = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (isSwap) edits = Math.min(edits, at(beforeLast, column - 2) + 1);
      current.push(edits);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, other.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
