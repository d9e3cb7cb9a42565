import { expect, test } from "vitest";
import { TurnQueue } from "./turn-queue.js";

/** A clock that only the work itself moves, and timers that are fired by hand. */
function workshop() {
  let nowMs = 0;
  const timers: (() => void)[] = [];
  const clock = {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    setTimer(_: number, call: () => void) {
      timers.push(call);
      return { cancel() {} };
    },
  };
  const queue = new TurnQueue(clock);
  const done: string[] = [];
  const add = (owner: string, ms: number, pieces = 1) => {
    let left = pieces;
    queue.add(owner, () => {
      nowMs += ms;
      done.push(owner);
      return --left > 0;
    });
  };
  /** Everything that was put off for another turn; how long that one took. */
  const nextTurn = async () => {
    const beganMs = nowMs;
    for (const call of timers.splice(0)) call();
    await Promise.resolve();
    return nowMs - beganMs;
  };
  return { queue, add, done, nextTurn, timers, idle: (ms: number) => (nowMs += ms), nowMs: () => nowMs };
}

test("what is little is done before the turn ends", async () => {
  const { queue, add, done, timers } = workshop();
  add("a", 1);
  add("b", 1);
  expect(done).toEqual([]);
  await Promise.resolve();
  expect(done).toEqual(["a", "b"]);
  expect([timers.length, queue.size]).toEqual([0, 0]);
});

test("no turn takes much longer than its budget, whatever there is to do", async () => {
  const { queue, add, nextTurn, done } = workshop();
  for (let count = 0; count < 1000; count++) add("a", 1.5);
  await Promise.resolve();
  let turns = 0;
  while (queue.size > 0) {
    expect(await nextTurn()).toBeLessThanOrEqual(6.5);
    turns++;
  }
  expect(done).toHaveLength(1000);
  expect(turns).toBeGreaterThan(200);
});

test("owners take turns, and long work is done in pieces between that of others", async () => {
  const { queue, add, nextTurn, done } = workshop();
  add("long", 1, 6);
  add("many", 1);
  add("many", 1);
  add("many", 1);
  add("one", 1);
  await Promise.resolve();
  while (queue.size > 0) await nextTurn();
  expect(done).toEqual(["long", "many", "one", "long", "many", "long", "many", "long", "long", "long"]);
});

test("several messages of one turn share its time", async () => {
  const { queue, add, done, nextTurn } = workshop();
  add("a", 5);
  await Promise.resolve();
  add("b", 5);
  await Promise.resolve();
  expect(done).toEqual(["a"]);
  expect(queue.leftMs()).toBe(0);
  await nextTurn();
  expect(done).toEqual(["a", "b"]);
});

test("after a pause there is time again at once", async () => {
  const { add, done, idle } = workshop();
  add("a", 5);
  await Promise.resolve();
  idle(20);
  add("b", 5);
  await Promise.resolve();
  expect(done).toEqual(["a", "b"]);
});
