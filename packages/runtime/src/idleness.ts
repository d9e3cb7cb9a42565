import type { Clock, Timer } from "./environment.js";

/** Counts work in progress and lets others wait for its end. */
export class Idleness {
  readonly #clock: Clock;
  #count = 0;
  readonly #waiting = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Work in progress. */
  get count(): number {
    return this.#count;
  }

  /** Some work began. */
  begin(): void {
    this.#count++;
  }

  /** Some work ended. */
  end(): void {
    this.#count--;
    if (this.#count > 0 || this.#waiting.size === 0) return;
    // What ends now may begin something else in the same turn, such as sending its result.
    this.#clock.setTimer(0, () => {
      if (this.#count > 0) return;
      for (const resolve of [...this.#waiting]) resolve();
    });
  }

  /** Resolves as soon as no work is in progress, or after `limitMs`. */
  async wait(limitMs: number): Promise<void> {
    if (this.#count === 0 || limitMs <= 0) return;
    let timer: Timer | null = null;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        this.#waiting.delete(settle);
        timer?.cancel();
        resolve();
      };
      timer = this.#clock.setTimer(limitMs, settle);
      this.#waiting.add(settle);
    });
  }
}
