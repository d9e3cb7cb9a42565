/** Counts the occurrences of each line, in the order of first occurrence. Pure. */
export function countLines(lines: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}

/** Returns the lines to add to and remove from `before` to get `after`, whatever their order. Pure. */
export function diffLines(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): { readonly added: string[]; readonly removed: string[] } {
  return { added: surplus(after, before), removed: surplus(before, after) };
}

function surplus(of: ReadonlyMap<string, number>, over: ReadonlyMap<string, number>): string[] {
  return [...of].flatMap(([line, count]) => Array<string>(Math.max(0, count - (over.get(line) ?? 0))).fill(line));
}
