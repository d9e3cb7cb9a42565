import { expect, test } from "vitest";
import { ExpiringMap } from "./expiring-map.js";
import { createVirtualClock } from "./testing/virtual-clock.js";

function map(options: { maxEntries?: number; maxWeight?: number } = {}) {
  const clock = createVirtualClock();
  return { clock, map: new ExpiringMap<string>({ clock }, { lifetimeMs: 100, maxEntries: 3, ...options }) };
}

test("an entry that is used stays, one that is not goes, and no timer is left", async () => {
  const { clock, map: entries } = map();
  entries.set("a", "1");
  entries.set("b", "2");
  await clock.advance(99);
  expect(entries.get("a")).toBe("1");
  await clock.advance(1);
  expect([entries.get("b"), entries.size]).toEqual([undefined, 1]);
  await clock.advance(99);
  expect(entries.size).toBe(0);
  expect(clock.pending).toBe(0);
});

test("too many: the one longest unused goes", () => {
  const { map: entries } = map();
  for (const key of ["a", "b", "c"]) entries.set(key, key);
  entries.get("a");
  entries.set("d", "d");
  expect(["a", "b", "c", "d"].filter((key) => entries.get(key) !== undefined)).toEqual(["a", "c", "d"]);
});

test("too heavy: likewise; a single one may be heavier than allowed", () => {
  const { map: entries } = map({ maxWeight: 10 });
  entries.set("a", "a", 6);
  entries.set("b", "b", 4);
  entries.set("c", "c", 4);
  expect(["a", "b", "c"].filter((key) => entries.get(key) !== undefined)).toEqual(["b", "c"]);
  entries.set("d", "d", 99);
  expect([entries.size, entries.get("d")]).toEqual([1, "d"]);
  entries.delete("d");
  entries.set("e", "e", 10);
  entries.set("e", "e", 10);
  expect(entries.size).toBe(1);
});
