import type { Partition, SharedDeed } from "./plan.ts";

export type Operation = "register" | "renew" | "remove";

/** One request of a device, as the device knows it. Times in ms of the simulated clock. */
export interface Attempt {
  readonly kind: Operation;
  readonly ep: string;
  readonly ltS: number;
  readonly revision: number;
  readonly invokedMs: number;
  /** `acknowledged`: at `answeredMs`. `open`: no answer, or 5.03: it may have been done. `refused`: it was not done. */
  outcome: "under way" | "acknowledged" | "open" | "refused";
  answeredMs: number;
}

/** What a node shows of an endpoint: the content of its registration. */
export type Shown = ReadonlyMap<string, number>;

/** Time for which an instance may be at work after its client has given up, ms. */
const AFTERWARDS_MS = 40_000;
/** What an end may be late or early: ages are compared with several clocks, and given in whole seconds. */
const SLACK_MS = 2500;
/** Acknowledgements at two sides of a split that are closer are in no order, ms. */
const ORDER_MS = 300;

/**
 * What may be registered, by what devices were told: writes to one (ep, d) are linearizable where one instance refuses what the others cannot know;
 * where it accepts, the one that was renewed last counts.
 */
export class History {
  readonly #attempts = new Map<string, Attempt[]>();
  readonly #partition: Partition;

  constructor(partition: Partition) {
    this.#partition = partition;
  }

  begin(deed: Extract<SharedDeed, { kind: Operation }>, ep: string, nowMs: number): Attempt {
    const { kind, ltS, revision } = deed;
    const attempt: Attempt = { kind, ep, ltS, revision, invokedMs: nowMs, outcome: "under way", answeredMs: 0 };
    this.#attempts.set(ep, [...(this.#attempts.get(ep) ?? []), attempt]);
    return attempt;
  }

  /** Whether nothing else was asked of the endpoint since an attempt was begun, or is still being done. */
  isAlone(attempt: Attempt): boolean {
    const others = (this.#attempts.get(attempt.ep) ?? []).filter((one) => one !== attempt && one.outcome !== "refused");
    return others.every((one) => latest(one) < attempt.invokedMs);
  }

  /** What is wrong with what a node shows at a moment, in words. `isComplete`: it has to show everything. */
  problems(shown: Shown, nowMs: number, isComplete: boolean): string[] {
    const problems: string[] = [];
    for (const [ep, attempts] of this.#attempts) {
      const revision = shown.get(ep);
      const { mayBePresent, mayBeAbsent, revisions } = this.#judge(attempts, nowMs);
      if (revision === undefined) {
        if (isComplete && !mayBeAbsent) problems.push(`${ep} is missing`);
      } else if (isComplete ? !mayBePresent : !this.#mayHaveLasted(attempts, nowMs))
        problems.push(`${ep} is shown, and over`);
      else if (isComplete && !revisions.has(revision)) problems.push(`${ep} is shown as it was (${revision})`);
    }
    for (const ep of shown.keys())
      if (!this.#attempts.has(ep)) problems.push(`${ep} is shown, and nobody registered it`);
    return problems;
  }

  /** Whether an endpoint has to be registered at a moment, whatever instance is asked. */
  isCertain(ep: string, nowMs: number): boolean {
    return !this.#judge(this.#attempts.get(ep) ?? [], nowMs).mayBeAbsent;
  }

  #judge(attempts: readonly Attempt[], nowMs: number) {
    const done = attempts.filter(({ outcome }) => outcome !== "refused");
    const last = done.filter((one) => !done.some((other) => this.#isAfter(other, one)));
    const writers = done.filter(({ kind }) => kind === "register");
    const isRenewedElsewhere = this.#partition === "accept" && done.some(({ kind }) => kind === "renew");
    const possible = writers.filter((one) => isRenewedElsewhere || !writers.some((other) => this.#isAfter(other, one)));
    const lifetimesMs = possible.map(({ ltS }) => ltS * 1000);
    const [leastMs, mostMs] = [Math.min(...lifetimesMs), Math.max(...lifetimesMs)];
    const puts = last.filter(({ kind }) => kind !== "remove");
    return {
      mayBePresent: puts.some((one) => latest(one) + mostMs + SLACK_MS > nowMs),
      mayBeAbsent:
        last.length === 0 ||
        last.some(({ kind }) => kind === "remove") ||
        // What is open may not have happened; then something before it counts.
        !done.some(({ outcome, kind }) => outcome === "acknowledged" && kind !== "remove") ||
        puts.some((one) => one.invokedMs + leastMs - SLACK_MS <= nowMs) ||
        this.#mayBeBeforeOpen(done, leastMs, nowMs),
      revisions: new Set(possible.map(({ revision }) => revision)),
    };
  }

  /** If none of what is open has happened, what was acknowledged last may have been a removal, or be over. */
  #mayBeBeforeOpen(done: readonly Attempt[], leastMs: number, nowMs: number): boolean {
    const certain = done.filter(({ outcome }) => outcome === "acknowledged");
    const last = certain.filter((one) => !certain.some((other) => this.#isAfter(other, one)));
    return last.some(({ kind, invokedMs }) => kind === "remove" || invokedMs + leastMs - SLACK_MS <= nowMs);
  }

  /** Whether anything that was asked for can still be valid. */
  #mayHaveLasted(attempts: readonly Attempt[], nowMs: number): boolean {
    const lifetimesMs = attempts.filter(({ kind }) => kind === "register").map(({ ltS }) => ltS * 1000);
    const mostMs = Math.max(...lifetimesMs);
    return attempts.some((one) => one.kind !== "remove" && latest(one) + mostMs + SLACK_MS > nowMs);
  }

  /** Whether `one` certainly happened, and after `other`. */
  #isAfter(one: Attempt, other: Attempt): boolean {
    const orderMs = this.#partition === "accept" ? ORDER_MS : 0;
    return one.outcome === "acknowledged" && one.invokedMs > latest(other) + orderMs;
  }
}

/** The latest moment at which an attempt can have taken effect. */
function latest({ outcome, invokedMs, answeredMs }: Attempt): number {
  return outcome === "acknowledged" ? answeredMs : invokedMs + AFTERWARDS_MS;
}
