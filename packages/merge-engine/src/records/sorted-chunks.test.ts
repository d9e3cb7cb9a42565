import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SortedChunks } from "./sorted-chunks.js";

describe("sorted chunks", () => {
  test("they hold what a set holds, in order, through many insertions and removals", () => {
    const operation = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 3000 }));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 4000, size: "max" }), fc.nat(3000), (operations, start) => {
        const chunks = new SortedChunks<number>((a, b) => a < b);
        const set = new Set<number>();
        for (let value = 0; value < 3000; value += 2) {
          set.add(value);
          chunks.add(value);
        }
        for (const [isAdded, value] of operations) {
          expect(isAdded ? chunks.add(value) : chunks.delete(value)).toBe(set.has(value) !== isAdded);
          if (isAdded) set.add(value);
          else set.delete(value);
        }
        const sorted = [...set].sort((a, b) => a - b);
        expect(chunks.size).toBe(sorted.length);
        expect([...chunks.from()]).toEqual(sorted);
        expect([...chunks.from(start)]).toEqual(sorted.filter((value) => value >= start));
        expect(chunks.find(start)).toBe(set.has(start) ? start : undefined);
      }),
      { numRuns: 20 },
    );
  });

  test("empty ones have nothing", () => {
    const chunks = new SortedChunks<number>((a, b) => a < b);
    expect([chunks.size, chunks.find(1), chunks.delete(1), [...chunks.from(1)]]).toEqual([0, undefined, false, []]);
  });
});
