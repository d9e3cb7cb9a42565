import { FEDERATION_TOLERANCE_MS, HASTE_MS, LONGEST_LEAD_MS } from "./constants.js";

/** Longest time between readings of two clocks that count as simultaneous, ms. */
const READING_MS = 50;

/** Rounds a wall-clock time in ms to whole microseconds, so that every proxy computes the same number. Pure. */
export function wholeMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/**
 * Federation time: the common time of the RDs and proxies that this node is connected with, so that renewals at different RDs can
 * be compared. It is the wall clock of this node plus a lead, which is 0 if wall clocks agree (NTP).
 *
 * As in a hybrid logical clock, a node that receives a federation time more than the tolerance ahead of its own moves to it, and
 * no node ever moves back. A received time is older than its arrival, so no node overtakes the fastest clock, and after some
 * messages all are as far ahead as that one, up to the tolerance. The delay of messages need not be known.
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

  /**
   * Calls `listener` after a change of the wall clock (`isRebased`: every stamp of this node changes) or of the lead alone. Returns
   * the unsubscribe function.
   */
  onChange(listener: (isRebased: boolean, nowMs: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
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
   * Reads the clocks of this node; call it before something is stamped or sent. Readings between which the process was held up
   * are ignored.
   */
  follow(clock: { nowMs(): number; wallMs(): number }): void {
    const startMs = clock.nowMs();
    const wallMs = clock.wallMs();
    const endMs = clock.nowMs();
    if (!this.#isSet || endMs - startMs <= READING_MS) this.noteWall(endMs, wallMs);
  }

  /** Follows the wall clock of this node: the first reading, and each step that is larger than the tolerance. */
  noteWall(nowMs: number, wallMs: number): void {
    const step = Math.round(wallMs - nowMs - this.#wallOffsetMs);
    if (this.#isSet && Math.abs(step) <= FEDERATION_TOLERANCE_MS) return;
    // Set back, the wall clock leaves federation time where it is; set forward, it uses up the lead first.
    const isRebased = this.#isSet;
    if (isRebased) this.#leadMs = Math.max(0, this.#leadMs - step);
    this.#wallOffsetMs += step;
    this.#isSet = true;
    this.#notify(isRebased, nowMs);
  }

  /** Takes note that the federation time of another node was at least `timeMs` when it was sent. Returns whether this node moves to it. */
  observe(timeMs: number, nowMs: number): boolean {
    const leadMs = Math.ceil(timeMs - this.stampOf(nowMs));
    const isAhead = leadMs > this.#leadMs + FEDERATION_TOLERANCE_MS;
    // Each step makes this node publish everything again, so a peer must not be able to cause many.
    if (!this.#isSet || !isAhead || leadMs > LONGEST_LEAD_MS || nowMs - this.#followedAtMs < HASTE_MS) return false;
    this.#followedAtMs = nowMs;
    this.#leadMs = leadMs;
    this.#notify(false, nowMs);
    return true;
  }

  #notify(isRebased: boolean, nowMs: number): void {
    for (const listener of this.#listeners) listener(isRebased, nowMs);
  }
}
