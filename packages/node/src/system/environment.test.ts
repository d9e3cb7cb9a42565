import { expect, test } from "vitest";
import { secureRandom } from "./environment.js";

test("secureRandom fills [0, 1) evenly", () => {
  const random = secureRandom();
  const buckets = new Array<number>(10).fill(0);
  for (let draw = 0; draw < 20_000; draw++) {
    const value = random();
    expect(value >= 0 && value < 1).toBe(true);
    buckets[Math.floor(value * 10)] = (buckets[Math.floor(value * 10)] ?? 0) + 1;
  }
  // Ten standard deviations of a fair bucket.
  for (const count of buckets) expect(Math.abs(count - 2000)).toBeLessThan(430);
});
