import fc from "fast-check";
import { expect, test } from "vitest";
import { AttributeIndex, type TokenList } from "./attribute-index.js";
import { forEachSlot, type Posting } from "./postings.js";

const NAMES = ["rt", "if", "d"] as const;
const VALUES = ["a", "ab", "b", ""] as const;

/** Lists in which a token may come again, near by or far away. */
const tokens = fc
  .array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...VALUES)), { maxLength: 60, size: "max" })
  .map((pairs): TokenList => pairs.flat());

function slotsOf(postings: Iterable<Posting>): number[] {
  const slots = new Set<number>();
  for (const posting of postings) forEachSlot(posting, (slot) => slots.add(slot));
  return [...slots].sort((a, b) => a - b);
}

test("a slot is found by exactly the tokens that it has, however often they were said", () => {
  const change = fc.tuple(fc.nat(5), fc.option(tokens));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const index = new AttributeIndex();
      const held = new Map<number, TokenList>();
      for (const [slot, after] of changes) {
        index.change(slot, held.get(slot) ?? null, after);
        if (after === null) held.delete(slot);
        else held.set(slot, after);
      }
      const having = (isFound: (name: string, value: string) => boolean): number[] =>
        [...held]
          .filter(([, list]) => list.some((name, at) => at % 2 === 0 && isFound(name, list[at + 1] as string)))
          .map(([slot]) => slot)
          .sort((a, b) => a - b);
      const distinct = new Set<string>();
      for (const name of NAMES) {
        for (const value of VALUES) {
          const exact = having((one, other) => one === name && other === value);
          if (exact.length > 0) distinct.add(`${name}=${value}`);
          const posting = index.exact(name, value);
          expect(slotsOf(posting === undefined ? [] : [posting])).toEqual(exact);
          const prefixed = having((one, other) => one === name && other.startsWith(value));
          expect(slotsOf(index.withPrefix(name, value))).toEqual(prefixed);
        }
      }
      expect(index.size).toBe(distinct.size);
    }),
    { numRuns: 300 },
  );
});
