import { createVirtualWorld } from "@tributary/coap-transport/testing";
import type { Clock } from "@tributary/runtime";
import { expect, test } from "vitest";
import { codeOf, serveDirectory } from "../testing/served-directory.js";
import { leastWeight } from "./own-memory.js";

const LARGE = Array.from({ length: 1000 }, (_, at) => `</${at}>`).join(",");

/** An RD whose clock goes on by a millisecond whenever it is looked at: all work takes time. */
function serveSlowly() {
  const world = createVirtualWorld();
  let spentMs = 0;
  const clock: Clock = {
    nowMs: () => world.clock.nowMs() + ++spentMs,
    wallMs: () => world.clock.wallMs() + spentMs,
    setTimer: (ms, callback) => world.clock.setTimer(ms, callback),
  };
  return { world, ...serveDirectory({ ...world, env: { ...world.env, clock } }) };
}

test("large registrations that come at once give way to others, and all of them are answered", async () => {
  const { call, ask, world, lookup } = serveSlowly();
  const answers = Array.from({ length: 8 }, (_, at) => call("POST", `/rd?ep=large-${at}`, { payload: LARGE }));
  const waiting = answers.filter((answer) => answer instanceof Promise);
  expect(waiting.length).toBeGreaterThan(3);
  // Small registrations and lookups do not wait behind them.
  expect(codeOf(ask("POST", "/rd?ep=small", { payload: "</x>" }))).toBe("2.01");
  expect(lookup("ep", "ep=small")).toHaveLength(1);
  expect(lookup("ep").length).toBeLessThan(9);
  await world.clock.advance(1000);
  expect((await Promise.all(answers)).map(codeOf)).toEqual(Array.from({ length: 8 }, () => "2.01"));
  expect(lookup("ep")).toHaveLength(9);
});

test("registrations of one endpoint stay in order while a large one waits", async () => {
  const { call, world, lookup } = serveSlowly();
  const before = Array.from({ length: 8 }, (_, at) => call("POST", `/rd?ep=large-${at}`, { payload: LARGE }));
  const first = call("POST", "/rd?ep=a", { payload: LARGE });
  const second = call("POST", "/rd?ep=a", { payload: "</last>" });
  expect(first).toBeInstanceOf(Promise);
  await world.clock.advance(1000);
  await Promise.all([...before, first]);
  expect(codeOf(await second)).toBe("2.01");
  expect(lookup("res", "ep=a").map(({ target }) => target.replace(/^.*\//, "/"))).toEqual(["/last"]);
});

test("of a payload that is refused no more is looked at than it takes to know", () => {
  let read = 0;
  const bytes = Buffer.from(LARGE);
  const watched = new Proxy(bytes, {
    get(target, name) {
      if (typeof name === "string" && /^\d+$/.test(name)) read++;
      return Reflect.get(target, name, target);
    },
  });
  expect(leastWeight(watched, 2 * bytes.length + 960)).toBeGreaterThan(2 * bytes.length + 960);
  expect(read).toBeLessThan(100);
  read = 0;
  leastWeight(watched, 1000);
  expect(read).toBeLessThan(2);
  expect(leastWeight(watched, 1_000_000)).toBe(leastWeight(bytes));
});
