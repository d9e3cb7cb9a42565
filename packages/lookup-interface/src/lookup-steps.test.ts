import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { parseLookupQuery, serialiseLinks } from "@tributary/link-model";
import { serveDirectory, type TestWorld } from "@tributary/resource-directory/testing";
import { Turns } from "@tributary/runtime";
import { expect, test } from "vitest";
import { takeInTurns } from "./lookup-steps.js";

/** A clock that goes on by `msPerReading` whenever it is read, and timers that are fired by hand. */
function busyClock(msPerReading: number) {
  let nowMs = 0;
  const timers: (() => void)[] = [];
  const clock = {
    nowMs() {
      nowMs += msPerReading;
      return nowMs;
    },
    wallMs: () => 1_700_000_000_000,
    setTimer(_: number, call: () => void) {
      timers.push(call);
      return { cancel() {} };
    },
  };
  return { clock, timers };
}

function* stepsOf(count: number): Generator<number | null> {
  for (let at = 0; at < count; at++) {
    yield at;
    yield null;
  }
}

test("what is quick is taken at once, without a promise", () => {
  const { clock, timers } = busyClock(0);
  const taken: number[] = [];
  expect(takeInTurns(new Turns(clock), "a", stepsOf(5), (item) => taken.push(item) > 0)).toBe(undefined);
  expect(taken).toEqual([0, 1, 2, 3, 4]);
  expect(timers).toHaveLength(0);
});

test("what takes long is taken in pieces, and nothing is lost between them", async () => {
  const { clock, timers } = busyClock(0.5);
  const taken: number[] = [];
  const done = takeInTurns(new Turns(clock), "a", stepsOf(200), (item) => taken.push(item) > 0);
  expect(done).toBeInstanceOf(Promise);
  expect(taken.length).toBeLessThan(20);
  let turns = 0;
  while (taken.length < 200) {
    await Promise.resolve();
    const before = taken.length;
    for (const call of timers.splice(0)) call();
    expect(taken.length - before).toBeLessThan(40);
    turns++;
  }
  await done;
  expect(turns).toBeGreaterThan(5);
  expect(taken).toEqual(Array.from({ length: 200 }, (_, at) => at));
});

test("an error of a later piece rejects; enough is enough", async () => {
  const { clock, timers } = busyClock(0.5);
  const fail = takeInTurns(new Turns(clock), "a", stepsOf(100), (item) => {
    if (item === 50) throw new Error("too much");
    return true;
  });
  const outcome = expect(fail).rejects.toThrow("too much");
  for (let turn = 0; turn < 100; turn++) {
    await Promise.resolve();
    for (const call of timers.splice(0)) call();
  }
  await outcome;
  expect(takeInTurns(new Turns(clock), "a", stepsOf(100), () => false)).toBeUndefined();
});

const COUNT = 1200;

/** An RD on a machine so slow that each reading of its clock takes a while. */
function slowDirectory() {
  const world = createVirtualWorld() as ReturnType<typeof createVirtualWorld> & TestWorld;
  let spentMs = 0;
  let msPerReading = 0;
  const spend = (): number => {
    spentMs += msPerReading;
    return spentMs;
  };
  const clock = { ...world.env.clock, nowMs: () => world.env.clock.nowMs() + spend() };
  const served = serveDirectory({ ...world, env: { ...world.env, clock } });
  for (let at = 0; at < COUNT; at++)
    served.register(`ep=n${at}&base=coap://n${at}.example&et=${at % 2 === 0 ? "even" : "odd"}`, "</t>;rt=t,</u>;rt=u");
  msPerReading = 2;
  return { ...served, world };
}

const LOOKUPS = [
  ["ep", "et=even&page=500&count=1"],
  ["ep", "et=o*&rt=t&page=80&count=7"],
  ["res", "rt=u&et=even&page=99&count=3"],
  ["res", "rt=*&et=even"],
  ["ep", "et=odd"],
] as const;

test.each(LOOKUPS)("%s?%s on a slow machine says what the directory does, in several turns", async (kind, query) => {
  const { call, directory, world, close } = slowDirectory();
  const parsed = parseLookupQuery(query.split("&"));
  if (!parsed.ok) throw new Error(parsed.message);
  const answer = call("GET", `/rd-lookup/${kind}?${query}`);
  expect(answer).toBeInstanceOf(Promise);
  await world.clock.advance(5000);
  const response = await answer;
  // The rest of a long body is written on demand, in several turns too.
  const whole = response.rest?.upTo(Number.POSITIVE_INFINITY) ?? response.payload ?? new Uint8Array();
  await world.clock.advance(5000);
  expect(Buffer.from(await whole).toString()).toBe(serialiseLinks([...directory.lookup(kind, parsed.query, 0)]));
  await close();
});

test("what changed while a lookup was under way: the response is not remembered", async () => {
  const { call, register, world, close } = slowDirectory();
  const quiet = call("GET", "/rd-lookup/ep?et=even&page=500&count=1");
  await world.clock.advance(5000);
  expect((await quiet).trackValidity).toBeDefined();
  const answer = call("GET", "/rd-lookup/ep?et=even&page=501&count=1&rt=t");
  expect(answer).toBeInstanceOf(Promise);
  register("ep=a-first&base=coap://a.example&et=even", "</t>;rt=t");
  await world.clock.advance(5000);
  expect((await answer).trackValidity).toBeUndefined();
  await close();
});
