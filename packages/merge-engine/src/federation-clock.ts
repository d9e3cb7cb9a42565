import { FEDERATION_TOLERANCE_MS, HASTE_MS, LONGEST_LEAD_MS } from "./constants.js";

/** Readings of two clocks are of one moment when no more lies between, ms. */
const READING_MS = 50;

/** A wall-clock time to whole microseconds, ms: every proxy computes the same number from what it was told. Pure. */
export function wholeMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/**
 * Federation time: what this node takes for the time of all RDs and proxies that it is connected with, so that renewals at
 * different RDs can be compared. It is the wall clock of this node plus a lead, which is 0 where wall clocks agree (NTP).
 *
 * As in a hybrid logical clock, a node that hears of a federation time more than the tolerance ahead of its own goes there,
 * and none ever goes back. What was heard is older than its arrival, so nobody overtakes the fastest clock, and after some
 * messages all are as far ahead as that one, but for the tolerance. How far a message was under way need not be known.
 *
 * Pure; times of this node are milliseconds on its monotonic clock.
 */
export class FederationClock {
  #wallOffsetMs = 0;
  #leadMs = 0;
  #isSet = false;
  #followedAtMs = Number.NEGATIVE_INFINITY;
  readonly #listeners = new Set<(isRebased: boolean, nowMs: number) => void>();

  /** False until the wall clock of this node was read. */
  get isSet(): boolean {
    return this.#isSet;
  }

  /** How far federation time is ahead of the wall clock of this node, whole ms, 0 or more. */
  get leadMs(): number {
    return this.#leadMs;
  }

  /** Called after a change: of the wall clock (`isRebased`: every stamp of this node is another one), or of the lead alone. */
  onChange(listener: (isRebased: boolean, nowMs: number) => void): void {
    this.#listeners.add(listener);
  }

  /** Wall-clock time of this node at a moment of its monotonic clock, ms since the Unix epoch, to whole microseconds. */
  stampOf(ms: number): number {
    return wholeMicroseconds(ms + this.#wallOffsetMs);
  }

  /** Federation time at a moment of the monotonic clock here, ms since the Unix epoch. */
  timeAt(ms: number): number {
    return this.stampOf(ms) + this.#leadMs;
  }

  /**
   * Reads the clocks of this node: to be called before something is stamped or told. A process that is held up between the two
   * learns nothing from them.
   */
  follow(clock: { nowMs(): number; wallMs(): number }): void {
    const startMs = clock.nowMs();
    const wallMs = clock.wallMs();
    const endMs = clock.nowMs();
    if (!this.#isSet || endMs - startMs <= READING_MS) this.noteWall(endMs, wallMs);
  }

  /** Follow the wall clock of this node: from the first reading on, and after each step that is larger than the tolerance. */
  noteWall(nowMs: number, wallMs: number): void {
    const step = Math.round(wallMs - nowMs - this.#wallOffsetMs);
    if (this.#isSet && Math.abs(step) <= FEDERATION_TOLERANCE_MS) return;
    // Set back, the wall clock leaves federation time where it is; set forward, it uses up the lead first.
    const isRebased = this.#isSet;
    if (isRebased) this.#leadMs = Math.max(0, this.#leadMs - step);
    this.#wallOffsetMs += step;
    this.#isSet = true;
    this.#tell(isRebased, nowMs);
  }

  /** Somebody else's federation time was at least `timeMs` when it was told. Returns whether this node goes there. */
  observe(timeMs: number, nowMs: number): boolean {
    const leadMs = Math.ceil(timeMs - this.stampOf(nowMs));
    const isAhead = leadMs > this.#leadMs + FEDERATION_TOLERANCE_MS;
    // Everything that this node tells is told once more: not at the pace of somebody who makes a game of it.
    if (!this.#isSet || !isAhead || leadMs > LONGEST_LEAD_MS || nowMs - this.#followedAtMs < HASTE_MS) return false;
    this.#followedAtMs = nowMs;
    this.#leadMs = leadMs;
    this.#tell(false, nowMs);
    return true;
  }

  #tell(isRebased: boolean, nowMs: number): void {
    for (const listener of this.#listeners) listener(isRebased, nowMs);
  }
}
