import { expect, test } from "vitest";
import { formatBytes, formatDuration, formatLatency, formatNumber, visibleText } from "./format.ts";

test.each([
  [-3, "0 s"],
  [0.4, "0 s"],
  [59.6, "1 min"],
  [61, "1 min 1 s"],
  [3600, "1 h"],
  [3_599, "59 min 59 s"],
  [90_000, "1 d 1 h"],
  [4_294_967_295, "49710 d 6 h"],
])("%d s is %s", (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test("latencies, bytes and numbers have the unit that suits them", () => {
  expect([0.000_25, 0.0042, 0.12, 2.5].map(formatLatency)).toEqual(["250 µs", "4.2 ms", "120 ms", "2.5 s"]);
  expect([0, 999, 2356, 2_469_606_195].map(formatBytes)).toEqual(["0 B", "999 B", "2.4 kB", "2.5 GB"]);
  expect([0, 0.25, 12.4, 100_000].map(formatNumber)).toEqual(["0", "0.3", "12", "100,000"]);
});

test("control characters and marks of direction of a name can be seen", () => {
  expect(visibleText("lamp\u0000\u202egnp.exe\ufeff")).toBe("lamp\\u0000\\u202egnp.exe\\ufeff");
  expect(visibleText("Lämpchen 灯")).toBe("Lämpchen 灯");
});
