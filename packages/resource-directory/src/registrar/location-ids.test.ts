import { seededRandom } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { createLocationIds } from "./location-ids.js";

const free = () => false;

describe("location ids", () => {
  test("REG-33 never repeat within a run, short, and of safe characters", () => {
    const ids = createLocationIds(seededRandom(1));
    const made = Array.from({ length: 40_000 }, () => ids.next(free));
    expect(new Set(made).size).toBe(made.length);
    for (const id of made) expect(id).toMatch(/^[0-9a-hjkmnp-tv-z]{5,8}$/);
  });

  test("REG-33 differ between runs", () => {
    const one = createLocationIds(seededRandom(1)).next(free);
    const other = createLocationIds(seededRandom(2)).next(free);
    expect(one).not.toBe(other);
  });

  test("those that are taken are left out", () => {
    const taken = createLocationIds(seededRandom(1)).next(free);
    expect(createLocationIds(seededRandom(1)).next((id) => id === taken)).not.toBe(taken);
  });
});
