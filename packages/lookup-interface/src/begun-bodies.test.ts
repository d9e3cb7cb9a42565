import { expect, test } from "vitest";
import { BegunBodies } from "./begun-bodies.js";
import type { BegunBody } from "./lookup-rendering.js";

function bodyOf(writtenBytes: number, isWhole = false) {
  const rest = { writtenBytes, isWhole, upTo: () => new Uint8Array() };
  return { payload: new Uint8Array(), rest } satisfies BegunBody;
}

test("a body is shared in one state of the directory only, and that it is long is remembered beyond", () => {
  const bodies = new BegunBodies();
  const body = bodyOf(50_000);
  expect(bodies.isLong("res")).toBe(false);
  bodies.keep("res", "1", body);
  expect(bodies.get("res", "1")).toBe(body);
  expect(bodies.get("res", "2")).toBeUndefined();
  bodies.keep("ep", "2", bodyOf(50_000));
  expect(bodies.get("res", "2")).toBeUndefined();
  expect(bodies.isLong("res")).toBe(true);
});

test("one that turned out to be short is no longer taken for long", () => {
  const bodies = new BegunBodies();
  bodies.keep("short", "1", bodyOf(9_000, true));
  bodies.keep("under way", "1", bodyOf(9_000));
  bodies.keep("whole", "1", bodyOf(90_000, true));
  bodies.keep("other", "2", bodyOf(90_000));
  expect(["short", "under way", "whole"].map((lookup) => bodies.isLong(lookup))).toEqual([false, true, true]);
});

test("bodies that grow beyond the limit while they are read are dropped, the oldest first", () => {
  const bodies = new BegunBodies();
  const growing = bodyOf(1_000);
  bodies.keep("old", "1", bodyOf(1_000));
  bodies.keep("growing", "1", growing);
  growing.rest.writtenBytes = 16_777_000;
  bodies.trim();
  expect(bodies.get("old", "1")).toBeUndefined();
  expect(bodies.get("growing", "1")).toBe(growing);
  growing.rest.writtenBytes = 16_777_217;
  bodies.trim();
  expect(bodies.get("growing", "1")).toBeUndefined();
});

test("there are few bodies, and few lookups known to be long", () => {
  const bodies = new BegunBodies();
  for (let at = 0; at < 1_000; at++) bodies.keep(`lookup ${at}`, "1", bodyOf(1));
  const kept = Array.from({ length: 1_000 }, (_, at) => `lookup ${at}`);
  expect(kept.filter((lookup) => bodies.get(lookup, "1") !== undefined)).toEqual(kept.slice(-8));
  expect(kept.filter((lookup) => bodies.isLong(lookup))).toEqual(kept.slice(-256));
  const long = "x".repeat(2_000);
  bodies.keep(long, "1", bodyOf(1));
  expect(bodies.isLong(long)).toBe(false);
});
