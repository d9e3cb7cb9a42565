import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatClockReading, parseClockReading, RemoteClock } from "./remote-clock.js";

describe("the clock of an RD, estimated from its readings", () => {
  test("an answer that came at once pins it down", () => {
    const clock = new RemoteClock();
    clock.note({ run: 1, ms: 500 }, 10_501, { thisMs: 10_499 });
    expect(clock.uncertaintyMs(10_501)).toBe(2);
    expect(Math.abs(clock.toLocalMs(700) - 10_700)).toBeLessThanOrEqual(1);
  });

  test("a notification that was on its way for long does not make what it reports younger", () => {
    const clock = new RemoteClock();
    clock.note({ run: 1, ms: 500 }, 10_501, { thisMs: 10_499 });
    clock.note({ run: 1, ms: 20_000 }, 36_000);
    expect(clock.toLocalMs(20_000)).toBeLessThanOrEqual(30_001);
    expect(clock.takeShiftMs()).toBe(0);
  });

  test("after a slow first answer, a quick one moves everything by a step", () => {
    const clock = new RemoteClock();
    clock.note({ run: 1, ms: 6_000 }, 16_002, { thisMs: 10_000 });
    expect(clock.uncertaintyMs(16_002)).toBe(6002);
    const before = clock.toLocalMs(6_000);
    clock.note({ run: 1, ms: 20_000 }, 30_001, { thisMs: 29_999 });
    const shift = clock.takeShiftMs();
    expect(before + shift).toBe(clock.toLocalMs(6_000));
    expect(Math.abs(clock.toLocalMs(6_000) - 16_000)).toBeLessThan(10);
  });

  test("another run begins again, without a step", () => {
    const clock = new RemoteClock();
    clock.note({ run: 1, ms: 500_000 }, 510_000, { thisMs: 509_999 });
    clock.note({ run: 2, ms: 10 }, 520_010, { thisMs: 520_009 });
    expect(Math.abs(clock.toLocalMs(10) - 520_010)).toBeLessThanOrEqual(1);
    expect(clock.takeShiftMs()).toBe(0);
  });

  test("of another run, the first reading must answer one of the requests sent before", () => {
    const clock = new RemoteClock();
    clock.note({ run: 1, ms: 500_000 }, 510_000, { thisMs: 509_999 });
    clock.note({ run: 1, ms: 510_000 }, 524_000, { someMs: 521_000 });
    expect(clock.toLocalMs(510_000)).toBeLessThan(520_002);
    clock.note({ run: 2, ms: 10 }, 533_000, { someMs: 529_000 });
    expect(clock.toLocalMs(10)).toBe(529_000);
    expect(clock.uncertaintyMs(533_000)).toBe(4_000);
  });

  test("a clock that was stopped is believed again", () => {
    const clock = new RemoteClock();
    clock.note({ run: 1, ms: 0 }, 1, { thisMs: 0 });
    clock.note({ run: 1, ms: 1_000 }, 3_600_001, { thisMs: 3_600_000 });
    expect(Math.abs(clock.toLocalMs(1_000) - 3_600_000)).toBeLessThanOrEqual(1);
    expect(clock.takeShiftMs()).toBeGreaterThan(3_000_000);
  });

  test("the right difference is always within the bounds, and what is sent is never later than it was received", () => {
    const exchange = fc.record({
      pauseMs: fc.nat(600_000),
      thereMs: fc.nat(5_000),
      backMs: fc.nat(5_000),
      isAnswer: fc.boolean(),
    });
    const drift = fc.integer({ min: -100, max: 100 }).map((ppm) => ppm / 1e6);
    fc.assert(
      fc.property(fc.array(exchange, { minLength: 1, maxLength: 50 }), drift, (exchanges, rate) => {
        const clock = new RemoteClock();
        const there = (localMs: number) => Math.floor(localMs * (1 + rate) + 1_000_000);
        let nowMs = 0;
        for (const { pauseMs, thereMs, backMs, isAnswer } of exchanges) {
          const askedAtMs = nowMs + pauseMs;
          const stampedAtMs = askedAtMs + thereMs;
          nowMs = stampedAtMs + backMs;
          clock.note({ run: 7, ms: there(stampedAtMs) }, nowMs, isAnswer ? { thisMs: askedAtMs } : {});
          expect(clock.toLocalMs(there(stampedAtMs))).toBeLessThanOrEqual(nowMs);
          expect(clock.uncertaintyMs(nowMs)).toBeGreaterThanOrEqual(0);
        }
        const { length } = exchanges.filter(({ isAnswer }) => isAnswer);
        const worst = length === 0 ? Number.POSITIVE_INFINITY : clock.uncertaintyMs(nowMs) + 250;
        expect(Math.abs(clock.toLocalMs(there(nowMs)) - nowMs)).toBeLessThanOrEqual(worst);
      }),
    );
  });
});

test.each([
  { text: "1f-a0", reading: { run: 31, ms: 160 } },
  { text: "1f", reading: null },
  { text: 12, reading: null },
])("a reading is written like a version: $text", ({ text, reading }) => {
  expect(parseClockReading(text)).toEqual(reading);
});

test.each([
  { text: "1f-a0-6441a2b3c4d5e", reading: { run: 31, ms: 160, wall: { stampMs: 0x6441a2b3c4d5e / 1000, leadMs: 0 } } },
  { text: "1f-a0-3e8-36ee80", reading: { run: 31, ms: 160, wall: { stampMs: 1, leadMs: 3_600_000 } } },
  { text: "1f-a0-", reading: null },
  { text: "1f-a0-6441a2b3c4d5e0", reading: null },
  { text: "1f-a0-3E8", reading: null },
])("the wall clock may stand behind it: $text", ({ text, reading }) => {
  expect(parseClockReading(text)).toEqual(reading);
  if (reading !== null) expect(formatClockReading(reading)).toBe(text);
});

test("federation time of an RD lies between what its readings allow", () => {
  const clock = new RemoteClock();
  expect([clock.wall, clock.federationTime(0)]).toEqual([undefined, null]);
  clock.note({ run: 1, ms: 500, wall: { stampMs: 900_000, leadMs: 100_000 } }, 10_600, { thisMs: 10_400 });
  expect(clock.federationTime(10_600)).toEqual({ leastMs: 1_000_000, mostMs: 1_000_200 });
  clock.note({ run: 2, ms: 5 }, 20_000);
  expect([clock.wall, clock.federationTime(20_000)]).toEqual([null, null]);
});
