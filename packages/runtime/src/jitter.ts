import type { Random } from "./environment.js";

/** Returns a duration drawn uniformly from `ms * least` to `ms * most`, so that nodes do not act at the same time. */
export function jittered(random: Random, ms: number, least: number, most: number): number {
  return ms * (least + (most - least) * random());
}
