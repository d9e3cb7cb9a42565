import { describe, expect, test } from "vitest";
import { report, seedBlocks, seedsOf, simulateAll } from "./many-seeds.ts";
import { FULL } from "./scenario.ts";

/** Federations with up to 5 RDs, 4 LPs and 200 endpoints; among them those that have found something. */
const FULL_SEEDS = [
  1, // a notification that was under way for seconds made a registration younger than it was
  3, // links that came before the parameters of their registration were forgotten
  10, // a renewal with other links was taken for the older one
  33, // an RD that is a proxy as well was asked for the registrations of others
  40, // a notification in blocks and the next one kept each other out, for ever
  130, // the first reading of a restarted RD's clock was believed to have come at once
];

describe("a federation that goes through loss, partitions and crashes", () => {
  test.each(seedBlocks(7))(
    "is right again after healing, and never shows what has ended: seeds $first to $last",
    async (block) => {
      const outcomes = await simulateAll(seedsOf(block));
      expect(report(outcomes, "")).toBe("");
      expect(outcomes.every(({ checks }) => checks > 50)).toBe(true);
    },
  );

  test.each(FULL_SEEDS)("is right again after healing at full size: seed %i", async (seed) => {
    expect(report(await simulateAll([seed], { size: FULL }), " --full")).toBe("");
  });
});

test("a seed always tells the same story", async () => {
  const [one, other] = await simulateAll([5, 5]);
  expect(one?.trace.length).toBeGreaterThan(20);
  expect(one?.trace).toEqual(other?.trace);
});
