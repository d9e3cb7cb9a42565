import fc from "fast-check";
import { expect, test } from "vitest";
import { LargeMap } from "./large-map.js";

const step = fc.record({ key: fc.string({ maxLength: 3 }), value: fc.nat(), isRemoval: fc.boolean() });

test("holds what a Map holds", () => {
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const map = new LargeMap<number>();
      const model = new Map<string, number>();
      for (const { key, value, isRemoval } of steps) {
        if (isRemoval) expect(map.delete(key)).toBe(model.delete(key));
        else {
          map.set(key, value);
          model.set(key, value);
        }
        expect(map.size).toBe(model.size);
        expect(map.has(key)).toBe(model.has(key));
        expect(map.get(key)).toBe(model.get(key));
      }
      expect(new Map(map.entries())).toEqual(model);
      expect([...map.keys()].sort()).toEqual([...model.keys()].sort());
      expect([...map.values()].sort()).toEqual([...model.values()].sort());
    }),
  );
});

test("keys that differ at their ends are spread over its parts", () => {
  const map = new LargeMap<number>();
  for (let at = 0; at < 64_000; at++) map.set(`/reg/${at.toString(36)}`, at);
  let longest = 0;
  let run = 0;
  let last = -1;
  // In the order of the parts, each in the order of insertion.
  for (const value of map.values()) {
    run = value > last ? run + 1 : 1;
    last = value;
    longest = Math.max(longest, run);
  }
  expect(longest).toBeLessThan(4_000);
});
