import type { Clock } from "./environment.js";

/** Time for long work in one turn of the event loop, ms. */
export const TURN_BUDGET_MS = 5;
/** Time slice of one task before the next owner runs, ms. */
const PIECE_MS = 2;

/** A task that returns at `untilMs` (monotonic) or shortly after, with true when there is more to do. Must not throw. */
export type TurnTask = (untilMs: number) => boolean;

/** The queue of long work as one owner uses it, so that its work and that of other owners share the time fairly. */
export interface OwnedTurns {
  /** See `Turns.start`. */
  start(task: TurnTask, leastMs?: number): undefined | Promise<void>;
  /** The present time on the clock of `untilMs`. */
  nowMs(): number;
}

/**
 * Divides long work into turns of the event loop, so that datagrams and timers do not wait. All work of a process shares one queue
 * and one budget per turn. Owners are served round-robin, so an owner with much work does not delay one with little. Work starts in
 * the turn in which it was added if there is time left.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #budgetMs: number;
  readonly #tasks = new Map<string, TurnTask[]>();
  #isScheduled = false;
  /** Estimated start of the present turn. */
  #turnStartMs = Number.NEGATIVE_INFINITY;
  #spentMs = 0;
  /** Start of the work that is running, whose time is not in `#spentMs` yet. */
  #workStartMs: number | null = null;

  /** `budgetMs`: time per turn; 0: one step of one task per turn, for tests. */
  constructor(clock: Clock, budgetMs = TURN_BUDGET_MS) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
  }

  /** Owners with tasks in the queue. */
  get size(): number {
    return this.#tasks.size;
  }

  /** Queues `task` behind the other tasks of `owner`. */
  add(owner: string, task: TurnTask): void {
    const tasks = this.#tasks.get(owner);
    if (tasks === undefined) this.#tasks.set(owner, [task]);
    else tasks.push(task);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // A microtask runs after the rest of the present job, whose time counts.
    if (this.leftMs() > 0) queueMicrotask(this.#run);
    else this.#clock.setTimer(0, this.#runNextTurn);
  }

  /**
   * Runs `task` at once, for the time left in this turn but at least `leastMs`, and queues the rest. Returns undefined when the task
   * is done, else a promise for its end. An error of the task is thrown, or rejects the promise.
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

  /** The queue as `owner` uses it. */
  ownedBy(owner: string): OwnedTurns {
    return {
      start: (task, leastMs) => this.start(owner, task, leastMs),
      nowMs: () => this.nowMs(),
    };
  }

  /** The present time on the clock of `untilMs`. */
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

  /** Several messages may arrive in one turn; their work shares its budget. */
  #isNextTurn(nowMs: number): boolean {
    return nowMs - this.#turnStartMs >= 2 * this.#budgetMs;
  }

  /** Calls `work` and charges its time to this turn. */
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

  /** Runs tasks until `endMs`, but at least one, so that there is always progress. */
  #work(endMs: number): void {
    let nowMs = this.#clock.nowMs();
    do {
      const next = this.#tasks.entries().next();
      if (next.done === true) return;
      const [owner, tasks] = next.value;
      const task = tasks.shift();
      // Round-robin: the owner goes to the end of the queue.
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

/** Returns the `Turns` of a clock; always the same for the same clock. */
export function turnsOf(clock: Clock): Turns {
  let turns = TURNS.get(clock);
  if (turns === undefined) {
    turns = new Turns(clock);
    TURNS.set(clock, turns);
  }
  return turns;
}

/**
 * Runs a generator that yields between small steps to its end, within the budget of each turn. Stops early when aborted. Other code
 * runs between two turns.
 */
export async function inTurns<T>(
  turns: OwnedTurns,
  work: Iterator<void, T>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  let result: T | undefined;
  let isBegun = false;
  await turns.start((untilMs) => {
    do {
      // It may have been aborted in the queue.
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
