import { expect, test } from "vitest";
import { isFresher } from "./notification-order.js";

test.each([
  { name: "the next number", last: [5, 0], next: [6, 10], want: true },
  { name: "the same number", last: [5, 0], next: [5, 10], want: false },
  { name: "an older number", last: [6, 0], next: [5, 10], want: false },
  { name: "wrapped past 2^24", last: [16_777_215, 0], next: [0, 10], want: true },
  { name: "before the wrap", last: [0, 0], next: [16_777_215, 10], want: false },
  { name: "half the space ahead, less one", last: [0, 0], next: [8_388_607, 10], want: true },
  { name: "half the space ahead", last: [0, 0], next: [8_388_608, 10], want: false },
  { name: "older, exactly 128 s later", last: [9, 0], next: [8, 128_000], want: false },
  { name: "older, 1 ms past 128 s", last: [9, 0], next: [8, 128_001], want: true },
] as const)("OBS-06 RFC 7641 section 3.4: $name", ({ last, next, want }) => {
  expect(isFresher({ sequence: last[0], atMs: last[1] }, { sequence: next[0], atMs: next[1] })).toBe(want);
});
