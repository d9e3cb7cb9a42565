import fc from "fast-check";
import { expect, test } from "vitest";
import { FEDERATION_TOLERANCE_MS, HASTE_MS, LONGEST_LEAD_MS } from "./constants.js";
import { FederationClock } from "./federation-clock.js";

const WALL_MS = 1_790_000_000_000;

function clockAt(wallMs: number): FederationClock {
  const clock = new FederationClock();
  clock.noteWall(0, wallMs);
  return clock;
}

test("federation time is the wall clock while nobody else is ahead by more than the tolerance", () => {
  const clock = clockAt(WALL_MS);
  expect(clock.timeAt(10)).toBe(WALL_MS + 10);
  expect(clock.observe(WALL_MS + 10 + FEDERATION_TOLERANCE_MS, 10)).toBe(false);
  expect([clock.timeAt(10), clock.leadMs]).toEqual([WALL_MS + 10, 0]);
});

test("who is further ahead is followed, and who is behind is not", () => {
  const clock = clockAt(WALL_MS);
  expect(clock.observe(WALL_MS + 3_600_000, 0)).toBe(true);
  expect(clock.timeAt(0)).toBe(WALL_MS + 3_600_000);
  expect(clock.observe(WALL_MS, 10_000)).toBe(false);
  expect(clock.stampOf(0)).toBe(WALL_MS);
});

test("a clock that was never set follows, and nobody follows one that shows another century", () => {
  const unset = clockAt(5_000);
  expect(unset.observe(WALL_MS, 100)).toBe(true);
  expect(unset.timeAt(100)).toBe(WALL_MS);
  const clock = clockAt(WALL_MS);
  expect(clock.observe(WALL_MS + LONGEST_LEAD_MS + 1, 0)).toBe(false);
});

test("somebody who claims ever later times is followed at a bounded pace", () => {
  const clock = clockAt(WALL_MS);
  let followed = 0;
  for (let ms = 0; ms < 10 * HASTE_MS; ms++) if (clock.observe(WALL_MS + ms * 10_000, ms)) followed++;
  expect(followed).toBe(10);
});

test("a step of the wall clock moves the stamps; federation time never goes back", () => {
  const clock = clockAt(WALL_MS);
  const rebased: boolean[] = [];
  clock.onChange((isRebased) => rebased.push(isRebased));
  clock.noteWall(100, WALL_MS + 100 + FEDERATION_TOLERANCE_MS);
  expect(clock.stampOf(100)).toBe(WALL_MS + 100);
  clock.noteWall(200, WALL_MS + 200 - 60_000);
  expect([clock.stampOf(200), clock.timeAt(200)]).toEqual([WALL_MS + 200 - 60_000, WALL_MS + 200]);
  clock.noteWall(300, WALL_MS + 300 + 7_000);
  expect([clock.stampOf(300), clock.timeAt(300)]).toEqual([WALL_MS + 7_300, WALL_MS + 7_300]);
  expect(rebased).toEqual([true, true]);
});

test("whatever clocks show and however long messages take, all come within the tolerance of the fastest, and none beyond", () => {
  const wrong = fc.integer({ min: -90_000_000, max: 90_000_000 });
  const message = fc.record({ from: fc.nat(4), to: fc.nat(4), delayMs: fc.nat(50_000) });
  fc.assert(
    fc.property(
      fc.array(wrong, { minLength: 5, maxLength: 5 }),
      fc.array(message, { maxLength: 40 }),
      (errors, some) => {
        const clocks = errors.map((error) => clockAt(WALL_MS + error));
        const fastestMs = Math.max(...errors);
        let nowMs = 0;
        const pass = ({ from, to, delayMs }: { from: number; to: number; delayMs: number }) => {
          const sentMs = (clocks[from] as FederationClock).timeAt(nowMs);
          nowMs += HASTE_MS + delayMs;
          (clocks[to] as FederationClock).observe(sentMs, nowMs);
        };
        for (const one of some) pass(one);
        // Then everybody hears from everybody, without delay.
        for (let from = 0; from < 5; from++) for (let to = 0; to < 5; to++) pass({ from, to, delayMs: 0 });
        for (let from = 0; from < 5; from++) for (let to = 0; to < 5; to++) pass({ from, to, delayMs: 0 });
        const leads = clocks.map((clock) => clock.timeAt(nowMs) - nowMs - WALL_MS);
        expect(Math.max(...leads)).toBeLessThanOrEqual(fastestMs + 1);
        expect(Math.min(...leads)).toBeGreaterThanOrEqual(fastestMs - FEDERATION_TOLERANCE_MS - HASTE_MS);
      },
    ),
  );
});
