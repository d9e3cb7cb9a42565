import { describe, expect, test } from "vitest";
import { DEFAULT_PARAMETERS } from "../message/codes.js";
import { CongestionControl, retransmissionPlan } from "./congestion-control.js";

/** Acknowledges `count` messages of a full window, each after `rttMs`. */
function acknowledge(congestion: CongestionControl, from: number, count: number, rttMs: number | null = 50): void {
  for (let index = 0; index < count; index++)
    congestion.acknowledged(from + index, rttMs, { inTransit: congestion.window, nowMs: 1000 + index });
}

describe("RFC 5681: the window", () => {
  test("doubles with each round trip up to its bound", () => {
    const congestion = new CongestionControl({ maxWindow: 64 });
    const windows = [congestion.window];
    for (let number = 0; windows.length < 5; ) {
      const { window } = congestion;
      acknowledge(congestion, number, window);
      number += window;
      windows.push(congestion.window);
    }
    expect(windows).toEqual([10, 20, 40, 64, 64]);
  });

  test("does not grow while it is not used", () => {
    const congestion = new CongestionControl({ maxWindow: 64 });
    for (let number = 0; number < 100; number++) congestion.acknowledged(number, 50, { inTransit: 2, nowMs: number });
    expect(congestion.window).toBe(10);
  });

  test("is bounded from the start", () => {
    expect(new CongestionControl({ maxWindow: 3 }).window).toBe(3);
  });

  test.each([
    { name: "a random loss costs a tenth", lastRttMs: 50, window: 36 },
    { name: "a loss with messages in a queue costs half", lastRttMs: 100, window: 20 },
  ])("$name, once per round trip, and growth is slow from then on", ({ lastRttMs, window }) => {
    const congestion = new CongestionControl({ maxWindow: 64 });
    acknowledge(congestion, 0, 29);
    acknowledge(congestion, 29, 1, lastRttMs);
    expect(congestion.window).toBe(40);
    congestion.lost(30, 70, false);
    congestion.lost(31, 70, false);
    expect(congestion.window).toBe(window);
    acknowledge(congestion, 32, 38);
    expect(congestion.window).toBe(window);
    acknowledge(congestion, 71, window + 1);
    expect(congestion.window).toBe(window + 1);
  });

  test("RFC 9002 section 6.1.2: the time for which a message may be late follows the round trips and their variation", () => {
    const congestion = new CongestionControl({ maxWindow: 64 });
    acknowledge(congestion, 0, 100);
    expect(congestion.reorderingMs).toBeCloseTo(56.25, 1);
    for (let number = 100; number < 200; number++) acknowledge(congestion, number, 1, number % 2 === 0 ? 50 : 90);
    expect(congestion.reorderingMs).toBeGreaterThan(90);
    expect(congestion.reorderingMs).toBeLessThan(200);
  });

  test("RFC 9002 section 7.6: timeouts in two round trips without an acknowledgement reduce it to the minimum", () => {
    const congestion = new CongestionControl({ maxWindow: 64 });
    acknowledge(congestion, 0, 30);
    congestion.lost(30, 70, true);
    congestion.lost(31, 70, true);
    expect(congestion.window).toBe(36);
    congestion.lost(71, 102, true);
    expect(congestion.window).toBe(2);
    acknowledge(congestion, 103, 2, null);
    expect(congestion.window).toBe(4);
  });
});

describe("RFC 6298: the timeout", () => {
  test("is unknown before the first measurement, which a retransmitted message is not", () => {
    const congestion = new CongestionControl({ maxWindow: 64 });
    acknowledge(congestion, 0, 1, null);
    expect(congestion.timeoutMs).toBeNull();
    acknowledge(congestion, 1, 1, 50);
    expect(congestion.timeoutMs).toBe(250);
  });

  test("follows the variation of the round trip, and doubles with each timeout until an acknowledgement", () => {
    const congestion = new CongestionControl({ maxWindow: 64 });
    for (let number = 0; number < 100; number += 2) {
      acknowledge(congestion, number, 1, 100);
      acknowledge(congestion, number + 1, 1, 500);
    }
    const timeoutMs = congestion.timeoutMs as number;
    expect(timeoutMs).toBeGreaterThan(1000);
    congestion.lost(101, 101, true);
    expect(congestion.timeoutMs).toBe(2 * timeoutMs);
    acknowledge(congestion, 102, 1, null);
    expect(congestion.timeoutMs).toBe(timeoutMs);
  });
});

describe("RFC 7252 section 4.2: the plan of retransmissions", () => {
  const total = { spanMs: 2000 * 15, waitMs: 2000 * 31 };

  test.each([
    { name: "of a peer that is not measured", measuredMs: null, firstTimeoutMs: 2000, maxTimeoutMs: Infinity },
    { name: "of a peer that is far away", measuredMs: 3000, firstTimeoutMs: 2000, maxTimeoutMs: Infinity },
    { name: "of a measured peer", measuredMs: 250, firstTimeoutMs: 250, maxTimeoutMs: 5000 },
  ])("$name", ({ measuredMs, firstTimeoutMs, maxTimeoutMs }) => {
    const plan = retransmissionPlan(DEFAULT_PARAMETERS, measuredMs, () => 0);
    expect(plan).toEqual({ firstTimeoutMs, maxTimeoutMs, ...total });
  });
});
