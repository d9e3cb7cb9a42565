import { expect, test } from "vitest";
import { createVirtualWorld } from "./testing/index.js";
import { inTurns, Turns, turnsOf } from "./turns.js";

function* steps(log: string[], name: string, count: number): Generator<void, string> {
  for (let step = 0; step < count; step++) {
    log.push(`${name}${step}`);
    yield;
  }
  return name;
}

test("several pieces of work take turns, one step of one of them in each", async () => {
  const { clock } = createVirtualWorld();
  const turns = new Turns(clock, 0);
  const log: string[] = [];
  const done = Promise.all([inTurns(turns, steps(log, "a", 3)), inTurns(turns, steps(log, "b", 2))]);
  await clock.advance(10);
  expect(await done).toEqual(["a", "b"]);
  expect(log).toEqual(["a0", "b0", "a1", "b1", "a2"]);
});

test("work goes on within a turn until its time is over", async () => {
  let nowMs = 0;
  const timers: (() => void)[] = [];
  const clock = {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    setTimer: (_delayMs: number, callback: () => void) => {
      timers.push(callback);
      return { cancel() {} };
    },
  };
  const turns = new Turns(clock, 5);
  expect(turns.pause()).toBeUndefined();
  nowMs = 4.9;
  expect(turns.pause()).toBeUndefined();
  nowMs = 5;
  const pause = turns.pause();
  expect(pause).toBeInstanceOf(Promise);
  expect(turns.pause(), "whoever comes later waits behind").toBeInstanceOf(Promise);
  expect(timers).toHaveLength(1);
  timers.shift()?.();
  await pause;
  expect(timers).toHaveLength(1);
});

test("work that is given up takes no further step", async () => {
  const { clock } = createVirtualWorld();
  const turns = new Turns(clock, 0);
  const log: string[] = [];
  const abort = new AbortController();
  const done = inTurns(turns, steps(log, "a", 100), abort.signal);
  abort.abort();
  await clock.advance(10);
  expect(await done).toBeUndefined();
  expect(log.length).toBeLessThan(5);
});

test("everybody with the same clock shares its turns", () => {
  const { clock } = createVirtualWorld();
  expect(turnsOf(clock)).toBe(turnsOf(clock));
  expect(turnsOf(createVirtualWorld().clock)).not.toBe(turnsOf(clock));
});
