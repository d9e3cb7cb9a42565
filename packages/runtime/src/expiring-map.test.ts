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
  entries.set("a", "a", { weight: 6 });
  entries.set("b", "b", { weight: 4 });
  entries.set("c", "c", { weight: 4 });
  expect(["a", "b", "c"].filter((key) => entries.get(key) !== undefined)).toEqual(["b", "c"]);
  entries.set("d", "d", { weight: 99 });
  expect([entries.size, entries.get("d")]).toEqual([1, "d"]);
  entries.delete("d");
  entries.set("e", "e", { weight: 10 });
  entries.set("e", "e", { weight: 10 });
  expect(entries.size).toBe(1);
});

test("the largest holder loses its least recently used entry", () => {
  const clock = createVirtualClock();
  const map = new ExpiringMap<string>({ clock }, { lifetimeMs: 1000, maxEntries: 5 });
  map.set("modest", "x", { holder: "b" });
  for (const key of ["1", "2", "3", "4"]) map.set(key, key, { holder: "a" });
  map.get("1");
  map.set("newcomer", "y", { holder: "c" });
  expect(["modest", "1", "2", "3", "4", "newcomer"].filter((key) => map.get(key) !== undefined)).toEqual([
    "modest",
    "1",
    "3",
    "4",
    "newcomer",
  ]);
  // However many one holder adds, the others keep theirs.
  for (let at = 0; at < 100; at++) map.set(`more${at}`, "z", { holder: "a" });
  expect([map.get("modest"), map.get("newcomer"), map.size]).toEqual(["x", "y", 5]);
});

test("where bytes are scarce, the holder of most bytes loses first", () => {
  const clock = createVirtualClock();
  const map = new ExpiringMap<string>({ clock }, { lifetimeMs: 1000, maxEntries: 100, maxWeight: 10 });
  map.set("many", "1", { holder: "a", weight: 1 });
  map.set("many too", "2", { holder: "a", weight: 1 });
  map.set("large", "3", { holder: "b", weight: 7 });
  map.set("new", "4", { holder: "c", weight: 4 });
  expect([map.get("many"), map.get("many too"), map.get("large"), map.get("new")]).toEqual(["1", "2", undefined, "4"]);
});
