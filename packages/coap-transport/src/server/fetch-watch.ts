import type { Clock, Timer } from "@tributary/runtime";

/** Callbacks about the transfer of a body that takes several blocks. */
export interface BlockProgress {
  /** The body is retained, and its first block is about to be sent. */
  onRetained(): void;
  /** A later block was requested. */
  onBlockRequested(isLast: boolean): void;
}

/**
 * Waits until a peer has fetched all blocks of a notification, or has stopped to. A newer notification in between would make the peer
 * discard the blocks it has (RFC 7959 section 2.6), and again, as long as changes are faster than transfers.
 */
export class FetchWatch implements BlockProgress {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #onOver: () => void;
  #isPending = false;
  #requestedAtMs = 0;
  #timer: Timer | null = null;

  /**
   * `patienceMs`: longest time between two block requests. `onOver` is called when the wait that `wait` began is over.
   */
  constructor(clock: Clock, patienceMs: number, onOver: () => void) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#onOver = onOver;
  }

  /** Some blocks were not requested yet. */
  get isPending(): boolean {
    return this.#isPending;
  }

  onRetained(): void {
    this.stop();
    this.#isPending = true;
  }

  onBlockRequested(isLast: boolean): void {
    this.#requestedAtMs = this.#clock.nowMs();
    if (isLast) this.#finish();
  }

  /** Starts to wait; called when the peer has the first block. */
  wait(): void {
    if (this.#timer !== null) return;
    this.#requestedAtMs = this.#clock.nowMs();
    this.#timer = this.#clock.setTimer(this.#patienceMs, this.#look);
  }

  stop(): void {
    this.#isPending = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  readonly #look = (): void => {
    const leftMs = this.#requestedAtMs + this.#patienceMs - this.#clock.nowMs();
    if (leftMs > 0) this.#timer = this.#clock.setTimer(leftMs, this.#look);
    else this.#finish();
  };

  #finish(): void {
    const wasWaiting = this.#timer !== null;
    this.stop();
    if (wasWaiting) this.#onOver();
  }
}
