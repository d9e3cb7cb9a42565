import type { Clock } from "./environment.js";

/** A piece of work; true: there is more of it. Must not throw. */
export type TurnTask = () => boolean;

/** Time that work which was put off may take in one turn of the event loop, ms. */
const BUDGET_MS = 5;

/**
 * Work that can wait, in turns of bounded time, so that requests are received in between. Owners take turns: whoever has much to
 * do does not hold up those who have little. Work begins before the turn ends in which it was added, while there is time.
 */
export class TurnQueue {
  readonly #clock: Clock;
  readonly #tasks = new Map<string, TurnTask[]>();
  #isScheduled = false;
  /** Of the present turn, as far as that can be told apart from the one before. */
  #turnBeganMs = Number.NEGATIVE_INFINITY;
  #spentMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Owners with work to do. */
  get size(): number {
    return this.#tasks.size;
  }

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

  /** Time left for such work in this turn, ms. */
  leftMs(): number {
    // Several messages may be received in one turn: their work is counted together.
    if (this.#clock.nowMs() - this.#turnBeganMs >= 2 * BUDGET_MS) return BUDGET_MS;
    return Math.max(0, BUDGET_MS - this.#spentMs);
  }

  /** Call `work`, whose time counts as spent in this turn. */
  spend<T>(work: () => T): T {
    const beganMs = this.#clock.nowMs();
    if (beganMs - this.#turnBeganMs >= 2 * BUDGET_MS) this.#begin(beganMs);
    try {
      return work();
    } finally {
      this.#spentMs += this.#clock.nowMs() - beganMs;
    }
  }

  readonly #runNextTurn = (): void => {
    this.#begin(this.#clock.nowMs());
    this.#run();
  };

  readonly #run = (): void => {
    this.spend(() => this.#work(this.#clock.nowMs() + this.leftMs()));
    this.#isScheduled = this.#tasks.size > 0;
    if (this.#isScheduled) this.#clock.setTimer(0, this.#runNextTurn);
  };

  /** One task at least, or nothing would ever be done. */
  #work(untilMs: number): void {
    do {
      const next = this.#tasks.entries().next();
      if (next.done === true) return;
      const [owner, tasks] = next.value;
      const task = tasks.shift();
      // Behind the others, whether or not there is more.
      this.#tasks.delete(owner);
      this.#tasks.set(owner, tasks);
      if (task?.() === true) tasks.push(task);
      if (tasks.length === 0) this.#tasks.delete(owner);
    } while (this.#clock.nowMs() < untilMs);
  }

  #begin(nowMs: number): void {
    this.#turnBeganMs = nowMs;
    this.#spentMs = 0;
  }
}

const queues = new WeakMap<Clock, TurnQueue>();

/** The queue of all that shares an event loop, which is what shares a clock. */
export function turnQueueOf(clock: Clock): TurnQueue {
  const queue = queues.get(clock) ?? new TurnQueue(clock);
  queues.set(clock, queue);
  return queue;
}
