import { type Outcome, type SimulationOptions, simulate } from "./run.ts";

/** A run of consecutive seeds. */
export interface SeedBlock {
  readonly first: number;
  readonly last: number;
}

/** `count` blocks of 50 seeds each, from 1 on. */
export function seedBlocks(count: number): SeedBlock[] {
  return Array.from({ length: count }, (_, index) => ({ first: 50 * index + 1, last: 50 * (index + 1) }));
}

/** The seeds of a block. */
export function seedsOf({ first, last }: SeedBlock): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** The seeds with violations, how to replay each, and its first violation; empty when there are none. */
export function report(outcomes: readonly Outcome[], flags: string): string {
  const failed = outcomes.filter(({ violations }) => violations.length > 0);
  return failed
    .map(
      ({ seed, violations }) =>
        `seed ${seed}: ${violations.length} violations, first: ${violations[0]}\n` +
        `  replay: npm run simulate -- --seed ${seed}${flags}`,
    )
    .join("\n");
}

/** Simulates one seed after the other. */
export async function simulateAll(seeds: readonly number[], options: SimulationOptions = {}): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const seed of seeds) outcomes.push(await simulate(seed, options));
  return outcomes;
}
