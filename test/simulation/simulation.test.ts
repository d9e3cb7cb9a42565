import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { PLANTED_BUGS } from "./planted-bugs.ts";
import { type Outcome, type SimulationOptions, simulate } from "./run.ts";
import { FULL } from "./scenario.ts";

const SIMULATE = fileURLToPath(new URL("./simulate.ts", import.meta.url));
/** Seeds of small federations, in blocks. */
const BLOCKS = Array.from({ length: 10 }, (_, index) => ({ first: 50 * index + 1, last: 50 * (index + 1) }));
const STREAM_BLOCKS = BLOCKS.slice(0, 5);
/** Federations with up to 5 RDs, 4 LPs and 200 endpoints; among them those that have found something. */
const FULL_SEEDS = [
  1, // a notification that was under way for seconds made a registration younger than it was
  3, // links that came before the parameters of their registration were forgotten
  10, // a renewal with other links was taken for the older one
  33, // an RD that is a proxy as well was asked for the registrations of others
  40, // a notification in blocks and the next one kept each other out, for ever
  130, // the first reading of a restarted RD's clock was believed to have come at once
];

function seedsOf({ first, last }: { first: number; last: number }): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function report(outcomes: readonly Outcome[], flags: string): string {
  const failed = outcomes.filter(({ violations }) => violations.length > 0);
  return failed
    .map(
      ({ seed, violations }) =>
        `seed ${seed}: ${violations.length} violations, first: ${violations[0]}\n` +
        `  replay: npm run simulate -- --seed ${seed}${flags}`,
    )
    .join("\n");
}

async function simulateAll(seeds: readonly number[], options: SimulationOptions = {}): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const seed of seeds) outcomes.push(await simulate(seed, options));
  return outcomes;
}

describe("a federation that goes through loss, partitions and crashes", () => {
  test.each(BLOCKS)(
    "is right again after healing, and never shows what has ended: seeds $first to $last",
    async (block) => {
      const outcomes = await simulateAll(seedsOf(block));
      expect(report(outcomes, "")).toBe("");
      expect(outcomes.every(({ checks }) => checks > 50)).toBe(true);
    },
  );

  test.each(STREAM_BLOCKS)(
    "does so over TCP, where streams stall and are reset: seeds $first to $last",
    async (block) => {
      const outcomes = await simulateAll(seedsOf(block), { scheme: "coap+tcp" });
      expect(report(outcomes, " --tcp")).toBe("");
      expect(outcomes.every(({ checks }) => checks > 50)).toBe(true);
    },
  );

  test.each(FULL_SEEDS)("is right again after healing at full size: seed %i", async (seed) => {
    expect(report(await simulateAll([seed], { size: FULL }), " --full")).toBe("");
  });
});

describe("the simulation notices when", () => {
  const run = promisify(execFile);
  test.each(PLANTED_BUGS)("$name", async ({ name, scheme = "coap" }) => {
    const spoken = scheme === "coap" ? [] : ["--tcp"];
    const args = [SIMULATE, "--seeds", "250", "--stop-at-first", "--plant", name, ...spoken];
    const failure = await run(process.execPath, args).catch((error: { code: unknown; stdout: string }) => error);
    expect(failure).toMatchObject({ code: 1, stdout: expect.stringMatching(/^seed \d+: \d+ violations/m) });
  });
});

test("a seed always tells the same story", async () => {
  const [one, other] = await simulateAll([5, 5]);
  expect(one?.trace.length).toBeGreaterThan(20);
  expect(one?.trace).toEqual(other?.trace);
});
