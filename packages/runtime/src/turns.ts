import type { Clock } from "./environment.js";

/** Time that long work may take in one turn of the event loop, ms. */
export const TURN_BUDGET_MS = 5;
/** How long one piece of work goes on before others have their turn, ms. */
const PIECE_MS = 2;

/** A piece of work that returns at `untilMs`, by the monotonic clock, or shortly after; true: there is more of it. Must not throw. */
export type TurnTask = (untilMs: number) => boolean;

/**
 * Divides long work into turns of the event loop, so that datagrams and timers are not kept waiting. All work of a process shares
 * one queue and its budget per turn. Owners take turns: whoever has much to do does not hold up those who have little. Work begins
 * before the turn ends in which it was added, while there is time.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #budgetMs: number;
  readonly #tasks = new Map<string, TurnTask[]>();
  #isScheduled = false;
  /** Start of the present turn, as far as that can be told apart from the one before. */
  #turnStartMs = Number.NEGATIVE_INFINITY;
  #spentMs = 0;
  /** Start of the work that is being done, whose time is not in `#spentMs` yet. */
  #workStartMs: number | null = null;

  /** `budgetMs`: time per turn; 0: one step of one piece of work in each, for tests. */
  constructor(clock: Clock, budgetMs = TURN_BUDGET_MS) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
  }

  /** Owners with work to do. */
  get size(): number {
    return this.#tasks.size;
  }

  /** Put `task` behind whatever `owner` has to do already. */
  add(owner: string, task: TurnTask): void {
    const tasks = this.#tasks.get(owner);
    if (tasks === undefined) this.#tasks.set(owner, [task]);
    else tasks.push(task);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Whatever else happens in this turn is taken into account.
    if (this.leftMs() > 0) queueMicrotask(this.#run);
    else this.#clock.setTimer(0, this.#runNextTurn);
  }

  /**
   * Do work at once: `task` has at least `leastMs`, or as much as is left of this turn. What it does not finish waits in the queue.
   * Undefined when everything was done, else a promise of that. An error of the task is thrown or rejects the promise.
   */
  start(owner: string, task: TurnTask, leastMs = 0): undefined | Promise<void> {
    const isUnfinished = this.#spend(() => task(this.#clock.nowMs() + Math.max(leastMs, this.leftMs())));
    if (!isUnfinished) return undefined;
    return new Promise((resolve, reject) => {
      this.add(owner, (untilMs) => {
        try {
          if (task(untilMs)) return true;
          resolve();
        } catch (error) {
          reject(error);
        }
        return false;
      });
    });
  }

  /** By the clock that tasks are given their time in. */
  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Time left for long work in this turn, ms. */
  leftMs(): number {
    const nowMs = this.#clock.nowMs();
    if (this.#workStartMs === null && this.#isNextTurn(nowMs)) return this.#budgetMs;
    const underWayMs = this.#workStartMs === null ? 0 : nowMs - this.#workStartMs;
    return Math.max(0, this.#budgetMs - this.#spentMs - underWayMs);
  }

  /** Several messages may be received in one turn: their work is counted together. */
  #isNextTurn(nowMs: number): boolean {
    return nowMs - this.#turnStartMs >= 2 * this.#budgetMs;
  }

  /** Call `work`, whose time counts as spent in this turn. */
  #spend<T>(work: () => T): T {
    if (this.#workStartMs !== null) return work();
    const startMs = this.#clock.nowMs();
    if (this.#isNextTurn(startMs)) this.#begin(startMs);
    this.#workStartMs = startMs;
    try {
      return work();
    } finally {
      this.#workStartMs = null;
      this.#spentMs += this.#clock.nowMs() - startMs;
    }
  }

  readonly #runNextTurn = (): void => {
    this.#begin(this.#clock.nowMs());
    this.#run();
  };

  readonly #run = (): void => {
    this.#spend(() => this.#work(this.#clock.nowMs() + this.leftMs()));
    this.#isScheduled = this.#tasks.size > 0;
    if (this.#isScheduled) this.#clock.setTimer(0, this.#runNextTurn);
  };

  /** One task at least, or nothing would ever be done. */
  #work(endMs: number): void {
    let nowMs = this.#clock.nowMs();
    do {
      const next = this.#tasks.entries().next();
      if (next.done === true) return;
      const [owner, tasks] = next.value;
      const task = tasks.shift();
      // Behind the others, whether or not there is more.
      this.#tasks.delete(owner);
      this.#tasks.set(owner, tasks);
      if (task?.(Math.min(endMs, nowMs + PIECE_MS)) === true) tasks.push(task);
      if (tasks.length === 0) this.#tasks.delete(owner);
      nowMs = this.#clock.nowMs();
    } while (nowMs < endMs);
  }

  #begin(nowMs: number): void {
    this.#turnStartMs = nowMs;
    this.#spentMs = 0;
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

/** Documents of upstreams, where nobody says whose they are. */
const UPSTREAMS = "upstreams";

/**
 * Runs `work` to its end, which yields between small steps, within the budget of each turn. Stops early when aborted. Between two
 * turns anything may happen.
 */
export async function inTurns<T>(
  turns: Turns,
  work: Iterator<void, T>,
  signal?: AbortSignal,
  owner = UPSTREAMS,
): Promise<T | undefined> {
  let result: T | undefined;
  let isBegun = false;
  await turns.start(owner, (untilMs) => {
    do {
      // It may have been aborted while it waited.
      if (isBegun && signal?.aborted === true) return false;
      isBegun = true;
      const step = work.next();
      if (step.done === true) {
        result = step.value;
        return false;
      }
    } while (turns.nowMs() < untilMs);
    return true;
  });
  return result;
}
