import { expect, test } from "vitest";
import { SharedPlaces } from "./shared-places.js";

function fill(places: SharedPlaces, holder: string): number {
  let taken = 0;
  for (; places.hasPlace(holder); taken++) places.take(holder);
  return taken;
}

test("one holder gets about half, and each newcomer finds a place", () => {
  const places = new SharedPlaces(4096);
  expect(fill(places, "a")).toBe(2049);
  expect(fill(places, "b")).toBe(1024);
  for (let at = 0; at < 8; at++) expect(fill(places, `c${at}`)).toBeGreaterThan(0);
  expect(places.size).toBeLessThanOrEqual(4096);
});

test("a single place is anybody's, and what is given back is free", () => {
  const places = new SharedPlaces(1);
  expect(fill(places, "a")).toBe(1);
  expect(places.hasPlace("b")).toBe(false);
  places.giveBack("a");
  expect([places.size, places.hasPlace("b")]).toEqual([0, true]);
});
