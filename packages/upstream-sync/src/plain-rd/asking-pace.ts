/** How many requests an RD gets at once, and how long it has to respond to each. */
export interface PaceLimits {
  /** Requests at once to begin with. */
  readonly concurrency: number;
  readonly maxConcurrency: number;
  /** Shortest and longest timeout of a request, ms. */
  readonly timeoutMs: number;
  readonly maxTimeoutMs: number;
}

/** Responses that take longer than the quickest one by this factor, and by so much, show that the RD is busy with the requests before. */
const BUSY_FACTOR = 2;
const BUSY_MARGIN_MS = 20;
/** What an RD that is busy gets of the requests it got before. */
const BACKOFF = 0.5;
/** A timeout is so many times the smoothed latency. */
const TIMEOUT_FACTOR = 8;

/**
 * The pace at which an RD is asked: additive increase while it responds as quickly as it can, multiplicative decrease when it does not.
 * One that searches all it has for each lookup, one after the other, is asked one thing at a time. Pure.
 */
export class AskingPace {
  readonly #limits: PaceLimits;
  #concurrency: number;
  #leastMs = Number.POSITIVE_INFINITY;
  #smoothedMs: number | null = null;
  /** Responses to requests that were on their way at the last decrease say nothing about the pace since. */
  #settling = 0;

  constructor(limits: PaceLimits) {
    this.#limits = limits;
    this.#concurrency = limits.concurrency;
  }

  /** Requests that may be on their way at once. */
  get concurrency(): number {
    return Math.floor(this.#concurrency);
  }

  /** Timeout of the next request, ms. */
  get timeoutMs(): number {
    const { timeoutMs, maxTimeoutMs } = this.#limits;
    return Math.min(maxTimeoutMs, Math.max(timeoutMs, TIMEOUT_FACTOR * (this.#smoothedMs ?? 0)));
  }

  /** Smoothed latency, ms; null before the first response. */
  get latencyMs(): number | null {
    return this.#smoothedMs;
  }

  /** A response took so long, ms. */
  noteResponse(latencyMs: number): void {
    this.#leastMs = Math.min(this.#leastMs, latencyMs);
    this.#smoothedMs = this.#smoothedMs === null ? latencyMs : this.#smoothedMs + (latencyMs - this.#smoothedMs) / 8;
    if (this.#settling > 0) {
      this.#settling--;
      return;
    }
    if (latencyMs > BUSY_FACTOR * this.#leastMs + BUSY_MARGIN_MS) this.#slowDown();
    else this.#concurrency = Math.min(this.#limits.maxConcurrency, this.#concurrency + 1 / this.#concurrency);
  }

  /** A request was not answered in time. */
  noteTimeout(): void {
    if (this.#settling > 0) this.#settling--;
    else this.#slowDown();
  }

  #slowDown(): void {
    this.#settling = this.concurrency;
    this.#concurrency = Math.max(1, this.#concurrency * BACKOFF);
  }
}
