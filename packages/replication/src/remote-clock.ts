import { CLOCK_DRIFT, CLOCK_SHIFT_MS } from "./constants.js";
import { parseVersion } from "./version.js";

/** A reading of the monotonic clock of an RD: `run` tells apart the times at which that clock began anew. */
export interface ClockReading {
  readonly run: number;
  readonly ms: number;
}

/** What is known of the requests to which a reading may be the answer; times on the clock here, ms. */
export interface AskedAt {
  /** When the request was sent that it answers. */
  readonly thisMs?: number;
  /**
   * When the oldest request was sent that it may answer. Means something only when the RD's clock has begun anew: a process
   * that has just started tells nobody anything who has not asked.
   */
  readonly someMs?: number;
}

/** The reading written as `<run>-<ms>`, both in lower-case hexadecimal, or null when it is none. Pure. */
export function parseClockReading(text: unknown): ClockReading | null {
  const parsed = parseVersion(text);
  return parsed === null ? null : { run: parsed.epoch, ms: parsed.counter };
}

/**
 * What the clock of an RD shows, in terms of the clock here, so that `lt-age` can be counted from the moment of sending: a
 * notification may be on its way for seconds.
 *
 * A reading was made before it was received, and an answer not before it was asked for: each bounds the difference of the two
 * clocks from one side. Clocks drift apart, so that old bounds loosen. The difference in use (the basis) changes only when it
 * falls out of the bounds, and then by a step that the times of all records have to follow; where nothing is known better it
 * is the lowest possible, which ends records too early rather than too late.
 */
export class RemoteClock {
  #run: number | null = null;
  #lowest = Number.NEGATIVE_INFINITY;
  #highest = Number.POSITIVE_INFINITY;
  #boundedAtMs = 0;
  #basis = 0;
  #shift = 0;

  /** Take a reading received at `receivedAtMs`. */
  note({ run, ms }: ClockReading, receivedAtMs: number, asked: AskedAt = {}): void {
    const isOther = run !== this.#run;
    const highest = receivedAtMs - ms;
    const askedAtMs = asked.thisMs ?? (isOther ? asked.someMs : undefined);
    const lowest = askedAtMs === undefined ? Number.NEGATIVE_INFINITY : askedAtMs - ms;
    const drift = (receivedAtMs - this.#boundedAtMs) * CLOCK_DRIFT;
    this.#highest = isOther ? highest : Math.min(highest, this.#highest + drift);
    this.#lowest = isOther ? lowest : Math.max(lowest, this.#lowest - drift);
    this.#boundedAtMs = receivedAtMs;
    if (this.#lowest > this.#highest) {
      // One of the two clocks was stopped or set: what was known before is void.
      this.#lowest = lowest;
      this.#highest = highest;
    }
    if (isOther) this.#begin(run);
    else this.#follow();
  }

  /** Which run of its clock the RD is in; null: not known. */
  get run(): number | null {
    return this.#run;
  }

  /** A moment of the RD's clock, here. */
  toLocalMs(ms: number): number {
    return ms + this.#basis;
  }

  /** How far apart the bounds of the difference are at `nowMs`; 0 while there is no reading. */
  uncertaintyMs(nowMs: number): number {
    if (this.#run === null) return 0;
    return this.#highest - this.#lowest + 2 * (nowMs - this.#boundedAtMs) * CLOCK_DRIFT;
  }

  /** By how much the basis has moved since this was asked last: what was computed before is to be moved as well. */
  takeShiftMs(): number {
    const shift = this.#shift;
    this.#shift = 0;
    return shift;
  }

  #begin(run: number): void {
    this.#run = run;
    this.#basis = this.#lowest === Number.NEGATIVE_INFINITY ? this.#highest : this.#lowest;
    this.#shift = 0;
  }

  #follow(): void {
    const target = Math.min(Math.max(this.#basis, this.#lowest), this.#highest);
    const step = target - this.#basis;
    // Never later than received; earlier only by steps that are worth it.
    if (step === 0 || (step > 0 && step < CLOCK_SHIFT_MS)) return;
    this.#basis = target;
    this.#shift += step;
  }
}
