import { beforeAll, describe, expect, test } from "vitest";
import { describeWithPeers } from "../peers/peers.js";
import { whyRefused } from "./federation.js";
import { figuresOf, formatFigures } from "./figures.js";
import { FaultRun, type RunOptions, type RunResult } from "./run.js";

/** `npm run faults` sets these; see docs/reliability.md. */
const MINUTES = Number(process.env.TRIBUTARY_FAULT_MINUTES ?? 0);
const SEED = Number(process.env.TRIBUTARY_FAULT_SEED ?? Date.now() % 1_000_000);
const IS_LONG = MINUTES > 0;
const DURATION_MS = IS_LONG ? MINUTES * 60_000 : 10_000;

/** Shown later than this after its end, an entry is overdue: clients look twice a second, ages are whole seconds. */
const TOLERANCE_MS = 2000;
/** Longest from healing until a proxy agrees: 35 s to notice or to try again (docs/reliability.md), and time to copy. */
const AGREEMENT_MS = 45_000;

type Variant = Pick<RunOptions, "store" | "snapshot">;

/** Each with the fallback for a build that cannot keep a snapshot. */
const VARIANTS: readonly (readonly Variant[])[] = [
  [{ store: "memory" }],
  [{ store: "lmdb:./state/rd", snapshot: "./state/lp" }, { store: "lmdb:./state/rd" }],
];

function plan(variant: Variant): RunOptions {
  return {
    ...variant,
    seed: SEED,
    durationMs: DURATION_MS,
    longestFaultMs: IS_LONG ? 30_000 : 2500,
    endpoints: Number(process.env.TRIBUTARY_FAULT_ENDPOINTS ?? (IS_LONG ? 400 : 160)),
  };
}

/** Only with options that this build has. */
async function choose(variants: readonly Variant[]): Promise<{ variant: Variant; why: string | null }> {
  for (const variant of variants) if ((await whyRefused(variant)) === null) return { variant, why: null };
  const last = variants.at(-1) as Variant;
  return { variant: last, why: await whyRefused(last) };
}

const chosen = await Promise.all(VARIANTS.map(choose));
const runnable = chosen.filter(({ why }) => why === null).map(({ variant }) => variant);

/** Runs go on side by side: most of their time is waiting. */
let runs: ReadonlyMap<Variant, PromiseSettledResult<RunResult>>;

describeWithPeers(
  ["netns", "nftables"],
  `SIGKILL, cuts, one-way cuts and loss (by nftables) in a federation under load, TRIBUTARY_FAULT_SEED=${SEED}`,
  () => {
    beforeAll(async () => {
      const results = await Promise.allSettled(runnable.map((variant) => FaultRun.complete(plan(variant))));
      runs = new Map(runnable.map((variant, index) => [variant, results[index] as PromiseSettledResult<RunResult>]));
    }, DURATION_MS + 300_000);

    for (const { variant, why } of chosen) {
      const title = `store ${variant.store}, snapshot ${variant.snapshot ?? "none"}`;
      if (why !== null) describe.skip(`${title} (${why})`, () => judge(variant));
      else describe(title, () => judge(variant));
    }
  },
);

function judge(variant: Variant): void {
  const result = (): RunResult => {
    const run = runs.get(variant);
    if (run?.status === "fulfilled") return run.value;
    throw run?.reason ?? new Error("no run");
  };

  test("the run was one: every kind of fault, under load", () => {
    const run = result();
    process.stdout.write(formatFigures(figuresOf(run), process.env.TRIBUTARY_FAULT_JSON !== undefined));
    expect(new Set(run.plan.map(({ fault }) => fault.kind))).toEqual(
      new Set(["kill", "cut", "apart", "one-way", "loss"]),
    );
    expect(run.held.size).toBeGreaterThan(run.options.endpoints / 2);
    expect(run.journal.length).toBeGreaterThan(3 * run.options.endpoints);
    expect(run.crashed).toEqual([]);
  });

  test("what was acknowledged is at its RD, but for those of an RD that lost its memory", () => {
    const { losses, amnesia } = result();
    expect(losses.lost).toEqual(losses.expected);
    expect(amnesia.unexplained).toEqual([]);
  });

  test("every proxy shows exactly what is held, within a bound after healing", () => {
    const { held, losses, foundAt, agreed, disagreed } = result();
    for (const { lp, afterMs, differences } of agreed) {
      expect(differences, lp).toEqual([]);
      expect(afterMs, lp).toBeLessThan(AGREEMENT_MS);
    }
    for (const [lp, found] of Object.entries(foundAt)) expect(found, lp).toBe(held.size - losses.expected.length);
    expect(disagreed).toEqual([]);
  });

  test("a proxy that is up answers every lookup, and never with a wrong code", () => {
    const { lookups } = result();
    for (const [lp, { answered, faults }] of Object.entries(lookups)) {
      expect(faults, lp).toEqual([]);
      expect(answered, lp).toBeGreaterThan(50);
    }
  });

  test("nothing is shown twice, and nothing after its lifetime", () => {
    const { doubles, overdue } = result();
    expect(doubles).toBe(0);
    expect(overdue.filter(({ byMs }) => byMs > TOLERANCE_MS)).toEqual([]);
  });

  test("a proxy that starts while it is cut off says what it knows, and catches up", () => {
    const { cutOffRestart } = result();
    expect(cutOffRestart.faults).toEqual([]);
    expect(cutOffRestart.agreed.differences).toEqual([]);
    expect(cutOffRestart.agreed.afterMs).toBeLessThan(AGREEMENT_MS);
    if (variant.snapshot === undefined) {
      expect(cutOffRestart.refused).toBeGreaterThan(10);
      expect(cutOffRestart.answered).toBe(0);
    } else {
      expect(cutOffRestart.answered).toBeGreaterThan(10);
      expect(cutOffRestart.refused).toBe(0);
      expect(cutOffRestart.sleepersShown).toBe(cutOffRestart.sleepers);
    }
  });
}
