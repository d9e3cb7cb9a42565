import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { forEachSlot, type Posting, postingSize, withoutSlot, withSlot } from "./postings.js";

describe("postings", () => {
  test("they hold what a set holds, in whatever form", () => {
    const operation = fc.tuple(fc.boolean(), fc.nat(80));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 400, size: "max" }), (operations) => {
        let posting: Posting | undefined;
        const set = new Set<number>();
        for (const [isAdded, slot] of operations) {
          if (isAdded) posting = posting === undefined ? slot : withSlot(posting, slot);
          else if (posting !== undefined) posting = withoutSlot(posting, slot);
          if (isAdded) set.add(slot);
          else set.delete(slot);
        }
        const slots: number[] = [];
        if (posting !== undefined) forEachSlot(posting, (slot) => slots.push(slot));
        expect(slots.sort((a, b) => a - b)).toEqual([...set].sort((a, b) => a - b));
        expect(posting === undefined ? 0 : postingSize(posting)).toBe(set.size);
      }),
    );
  });
});
