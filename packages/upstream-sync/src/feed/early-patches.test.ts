import { expect, test } from "vitest";
import { EarlyPatches } from "./early-patches.js";

const patch = (bytes: number, name = "") => ({ name, response: { payload: new Uint8Array(bytes) } });

test("a patch waits until the version on which it builds is there", () => {
  const early = new EarlyPatches<ReturnType<typeof patch>>({ maxPatches: 10, maxBytes: 1000 });
  early.add("1-a", patch(10, "after a"));
  early.add("1-b", patch(10, "after b"));
  expect(early.take("1-c")).toBeUndefined();
  expect(early.take("1-a")?.name).toBe("after a");
  expect(early.take("1-a")).toBeUndefined();
  expect(early.size).toBe(1);
});

test("of two with the same base the later one stays", () => {
  const early = new EarlyPatches<ReturnType<typeof patch>>({ maxPatches: 10, maxBytes: 1000 });
  early.add("1-a", patch(900, "first"));
  expect(early.add("1-a", patch(950, "second"))).toBe(true);
  expect(early.take("1-a")?.name).toBe("second");
});

test("patches and bytes are bounded, and what leaves makes room", () => {
  const early = new EarlyPatches({ maxPatches: 2, maxBytes: 100 });
  expect([early.add("1-a", patch(60)), early.add("1-b", patch(60)), early.add("1-c", patch(40))]).toEqual([
    true,
    false,
    true,
  ]);
  expect(early.add("1-d", patch(0))).toBe(false);
  early.take("1-a");
  expect(early.add("1-b", patch(60))).toBe(true);
  early.clear();
  expect([early.size, early.add("1-x", patch(100))]).toEqual([0, true]);
});
