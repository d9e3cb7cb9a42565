import { describe, expect, test } from "vitest";
import { AskingPace } from "./asking-pace.js";

const LIMITS = { concurrency: 4, maxConcurrency: 32, timeoutMs: 10_000, maxTimeoutMs: 60_000 };

/** Requests one after the other, as many at once as the pace allows, to an RD that takes `latencyMs` for so many at once. */
function ask(pace: AskingPace, requests: number, latencyMs: (atOnce: number) => number): void {
  for (let asked = 0; asked < requests; ) {
    const atOnce = pace.concurrency;
    for (let one = 1; one <= atOnce; one++) pace.noteResponse(latencyMs(one));
    asked += atOnce;
  }
}

describe("the pace at which an RD is asked", () => {
  test("far away and idle: as many at once as are allowed", () => {
    const pace = new AskingPace(LIMITS);
    ask(pace, 1000, () => 50);
    expect(pace.concurrency).toBe(32);
  });

  test("one request after the other: no more than it can do at once", () => {
    const pace = new AskingPace(LIMITS);
    ask(pace, 1000, (atOnce) => 500 * atOnce);
    expect(pace.concurrency).toBeLessThanOrEqual(3);
  });

  test("one that becomes busy with others gets less, and more when it is idle", () => {
    const pace = new AskingPace(LIMITS);
    ask(pace, 1000, () => 50);
    ask(pace, 200, () => 400);
    expect(pace.concurrency).toBe(1);
    ask(pace, 1000, () => 50);
    expect(pace.concurrency).toBe(32);
  });

  test("timeouts halve it once for all that were on their way", () => {
    const pace = new AskingPace(LIMITS);
    for (let request = 0; request < 4; request++) pace.noteTimeout();
    expect(pace.concurrency).toBe(2);
    for (let request = 0; request < 100; request++) pace.noteTimeout();
    expect(pace.concurrency).toBe(1);
  });

  test("slow responses are waited for longer, within bounds", () => {
    const pace = new AskingPace(LIMITS);
    expect(pace.timeoutMs).toBe(10_000);
    ask(pace, 100, () => 3000);
    expect(pace.timeoutMs).toBeCloseTo(24_000, -2);
    ask(pace, 100, () => 30_000);
    expect(pace.timeoutMs).toBe(60_000);
  });
});
