import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SharedLimit } from "./shared-limit.js";

describe("a limit that several accounts fill", () => {
  test("without guaranteed parts, the first to come takes what there is", () => {
    const limit = new SharedLimit(10);
    limit.add("a", 7);
    expect([limit.room("a"), limit.room("b")]).toEqual([3, 3]);
    expect(limit.fits("b", 3)).toBe(true);
    expect(limit.fits("b", 4)).toBe(false);
  });

  test("a guaranteed part stays free for its account, and the rest is for all", () => {
    const limit = new SharedLimit(10);
    limit.guarantee(
      new Map([
        ["a", 3],
        ["b", 3],
      ]),
    );
    expect([limit.room("a"), limit.room("other")]).toEqual([7, 4]);
    limit.add("a", 7);
    expect([limit.room("a"), limit.room("b"), limit.room("other")]).toEqual([0, 3, 0]);
    limit.add("a", -2);
    expect([limit.room("a"), limit.room("b")]).toEqual([2, 5]);
  });

  test("nobody needs room to shrink or to stay, however full it is", () => {
    const limit = new SharedLimit(10);
    limit.add("a", 20);
    expect([limit.fits("a", 0), limit.fits("a", -1), limit.fits("a", 1)]).toEqual([true, true, false]);
  });

  test("parts may be declared again while it is in use, and never add up to more than there is", () => {
    const limit = new SharedLimit(10);
    limit.add("a", 9);
    limit.guarantee(new Map([["b", 5]]));
    expect([limit.room("a"), limit.room("b")]).toEqual([0, 1]);
    limit.add("a", -6);
    expect([limit.room("a"), limit.room("b")]).toEqual([2, 7]);
    limit.guarantee(new Map());
    expect(limit.use()).toEqual({ total: 10, used: 3, accounts: new Map([["a", { used: 3, guaranteed: 0 }]]) });
  });

  const step = fc.record({ name: fc.constantFrom("a", "b", "c"), amount: fc.integer({ min: -30, max: 60 }) });

  test("whatever the others do, each account gets its part", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const limit = new SharedLimit(100);
        const parts = new Map([
          ["a", 20],
          ["b", 30],
        ]);
        limit.guarantee(parts);
        for (const { name, amount } of steps) {
          const change = Math.max(amount, -limit.used(name));
          if (limit.fits(name, change)) limit.add(name, change);
          expect(limit.use().used).toBeLessThanOrEqual(100);
          for (const [account, part] of parts)
            expect(limit.used(account) + limit.room(account)).toBeGreaterThanOrEqual(part);
        }
      }),
    );
  });
});
