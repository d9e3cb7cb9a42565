import { afterEach, expect, test, vi } from "vitest";
import { systemClock } from "./system-environment.js";

afterEach(() => {
  vi.useRealTimers();
});

test("delays beyond 2^31 ms are kept, not cut short", () => {
  vi.useFakeTimers();
  let fired = 0;
  systemClock().setTimer(5_000_000_000, () => fired++);
  vi.advanceTimersByTime(4_999_999_000);
  expect(fired).toBe(0);
  vi.advanceTimersByTime(1001);
  expect(fired).toBe(1);
});

test("a cancelled timer does not fire, however long", () => {
  vi.useFakeTimers();
  let fired = 0;
  const timer = systemClock().setTimer(5_000_000_000, () => fired++);
  vi.advanceTimersByTime(3_000_000_000);
  timer.cancel();
  timer.cancel();
  vi.advanceTimersByTime(3_000_000_000);
  expect(fired).toBe(0);
});
