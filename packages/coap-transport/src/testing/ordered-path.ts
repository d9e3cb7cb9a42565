import type { Clock, Timer } from "@tributary/runtime";

/** First pause before bytes that were lost are sent again, ms, and the longest (RFC 6298 section 5; that of Linux). */
const FIRST_RETRANSMISSION_MS = 200;
const LONGEST_RETRANSMISSION_MS = 120_000;
/** Something that got lost again and again is given up after so long, ms (RFC 9293 section 3.8.3; that of Linux). */
const GIVE_UP_MS = 924_000;

/** Time on the way of one attempt, ms; null: lost. */
export type Transit = () => number | null;

/** One direction of a byte stream over a network that loses: everything arrives once, in order, or nothing after it does. */
export class OrderedPath {
  readonly #clock: Clock;
  readonly #transit: Transit;
  readonly #onGivenUp: () => void;
  readonly #waiting: (() => void)[] = [];
  readonly #underWay: (() => void)[] = [];
  #arrivesAtMs = 0;
  #retransmission: Timer | null = null;
  #pauseMs = FIRST_RETRANSMISSION_MS;
  #lostSinceMs: number | null = null;
  #isClosed = false;

  constructor(clock: Clock, transit: Transit, onGivenUp: () => void) {
    this.#clock = clock;
    this.#transit = transit;
    this.#onGivenUp = onGivenUp;
  }

  /** `arrive` is called after everything that was sent before has arrived. */
  send(arrive: () => void): void {
    this.#waiting.push(arrive);
    if (this.#retransmission === null) this.#sendWaiting();
  }

  /** What is on its way arrives; nothing is sent any more. */
  close(): void {
    this.#isClosed = true;
    this.#retransmission?.cancel();
    this.#waiting.length = 0;
  }

  #sendWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const delayMs = this.#transit();
      if (delayMs === null) {
        this.#wait();
        return;
      }
      this.#lostSinceMs = null;
      this.#pauseMs = FIRST_RETRANSMISSION_MS;
      this.#waiting.shift();
      this.#underWay.push(next);
      const nowMs = this.#clock.nowMs();
      this.#arrivesAtMs = Math.max(this.#arrivesAtMs, nowMs + delayMs);
      this.#clock.setTimer(this.#arrivesAtMs - nowMs, () => this.#underWay.shift()?.());
    }
  }

  #wait(): void {
    const nowMs = this.#clock.nowMs();
    this.#lostSinceMs ??= nowMs;
    if (nowMs - this.#lostSinceMs >= GIVE_UP_MS) {
      this.close();
      this.#onGivenUp();
      return;
    }
    this.#retransmission = this.#clock.setTimer(this.#pauseMs, () => {
      this.#retransmission = null;
      if (!this.#isClosed) this.#sendWaiting();
    });
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_RETRANSMISSION_MS);
  }
}
