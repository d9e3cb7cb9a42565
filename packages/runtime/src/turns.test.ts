import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { expect, test } from "vitest";
import { inTurns, Turns, turnsOf } from "./turns.js";

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
  const turns = new Turns(clock);
  const done: string[] = [];
  const add = (owner: string, ms: number, pieces = 1) => {
    let left = pieces;
    turns.add(owner, () => {
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
  return { turns, add, done, nextTurn, timers, idle: (ms: number) => (nowMs += ms), nowMs: () => nowMs };
}

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
  const done = Promise.all([
    inTurns(turns.ownedBy("a"), steps(log, "a", 3)),
    inTurns(turns.ownedBy("b"), steps(log, "b", 2)),
  ]);
  await clock.advance(10);
  expect(await done).toEqual(["a", "b"]);
  expect(log).toEqual(["a0", "b0", "a1", "b1", "a2"]);
});

test("work goes on within a turn until its time is over, and later work waits behind it", async () => {
  const { turns, done, nextTurn, idle } = workshop();
  function* work(name: string): Generator<void, string> {
    for (let step = 0; step < 4; step++) {
      idle(2);
      done.push(name);
      yield;
    }
    return name;
  }
  const all = Promise.all([inTurns(turns.ownedBy("a"), work("a")), inTurns(turns.ownedBy("a"), work("b"))]);
  expect(done).toEqual(["a", "a", "a", "b"]);
  await nextTurn();
  expect(done).toEqual(["a", "a", "a", "b", "a", "b", "b"]);
  await nextTurn();
  expect(await all).toEqual(["a", "b"]);
});

test("upstream documents share the time of a turn with the work of clients", async () => {
  const { turns, add, done, nextTurn, idle } = workshop();
  function* document(): Generator<void, void> {
    for (let step = 0; step < 20; step++) {
      idle(0.5);
      yield;
    }
    done.push("document");
  }
  const read = inTurns(turns.ownedBy("a"), document());
  add("client", 1, 6);
  for (let turn = 0; turns.size > 0; turn++) {
    expect(turn).toBeLessThan(5);
    expect(await nextTurn()).toBeLessThanOrEqual(6);
  }
  await read;
  expect(done.filter((name) => name === "client")).toHaveLength(6);
});

test("an error of work rejects, in its first turn and in a later one", async () => {
  const { clock } = createVirtualWorld();
  const turns = new Turns(clock, 0);
  function* failing(after: number): Generator<void, void> {
    for (let step = 0; step < after; step++) yield;
    throw new Error("no");
  }
  await expect(inTurns(turns.ownedBy("a"), failing(0))).rejects.toThrow("no");
  const later = expect(inTurns(turns.ownedBy("a"), failing(3))).rejects.toThrow("no");
  await clock.advance(10);
  await later;
});

test("work that is given up takes no further step", async () => {
  const { clock } = createVirtualWorld();
  const turns = new Turns(clock, 0);
  const log: string[] = [];
  const abort = new AbortController();
  const done = inTurns(turns.ownedBy("a"), steps(log, "a", 100), abort.signal);
  abort.abort();
  await clock.advance(10);
  expect(await done).toBeUndefined();
  expect(log.length).toBeLessThan(5);
});

test("work of one owner delays that of another by no more than its share", async () => {
  const { clock } = createVirtualWorld();
  const turns = new Turns(clock, 0);
  const log: string[] = [];
  const many = ["a", "b", "c"].map((name) => inTurns(turns.ownedBy("busy"), steps(log, name, 10)));
  const one = inTurns(turns.ownedBy("other"), steps(log, "d", 3));
  await clock.advance(100);
  await Promise.all([...many, one]);
  // Of the first steps of everything else in the queue, every second one is of the other owner.
  const busyBefore = log.indexOf("d2") - 2;
  expect(busyBefore).toBeLessThanOrEqual(7);
});

test("everybody with the same clock shares its turns", () => {
  const { clock } = createVirtualWorld();
  expect(turnsOf(clock)).toBe(turnsOf(clock));
  expect(turnsOf(createVirtualWorld().clock)).not.toBe(turnsOf(clock));
});

test("what is little is done before the turn ends", async () => {
  const { turns, add, done, timers } = workshop();
  add("a", 1);
  add("b", 1);
  expect(done).toEqual([]);
  await Promise.resolve();
  expect(done).toEqual(["a", "b"]);
  expect([timers.length, turns.size]).toEqual([0, 0]);
});

test("no turn takes much longer than its budget, whatever there is to do", async () => {
  const { turns, add, nextTurn, done } = workshop();
  for (let count = 0; count < 1000; count++) add("a", 1.5);
  await Promise.resolve();
  let count = 0;
  while (turns.size > 0) {
    expect(await nextTurn()).toBeLessThanOrEqual(6.5);
    count++;
  }
  expect(done).toHaveLength(1000);
  expect(count).toBeGreaterThan(200);
});

test("owners take turns, and long work is done in pieces between that of others", async () => {
  const { turns, add, nextTurn, done } = workshop();
  add("long", 1, 6);
  add("many", 1);
  add("many", 1);
  add("many", 1);
  add("one", 1);
  await Promise.resolve();
  while (turns.size > 0) await nextTurn();
  expect(done).toEqual(["long", "many", "one", "long", "many", "long", "many", "long", "long", "long"]);
});

test("several messages of one turn share its time", async () => {
  const { turns, add, done, nextTurn } = workshop();
  add("a", 5);
  await Promise.resolve();
  add("b", 5);
  await Promise.resolve();
  expect(done).toEqual(["a"]);
  expect(turns.leftMs()).toBe(0);
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
