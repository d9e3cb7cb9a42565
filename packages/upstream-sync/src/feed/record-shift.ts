import type { Clock, Timer } from "@tributary/runtime";
import { RECORDS_PER_SHIFT } from "../constants.js";

/** One correction of the times of many records. */
interface Correction {
  readonly hrefs: Iterator<string>;
  readonly ms: number;
  /** Written since it began: their times are right. */
  readonly written: Set<string>;
}

/**
 * Moves the times of many records by one step, some at a time, so that a large copy does not hold up the process. A
 * record that is written meanwhile has its right times already and is left out.
 */
export class RecordShift {
  readonly #clock: Clock;
  readonly #move: (href: string, ms: number) => void;
  /** The first of them is under way. */
  readonly #corrections: Correction[] = [];
  #timer: Timer | null = null;

  constructor(clock: Clock, move: (href: string, ms: number) => void) {
    this.#clock = clock;
    this.#move = move;
  }

  /** Steps of several corrections add up. `hrefs` must not change afterwards. */
  start(hrefs: readonly string[], ms: number): void {
    if (hrefs.length > 0) this.#corrections.push({ hrefs: hrefs.values(), ms, written: new Set() });
    if (this.#timer === null) this.#moveSome();
  }

  /** The record has just been written. */
  skip(href: string): void {
    for (const { written } of this.#corrections) written.add(href);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#corrections.length = 0;
  }

  #moveSome(): void {
    this.#timer = null;
    for (let count = 0; count < RECORDS_PER_SHIFT; count++) {
      const [correction] = this.#corrections;
      if (correction === undefined) return;
      const { done, value: href } = correction.hrefs.next();
      if (done === true) this.#corrections.shift();
      else if (!correction.written.has(href)) this.#move(href, correction.ms);
    }
    this.#timer = this.#clock.setTimer(0, () => this.#moveSome());
  }
}
