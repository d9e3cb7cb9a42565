/** Characters that would move the cursor. */
const CONTROL = /\p{Cc}/gu;

/**
 * Formats a table with aligned columns, headings first. Columns in `numeric` are right-aligned. Control characters are replaced by
 * `?`. Pure.
 */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  numeric: ReadonlySet<number> = new Set(),
): string[] {
  const cells = [headings, ...rows].map((row) => row.map((cell) => cell.replace(CONTROL, "?")));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => width(row[column] ?? ""))));
  return cells.map((row) =>
    row
      .map((cell, column) => {
        const fill = " ".repeat(Math.max(0, (widths[column] ?? 0) - width(cell)));
        return numeric.has(column) ? fill + cell : cell + fill;
      })
      .join("  ")
      .trimEnd(),
  );
}

/** Width in characters, not UTF-16 units. */
function width(text: string): number {
  return [...text].length;
}
