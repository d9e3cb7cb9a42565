import { CLOCK_DRIFT, CLOCK_SHIFT_MS } from "../constants.js";
import { formatVersion, parseVersion } from "../version.js";

/** What the wall clock of an RD showed at the moment of a reading. */
export interface WallReading {
  /** Wall-clock time, ms since the Unix epoch, whole microseconds. */
  readonly stampMs: number;
  /** How far federation time is ahead of it at the RD, ms. */
  readonly leadMs: number;
}

/** A reading of the monotonic clock of an RD: `run` differs each time that this clock started. */
export interface ClockReading {
  readonly run: number;
  readonly ms: number;
  /** Absent: the RD does not tell. */
  readonly wall?: WallReading;
}

/** What is known of the requests to which a reading may be the answer; times on the clock here, ms. */
export interface AskedAt {
  /** When the request was sent that it answers. */
  readonly thisMs?: number;
  /**
   * When the oldest request was sent that it may answer. Means something only when the RD's clock has started again: a process
   * that has just started tells nobody anything who has not asked.
   */
  readonly someMs?: number;
}

const READING_TEXT = /^([0-9a-f]{1,6}-[0-9a-f]{1,10})(?:-([0-9a-f]{1,13})(?:-([0-9a-f]{1,12}))?)?$/;

/**
 * The reading written as `<run>-<ms>`, `<run>-<ms>-<wall µs>` or `<run>-<ms>-<wall µs>-<lead ms>`, all in lower-case
 * hexadecimal, or null when it is none. Pure.
 */
export function parseClockReading(text: unknown): ClockReading | null {
  const [, reading, wallUs, leadMs = "0"] = (typeof text === "string" ? READING_TEXT.exec(text) : null) ?? [];
  const parsed = parseVersion(reading);
  if (parsed === null) return null;
  const { epoch: run, counter: ms } = parsed;
  if (wallUs === undefined) return { run, ms };
  return { run, ms, wall: { stampMs: Number.parseInt(wallUs, 16) / 1000, leadMs: Number.parseInt(leadMs, 16) } };
}

/** The text that `parseClockReading` reads. Pure. */
export function formatClockReading({ run, ms, wall }: ClockReading): string {
  const text = formatVersion({ epoch: run, counter: ms });
  if (wall === undefined) return text;
  const wallText = `${text}-${Math.round(wall.stampMs * 1000).toString(16)}`;
  return wall.leadMs === 0 ? wallText : `${wallText}-${wall.leadMs.toString(16)}`;
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
  #latest: ClockReading | null = null;

  /** Take a reading received at `receivedAtMs`. */
  note(reading: ClockReading, receivedAtMs: number, asked: AskedAt = {}): void {
    const { run, ms } = reading;
    const isOther = run !== this.#run;
    if (isOther || this.#latest === null || ms >= this.#latest.ms) this.#latest = reading;
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

  /** What the RD's wall clock showed at its latest reading; null: it does not tell, undefined: there is no reading yet. */
  get wall(): WallReading | null | undefined {
    return this.#latest === null ? undefined : (this.#latest.wall ?? null);
  }

  /** Federation time of the RD at `nowMs` is at least and at most this, ms; null while it does not tell. */
  federationTime(nowMs: number): { readonly leastMs: number; readonly mostMs: number } | null {
    if (this.#latest?.wall === undefined) return null;
    const { ms, wall } = this.#latest;
    const timeMs = wall.stampMs + wall.leadMs - ms + nowMs;
    const drift = (nowMs - this.#boundedAtMs) * CLOCK_DRIFT;
    return { leastMs: timeMs - this.#highest - drift, mostMs: timeMs - this.#lowest + drift };
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
