import { expect, test } from "vitest";
import { countLines, diffLines } from "./multiset-diff.js";

test.each([
  { name: "nothing changed", before: ["a", "b"], after: ["b", "a"], added: [], removed: [] },
  { name: "one came, one went", before: ["a", "b"], after: ["b", "c"], added: ["c"], removed: ["a"] },
  { name: "repeated lines count", before: ["a", "a"], after: ["a", "a", "a"], added: ["a"], removed: [] },
  { name: "to nothing", before: ["a", "a"], after: [], added: [], removed: ["a", "a"] },
])("$name", ({ before, after, added, removed }) => {
  expect(diffLines(countLines(before), countLines(after))).toEqual({ added, removed });
});
