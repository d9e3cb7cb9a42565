import type { Clock, Timer } from "@tributary/runtime";
import { RECORDS_PER_SHIFT } from "../constants.js";

/**
 * Moves the times of many records by one step, some at a time, so that a large replica does not hold up the process. A
 * record that is written meanwhile has its right times already and is left out.
 */
export class RecordShift {
  readonly #clock: Clock;
  readonly #move: (href: string, ms: number) => void;
  readonly #left = new Map<string, number>();
  #timer: Timer | null = null;

  constructor(clock: Clock, move: (href: string, ms: number) => void) {
    this.#clock = clock;
    this.#move = move;
  }

  /** Steps of several corrections add up. */
  start(hrefs: Iterable<string>, ms: number): void {
    for (const href of hrefs) this.#left.set(href, (this.#left.get(href) ?? 0) + ms);
    this.#moveSome();
  }

  /** The record has just been written. */
  skip(href: string): void {
    this.#left.delete(href);
  }

  /** What is still to be added to the times of a record. */
  pendingMs(href: string): number {
    return this.#left.get(href) ?? 0;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#left.clear();
  }

  #moveSome(): void {
    this.#timer?.cancel();
    this.#timer = null;
    let count = 0;
    for (const [href, ms] of this.#left) {
      if (count++ === RECORDS_PER_SHIFT) {
        this.#timer = this.#clock.setTimer(0, () => this.#moveSome());
        return;
      }
      this.#left.delete(href);
      this.#move(href, ms);
    }
  }
}
