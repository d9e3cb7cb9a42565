import { expect, test } from "vitest";
import { Idleness } from "./idleness.js";
import { createVirtualClock } from "./testing/virtual-clock.js";

function waiting(limitMs: number, work: number) {
  const clock = createVirtualClock();
  const idleness = new Idleness(clock);
  for (let index = 0; index < work; index++) idleness.begin();
  const endedAtMs: number[] = [];
  const startMs = clock.nowMs();
  void idleness.wait(limitMs).then(() => endedAtMs.push(clock.nowMs() - startMs));
  return { clock, idleness, endedAtMs };
}

test("resolves at once without work", async () => {
  const { clock, endedAtMs } = waiting(1000, 0);
  await clock.advance(0);
  expect(endedAtMs).toEqual([0]);
});

test("resolves when the last work ends, and not before", async () => {
  const { clock, idleness, endedAtMs } = waiting(1000, 2);
  await clock.advance(100);
  idleness.end();
  await clock.advance(100);
  expect(endedAtMs).toEqual([]);
  idleness.end();
  await clock.advance(1);
  expect(endedAtMs).toEqual([200]);
});

test("work that begins where other work ends is waited for", async () => {
  const { clock, idleness, endedAtMs } = waiting(1000, 1);
  idleness.end();
  idleness.begin();
  await clock.advance(500);
  expect(endedAtMs).toEqual([]);
  idleness.end();
  await clock.advance(1);
  expect(endedAtMs).toEqual([500]);
});

test("resolves after the limit", async () => {
  const { clock, endedAtMs } = waiting(1000, 1);
  await clock.advance(999);
  expect(endedAtMs).toEqual([]);
  await clock.advance(1);
  expect(endedAtMs).toEqual([1000]);
});
