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
        expect([...chunks.from(start, (value) => value % 3 === 0)]).toEqual(
          sorted.filter((value) => value >= start && value % 3 === 0),
        );
        expect([...chunks.chunks()].flat()).toEqual(sorted);
        expect(chunks.find(start)).toBe(set.has(start) ? start : undefined);
      }),
      { numRuns: 20 },
    );
  });

  test("what is there throughout comes, a chunk at a time, while others come and go", () => {
    const operation = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 4000 }));
    fc.assert(
      fc.property(fc.array(fc.array(operation, { maxLength: 900, size: "max" }), { maxLength: 12 }), (turns) => {
        const chunks = new SortedChunks<number>((a, b) => a < b);
        // Only odd ones change.
        for (let value = 0; value < 4000; value++) if (value % 4 !== 3) chunks.add(value);
        const seen = new Set<number>();
        let turn = 0;
        for (const some of chunks.chunks()) {
          for (const value of some) seen.add(value);
          for (const [isAdded, value] of turns[turn++] ?? []) {
            if (isAdded) chunks.add(value | 1);
            else chunks.delete(value | 1);
          }
        }
        for (let value = 0; value < 4000; value += 2) expect(seen.has(value)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test("empty ones have nothing", () => {
    const chunks = new SortedChunks<number>((a, b) => a < b);
    expect([chunks.size, chunks.find(1), chunks.delete(1), [...chunks.from(1)]]).toEqual([0, undefined, false, []]);
  });
});
