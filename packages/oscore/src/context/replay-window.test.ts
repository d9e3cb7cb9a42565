import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ReplayWindow } from "./replay-window.js";

describe("replay window (RFC 8613 section 7.4)", () => {
  test("takes each number once, in whatever order within its size", () => {
    const window = new ReplayWindow(4);
    for (const number of [2, 0, 3, 1]) {
      expect(window.isNew(number)).toBe(true);
      window.accept(number);
      expect(window.isNew(number)).toBe(false);
    }
  });

  test("forgets what is too old to tell", () => {
    const window = new ReplayWindow(4);
    window.accept(10);
    expect(window.isNew(6)).toBe(false);
    expect(window.isNew(7)).toBe(true);
  });

  test("agrees with a list of all numbers, also when it is stored and read in between", () => {
    const numbers = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 80 });
    fc.assert(
      fc.property(numbers, fc.integer({ min: 1, max: 40 }), fc.boolean(), (sequence, size, isStored) => {
        let window = new ReplayWindow(size);
        const seen = new Set<number>();
        let highest = -1;
        for (const number of sequence) {
          const wanted = !seen.has(number) && number > highest - size;
          expect(window.isNew(number)).toBe(wanted);
          if (!wanted) continue;
          window.accept(number);
          seen.add(number);
          highest = Math.max(highest, number);
          if (isStored) window = new ReplayWindow(size, window.store());
        }
      }),
    );
  });

  test("is not valid after a restart until a number is known to be fresh", () => {
    const window = new ReplayWindow(4, "unknown");
    expect(window.isNew(7)).toBe(false);
    expect(window.store()).toBe("unknown");
    window.restart(7);
    expect(window.isNew(7)).toBe(false);
    expect(window.isNew(8)).toBe(true);
  });

  test("a jump costs no more than the window is large", () => {
    const window = new ReplayWindow(32);
    for (let number = 0; number < 2 ** 40; number += 2 ** 33) window.accept(number);
    expect(window.store()).toMatchObject({ bitfield: expect.any(BigInt) });
  });
});
