import { createVirtualClock } from "@tributary/runtime/testing";
import { expect, test } from "vitest";

test("timers fire in order of time, then of setting, at their own time", async () => {
  const clock = createVirtualClock();
  const fired: [string, number][] = [];
  const set = (name: string, delayMs: number) => clock.setTimer(delayMs, () => fired.push([name, clock.nowMs()]));
  set("c", 20);
  set("a", 10);
  set("b", 10);
  set("late", 21);
  await clock.advance(20);
  expect(fired).toEqual([
    ["a", 10],
    ["b", 10],
    ["c", 20],
  ]);
  expect([clock.nowMs(), clock.pending]).toEqual([20, 1]);
});

test("what a timer causes happens before the next one, promises included", async () => {
  const clock = createVirtualClock();
  const order: string[] = [];
  clock.setTimer(1, async () => {
    order.push("first");
    await Promise.resolve();
    await Promise.resolve();
    order.push("first's promise");
    clock.setTimer(0, () => order.push("first's timer"));
  });
  clock.setTimer(2, () => order.push("second"));
  await clock.advance(2);
  expect(order).toEqual(["first", "first's promise", "first's timer", "second"]);
});

test("a cancelled timer does not fire; cancelling twice, or afterwards, does nothing", async () => {
  const clock = createVirtualClock();
  let fired = 0;
  const one = clock.setTimer(5, () => fired++);
  const other = clock.setTimer(5, () => fired++);
  one.cancel();
  one.cancel();
  expect(clock.pending).toBe(1);
  await clock.advance(10);
  other.cancel();
  expect([fired, clock.pending]).toEqual([1, 0]);
});

test("many cancelled timers take no room and disturb nobody", async () => {
  const clock = createVirtualClock();
  const fired: number[] = [];
  const timers = Array.from({ length: 1000 }, (_unused, index) =>
    clock.setTimer((index * 7919) % 1000, () => fired.push((index * 7919) % 1000)),
  );
  for (const [index, timer] of timers.entries()) if (index % 10 !== 0) timer.cancel();
  expect(clock.pending).toBe(100);
  await clock.advance(1000);
  expect(fired).toHaveLength(100);
  expect(fired).toEqual([...fired].sort((one, other) => one - other));
});

test("delays of years are kept exactly", async () => {
  const clock = createVirtualClock();
  let firedAtMs = 0;
  clock.setTimer(4_294_967_295_000, () => {
    firedAtMs = clock.nowMs();
  });
  await clock.advance(4_294_967_294_999);
  expect(firedAtMs).toBe(0);
  await clock.advance(1);
  expect(firedAtMs).toBe(4_294_967_295_000);
});

test("runUntil stops as soon as the condition holds, at the limit, or when nothing is left", async () => {
  const clock = createVirtualClock();
  let count = 0;
  const tick = (): void => {
    count++;
    if (count < 10) clock.setTimer(100, tick);
  };
  clock.setTimer(100, tick);
  expect(await clock.runUntil(() => count === 3)).toBe(true);
  expect(clock.nowMs()).toBe(300);
  expect(await clock.runUntil(() => count === 10, 500)).toBe(false);
  expect(clock.nowMs()).toBe(800);
  expect(await clock.runUntil(() => count === 11)).toBe(false);
  expect(count).toBe(10);
});

test("wall time may jump, the other does not", () => {
  const clock = createVirtualClock({ epochMs: 1000 });
  clock.jumpWall(-500);
  expect([clock.wallMs(), clock.nowMs()]).toEqual([500, 0]);
});
