import type { Clock, Timer } from "../environment.js";

interface PendingTimer {
  readonly dueMs: number;
  /** Timers that are due at the same time fire in the order in which they were set. */
  readonly order: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

/** A clock that only moves when the test advances it. */
export interface VirtualClock extends Clock {
  /** Advances the time by `ms` and fires all timers that fall due, in order, including those that they set. */
  advance(ms: number): Promise<void>;
  /**
   * Advances from timer to timer until `condition` holds. Resolves with false when `limitMs` passed first, or no timer was
   * left.
   */
  runUntil(condition: () => boolean, limitMs?: number): Promise<boolean>;
  /** Lets every promise settle that can; no time passes. */
  settle(): Promise<void>;
  /** Moves the wall clock, as an operator or NTP would; `nowMs` is not affected. */
  jumpWall(ms: number): void;
  /** Timers that are set. */
  readonly pending: number;
}

const DEFAULT_LIMIT_MS = 86_400_000;
const EPOCH_MS = 1_700_000_000_000;

/** Creates a clock for tests and simulations at 0 ms; `wallMs` starts at `epochMs`. */
export function createVirtualClock(options: { epochMs?: number } = {}): VirtualClock {
  const heap = new TimerHeap();
  let nowMs = 0;
  let wallOffsetMs = options.epochMs ?? EPOCH_MS;
  let order = 0;

  /** Fires the next timer that is due by `untilMs`, and lets promises settle. */
  async function step(untilMs: number): Promise<boolean> {
    const timer = heap.peek();
    if (timer === undefined || timer.dueMs > untilMs) return false;
    heap.pop();
    nowMs = Math.max(nowMs, timer.dueMs);
    timer.isCancelled = true; // fired: cancelling it now does nothing
    timer.callback();
    await settle();
    return true;
  }

  async function advance(ms: number): Promise<void> {
    const untilMs = nowMs + ms;
    await settle();
    while (await step(untilMs));
    nowMs = untilMs;
  }

  async function runUntil(condition: () => boolean, limitMs = DEFAULT_LIMIT_MS): Promise<boolean> {
    const untilMs = nowMs + limitMs;
    await settle();
    while (!condition()) {
      if (!(await step(untilMs))) return condition();
    }
    return true;
  }

  return {
    nowMs: () => nowMs,
    wallMs: () => wallOffsetMs + nowMs,
    setTimer(delayMs, callback): Timer {
      const timer = { dueMs: nowMs + Math.max(0, delayMs), order: order++, callback, isCancelled: false };
      heap.push(timer);
      return { cancel: () => heap.cancel(timer) };
    },
    advance,
    runUntil,
    settle,
    jumpWall(ms) {
      wallOffsetMs += ms;
    },
    get pending() {
      return heap.size;
    },
  };
}

/** Lets every promise settle that can. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Binary heap by due time. Cancelled timers stay in it until they reach the top or are too many. */
class TimerHeap {
  #items: PendingTimer[] = [];
  #cancelled = 0;

  get size(): number {
    return this.#items.length - this.#cancelled;
  }

  push(timer: PendingTimer): void {
    let index = this.#items.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isEarlier(timer, this.#items[parent] as PendingTimer)) break;
      this.#items[index] = this.#items[parent] as PendingTimer;
      index = parent;
    }
    this.#items[index] = timer;
  }

  peek(): PendingTimer | undefined {
    while (this.#items[0]?.isCancelled === true) {
      this.pop();
      this.#cancelled--;
    }
    return this.#items[0];
  }

  pop(): void {
    const last = this.#items.pop();
    if (last === undefined || this.#items.length === 0) return;
    this.#sink(last);
  }

  cancel(timer: PendingTimer): void {
    if (timer.isCancelled) return;
    timer.isCancelled = true;
    this.#cancelled++;
    if (this.#cancelled > 64 && this.#cancelled * 2 > this.#items.length) this.#compact();
  }

  #sink(timer: PendingTimer): void {
    const items = this.#items;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isEarlier(items[child + 1] as PendingTimer, items[child] as PendingTimer))
        child++;
      if (!isEarlier(items[child] as PendingTimer, timer)) break;
      items[index] = items[child] as PendingTimer;
      index = child;
    }
    items[index] = timer;
  }

  #compact(): void {
    const pending = this.#items.filter((timer) => !timer.isCancelled);
    this.#items = [];
    this.#cancelled = 0;
    for (const timer of pending) this.push(timer);
  }
}

function isEarlier(one: PendingTimer, other: PendingTimer): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order);
}
