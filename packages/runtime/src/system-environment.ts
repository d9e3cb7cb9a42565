import type { Clock, Logger, Timer } from "./environment.js";

/** Longest delay of `setTimeout`; with a longer one Node fires at once. */
const MAX_TIMEOUT_MS = 2_147_483_647;

class ChainedTimer implements Timer {
  readonly #dueMs: number;
  readonly #callback: () => void;
  #handle: NodeJS.Timeout | null;

  constructor(delayMs: number, callback: () => void) {
    this.#dueMs = performance.now() + delayMs;
    this.#callback = callback;
    this.#handle = setTimeout(this.#step, Math.min(delayMs, MAX_TIMEOUT_MS));
  }

  readonly #step = (): void => {
    const leftMs = this.#dueMs - performance.now();
    // setTimeout may fire up to a millisecond early; only a longer remainder needs another timer.
    if (leftMs > 1) {
      this.#handle = setTimeout(this.#step, Math.min(leftMs, MAX_TIMEOUT_MS));
      return;
    }
    this.#handle = null;
    this.#callback();
  };

  cancel(): void {
    if (this.#handle !== null) clearTimeout(this.#handle);
    this.#handle = null;
  }
}

/** Returns the real clock: monotonic time from `performance.now()`, timers of any length. */
export function systemClock(): Clock {
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    setTimer: (delayMs, callback) => new ChainedTimer(Math.max(0, delayMs), callback),
  };
}

const ignore = (): void => {};

/** A logger that discards everything. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
