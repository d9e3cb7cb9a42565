import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Chance, inputSeed } from "./chance.ts";
import { shrink } from "./shrink.ts";
import { Finding, type Surface, type Target } from "./surface.ts";

export interface CampaignOptions {
  readonly inputs: number;
  readonly seed: number;
  /** How many inputs go by between two checks of a surface. */
  readonly checkEvery?: number;
  readonly onProgress?: (done: number) => void;
}

export interface CampaignReport {
  /** Inputs by surface. */
  readonly inputs: ReadonlyMap<string, number>;
  readonly durationMs: number;
  /** Longest time that one input took, and which. */
  readonly slowestMs: number;
  readonly slowest: string;
  /** How much the heap grew from the first quarter to the end, bytes, garbage collected. */
  readonly grownBytes: number;
}

/** No single input may hold up the process for longer. */
const MAX_INPUT_MS = 100;
/** No machine is as busy as that: it need not happen again to count. */
const HOPELESS_MS = 4000;
const CHECK_EVERY = 500;
/** Inputs that are printed; the others are made again from the seed. */
const MAX_SHOWN = 50;
/** A target is replaced after this many inputs: what piles up is found by then, and a failure has a beginning. */
const INPUTS_PER_TARGET = 20_000;
/** Growth of the heap that is no leak: caches that fill up, compiled code. */
const MAX_GROWTH_BYTES = 48 * 1024 * 1024;

interface Attack {
  readonly surface: Surface;
  target: Target<unknown>;
  /** Inputs since the target was opened. */
  history: unknown[];
}

/** The input `index` of a campaign. */
export function inputAt(
  surfaces: readonly Surface[],
  seed: number,
  index: number,
): { surface: Surface; input: unknown } {
  const chance = new Chance(inputSeed(seed, index));
  const total = surfaces.reduce((sum, { share }) => sum + share, 0);
  let at = chance.below(total);
  for (const surface of surfaces) {
    at -= surface.share;
    if (at < 0) return { surface, input: surface.make(chance) };
  }
  throw new Error("no surfaces");
}

/**
 * Attack the surfaces with `inputs` inputs made from `seed`.
 * @throws {Finding} with the input, made small, and how to make it again.
 */
export async function runCampaign(surfaces: readonly Surface[], options: CampaignOptions): Promise<CampaignReport> {
  const strays = new Strays();
  try {
    return await new Campaign(surfaces, options, strays).run();
  } finally {
    strays.close();
  }
}

class Campaign {
  readonly #surfaces: readonly Surface[];
  readonly #options: CampaignOptions;
  readonly #strays: Strays;
  readonly #attacks = new Map<Surface, Attack>();
  readonly #counts = new Map<string, number>();
  #slowestMs = 0;
  #slowest = "";

  constructor(surfaces: readonly Surface[], options: CampaignOptions, strays: Strays) {
    this.#surfaces = surfaces;
    this.#options = options;
    this.#strays = strays;
  }

  async run(): Promise<CampaignReport> {
    const { inputs, seed, onProgress } = this.#options;
    const startMs = performance.now();
    let baseBytes = 0;
    for (let index = 0; index < inputs; index++) {
      if (index === Math.floor(inputs / 4)) baseBytes = await heapBytes();
      await this.#attackOnce(seed, index);
      if (index % 10_000 === 9999) onProgress?.(index + 1);
    }
    for (const attack of this.#attacks.values()) await this.#end(attack);
    this.#attacks.clear();
    const grownBytes = (await heapBytes()) - baseBytes;
    if (grownBytes > MAX_GROWTH_BYTES) throw new Finding(`the heap grew by ${grownBytes} bytes and stayed so`);
    const durationMs = performance.now() - startMs;
    return { inputs: this.#counts, durationMs, slowestMs: this.#slowestMs, slowest: this.#slowest, grownBytes };
  }

  async #attackOnce(seed: number, index: number): Promise<void> {
    const { surface, input } = inputAt(this.#surfaces, seed, index);
    const attack = await this.#attackOn(surface);
    attack.history.push(input);
    const count = (this.#counts.get(surface.name) ?? 0) + 1;
    this.#counts.set(surface.name, count);
    try {
      const startMs = performance.now();
      await attack.target.feed(input);
      const tookMs = performance.now() - startMs;
      if (tookMs > this.#slowestMs) {
        this.#slowestMs = tookMs;
        this.#slowest = `${surface.name} ${index}`;
      }
      if (tookMs > HOPELESS_MS) throw new Finding(`one input took ${Math.round(tookMs)} ms`);
      if (tookMs > MAX_INPUT_MS) await assertSlow(surface, input);
      if (count % (this.#options.checkEvery ?? CHECK_EVERY) === 0) {
        await attack.target.check();
        await nextTurn();
        this.#strays.assertNone();
      }
    } catch (error) {
      throw await report(attack, error, { seed, index });
    }
    if (attack.history.length >= INPUTS_PER_TARGET) {
      await this.#end(attack, { seed, index });
      this.#attacks.delete(surface);
    }
  }

  async #attackOn(surface: Surface): Promise<Attack> {
    const known = this.#attacks.get(surface);
    if (known !== undefined) return known;
    const attack: Attack = { surface, target: await surface.open(), history: [] };
    this.#attacks.set(surface, attack);
    return attack;
  }

  async #end(attack: Attack, at = { seed: this.#options.seed, index: this.#options.inputs - 1 }): Promise<void> {
    try {
      await attack.target.check();
      await attack.target.finish();
      await attack.target.close();
      await nextTurn();
      this.#strays.assertNone();
    } catch (error) {
      throw await report(attack, error, at);
    }
  }
}

/** Is it the input, or was the machine busy? */
async function assertSlow(surface: Surface, input: unknown): Promise<void> {
  let bestMs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3; attempt++) {
    const target = await surface.open();
    const startMs = performance.now();
    await target.feed(input);
    bestMs = Math.min(bestMs, performance.now() - startMs);
    await target.close();
  }
  if (bestMs > MAX_INPUT_MS) throw new Finding(`one input takes ${Math.round(bestMs)} ms`);
}

async function report(
  { surface, history }: Attack,
  cause: unknown,
  { seed, index }: { readonly seed: number; readonly index: number },
): Promise<Finding> {
  const small = await shrink(surface, history, cause);
  const lines = [
    `${surface.name}: ${cause instanceof Error ? cause.message : String(cause)}`,
    `found with --seed ${seed} --input ${index}`,
    small.isReproduced
      ? `made small, ${small.inputs.length} inputs on a fresh target:`
      : "not found again; the last input:",
    ...small.inputs.slice(-MAX_SHOWN).map((input) => `  ${surface.show(input)}`),
  ];
  return new Finding(lines.join("\n"), { cause });
}

/** A report in one line. */
export function describeReport({ inputs, durationMs, slowestMs, slowest, grownBytes }: CampaignReport): string {
  const counts = [...inputs].map(([name, count]) => `${count} ${name}`).join(", ");
  const heap = `heap ${(grownBytes / 1_048_576).toFixed(1)} MiB larger`;
  return `${counts} in ${(durationMs / 1000).toFixed(1)} s; slowest ${slowestMs.toFixed(1)} ms (${slowest}); ${heap}`;
}

/** One input again, on a fresh target. */
export async function replay(surfaces: readonly Surface[], seed: number, index: number): Promise<string> {
  const { surface, input } = inputAt(surfaces, seed, index);
  const target = await surface.open();
  try {
    await target.feed(input);
    await target.check();
    await target.finish();
  } finally {
    await target.close();
  }
  return `${surface.name}: ${surface.show(input)}`;
}

/** Rejections that nobody handles, and exceptions that nobody catches. */
class Strays {
  readonly #found: unknown[] = [];
  readonly #note = (error: unknown): void => {
    this.#found.push(error);
  };

  constructor() {
    process.on("unhandledRejection", this.#note);
    process.on("uncaughtException", this.#note);
  }

  assertNone(): void {
    const [first] = this.#found.splice(0);
    if (first !== undefined)
      throw new Finding(`nobody handles: ${first instanceof Error ? first.stack : String(first)}`);
  }

  close(): void {
    process.off("unhandledRejection", this.#note);
    process.off("uncaughtException", this.#note);
  }
}

async function heapBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let round = 0; round < 3; round++) {
    collect();
    await nextTurn();
  }
  return process.memoryUsage().heapUsed;
}
