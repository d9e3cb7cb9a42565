import type { Clock, Timer } from "@tributary/runtime";

/** Told how a peer gets on with a body that is larger than a block. */
export interface BlockProgress {
  /** The first block goes out; the rest is there to be fetched. */
  onRetained(): void;
  /** One of the later blocks was asked for. */
  onBlockAsked(isLast: boolean): void;
}

/**
 * Waits until a peer has fetched the rest of a body, or no longer seems to. A newer notification in the middle would
 * make the peer throw away what it has (RFC 7959 section 2.6), for ever when changes come faster than blocks.
 */
export class FetchWatch implements BlockProgress {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #onOver: () => void;
  #isPending = false;
  #lastAskedAtMs = 0;
  #timer: Timer | null = null;

  /** `patienceMs`: how long the peer may ask for nothing. `onOver`: it is done, or given up; called only while waiting. */
  constructor(clock: Clock, patienceMs: number, onOver: () => void) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#onOver = onOver;
  }

  /** There are blocks that were not asked for yet. */
  get isPending(): boolean {
    return this.#isPending;
  }

  onRetained(): void {
    this.stop();
    this.#isPending = true;
  }

  onBlockAsked(isLast: boolean): void {
    this.#lastAskedAtMs = this.#clock.nowMs();
    if (isLast) this.#finish();
  }

  /** The peer has the first block: from now on its patience counts. */
  wait(): void {
    this.#lastAskedAtMs = this.#clock.nowMs();
    this.#timer = this.#clock.setTimer(this.#patienceMs, this.#look);
  }

  stop(): void {
    this.#isPending = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  readonly #look = (): void => {
    const leftMs = this.#lastAskedAtMs + this.#patienceMs - this.#clock.nowMs();
    if (leftMs > 0) this.#timer = this.#clock.setTimer(leftMs, this.#look);
    else this.#finish();
  };

  #finish(): void {
    const wasWaiting = this.#timer !== null;
    this.stop();
    if (wasWaiting) this.#onOver();
  }
}
