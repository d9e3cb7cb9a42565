import { expect, test } from "vitest";
import { addCount, addCounts } from "./counts.js";

test("counts by key, and of several maps", () => {
  const counts = new Map<string, number>();
  addCount(counts, "a");
  addCount(counts, "a", 2);
  addCounts(
    counts,
    new Map([
      ["a", 1],
      ["b", 0],
    ]),
  );
  expect([...counts]).toEqual([
    ["a", 4],
    ["b", 0],
  ]);
});
