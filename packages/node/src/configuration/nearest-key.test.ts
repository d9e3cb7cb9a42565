import { expect, test } from "vitest";
import { nearestKey } from "./nearest-key.js";

const KEYS = ["name", "listen", "http", "lookup", "registration", "default-sector", "on-partial"];

test.each([
  { name: "letter missing", word: "listn", want: "listen" },
  { name: "letters swapped", word: "lsiten", want: "listen" },
  { name: "letter too many", word: "lookups", want: "lookup" },
  { name: "underscore for hyphen", word: "default_sector", want: "default-sector" },
  { name: "capitals", word: "OnPartial", want: "on-partial" },
  { name: "nothing near", word: "colour", want: undefined },
  { name: "short words are not near everything", word: "ab", want: undefined },
  { name: "very long word", word: "x".repeat(10_000), want: undefined },
])("$name", ({ word, want }) => {
  expect(nearestKey(word, KEYS)).toBe(want);
});
