import { expect, test } from "vitest";
import { report, seedBlocks, seedsOf, simulateAll } from "./many-seeds.ts";

test.each(seedBlocks(3))(
  "a federation is right again after healing over TCP, where streams stall and are reset: seeds $first to $last",
  async (block) => {
    const outcomes = await simulateAll(seedsOf(block), { scheme: "coap+tcp" });
    expect(report(outcomes, " --tcp")).toBe("");
    expect(outcomes.every(({ checks }) => checks > 50)).toBe(true);
  },
);
