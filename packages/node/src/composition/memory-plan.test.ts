import { SharedLimit } from "@tributary/merge-engine";
import { describe, expect, test } from "vitest";
import { checkConfig } from "../configuration/check-configuration.js";
import { defaultMemory, planMemory, shareLimit } from "./memory-plan.js";

const MIB = 1024 * 1024;

function lookupOf(text: string) {
  const checked = checkConfig(text, ".");
  if (!checked.ok) throw new Error("the configuration is wrong");
  return checked.config;
}

describe("the memory of a node", () => {
  test.each([
    // Of these, 192 MiB are young in Node.js 24: --max-old-space-size=256.
    { heapMib: 448, leastMib: 100, mostMib: 130 },
    // --max-old-space-size=112: garbage needs room beside program and data, or the heap ends between two collections.
    { heapMib: 304, leastMib: 30, mostMib: 45 },
    { heapMib: 4288, leastMib: 2048, mostMib: 2800 },
    { heapMib: 64, leastMib: 5, mostMib: 10 },
  ])("is a share of a heap of $heapMib MiB", ({ heapMib, leastMib, mostMib }) => {
    const memory = defaultMemory(heapMib * MIB);
    expect(memory).toBeGreaterThan(leastMib * MIB);
    expect(memory).toBeLessThan(mostMib * MIB);
  });

  test("is divided between registrations and the response cache", () => {
    expect(planMemory(100 * MIB, lookupOf("registration: {}\n"))).toEqual({
      total: 100 * MIB,
      registrations: 100 * MIB,
      cache: 0,
    });
    expect(planMemory(100 * MIB, lookupOf("lookup: {}\n"))).toMatchObject({ registrations: 75 * MIB, cache: 25 * MIB });
    expect(planMemory(1000 * MIB, lookupOf("lookup: {}\n"))).toMatchObject({ cache: 64 * MIB });
    expect(planMemory(Number.POSITIVE_INFINITY, lookupOf("lookup: {}\n")).registrations).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("shares of a limit", () => {
  test("own registrations have a reserve, each upstream its part, and the rest is first come, first served", () => {
    const limit = new SharedLimit(1000);
    shareLimit(limit, true, ["evil", "good"]);
    limit.add("evil", limit.room("evil"));
    expect(["evil", "good", "local"].map((name) => limit.used(name) + limit.room(name))).toEqual([500, 250, 250]);
    limit.add("local", limit.room("local"));
    expect(limit.room("good")).toBe(250);
  });

  test("a node that has only one to share with gives it everything", () => {
    const limit = new SharedLimit(1000);
    shareLimit(limit, true, []);
    expect(limit.room("local")).toBe(1000);
    shareLimit(limit, false, ["a"]);
    expect(limit.room("a")).toBe(1000);
  });
});
