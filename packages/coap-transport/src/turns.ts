import type { Clock } from "./environment.js";

/** Longest stretch of one turn of the event loop that long work may take, ms. */
export const TURN_BUDGET_MS = 5;

/**
 * Divides long work into turns of the event loop, so that datagrams and timers of others are not kept waiting. Everything
 * that works through the same instance waits in one queue: one piece of work per turn, in the order of arrival.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #budgetMs: number;
  readonly #waiting: (() => void)[] = [];
  #turnStartMs: number;

  /** `budgetMs`: longest stretch of one turn; 0: every pause is one, for tests. */
  constructor(clock: Clock, budgetMs = TURN_BUDGET_MS) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
    this.#turnStartMs = clock.nowMs();
  }

  /**
   * To be called between small steps of long work. Undefined while this turn has time left, else a promise that resolves in
   * a later turn. Anything may have happened meanwhile.
   */
  pause(): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#clock.nowMs() - this.#turnStartMs < this.#budgetMs) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) this.#schedule();
    });
  }

  #schedule(): void {
    this.#clock.setTimer(0, () => {
      this.#turnStartMs = this.#clock.nowMs();
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }
}

const TURNS = new WeakMap<Clock, Turns>();

/** The turns of the event loop that a clock belongs to: the same for everybody who has the same clock. */
export function turnsOf(clock: Clock): Turns {
  let turns = TURNS.get(clock);
  if (turns === undefined) {
    turns = new Turns(clock);
    TURNS.set(clock, turns);
  }
  return turns;
}

/** Runs `work` to its end, which yields between small steps, within the budget of each turn. Stops early when aborted. */
export async function inTurns<T>(turns: Turns, work: Iterator<void, T>, signal?: AbortSignal): Promise<T | undefined> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    const pause = turns.pause();
    if (pause !== undefined) await pause;
    if (signal?.aborted === true) return undefined;
  }
}
