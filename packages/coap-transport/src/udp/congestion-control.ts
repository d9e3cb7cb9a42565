import type { Random } from "@tributary/runtime";
import type { TransmissionParameters } from "../types.js";

/** Messages in transit to a peer whose path is not known yet, as for TCP (RFC 6928). */
const INITIAL_WINDOW = 10;
/** Smallest window after losses: of two messages, the second shows whether the first was lost. */
const MIN_WINDOW = 2;
/** Window after a loss when messages wait in a queue on the path, and when the loss seems to be random. */
const QUEUE_BACKOFF = 0.5;
const RANDOM_LOSS_BACKOFF = 0.9;
/** With fewer messages than this in queues on the path, a loss is not due to congestion. */
const QUEUED_MESSAGES = 3;
/** Least margin of the timeout over the round-trip time, ms: peers may delay an ACK to piggyback the response. */
const MIN_MARGIN_MS = 200;
/** Longest time between retransmissions to a measured peer, ms, so that a peer that is back is noticed soon. */
const MAX_INTERVAL_MS = 5000;
/** Lifetime of the least round-trip time, ms: the path may have changed. */
const LEAST_RTT_LIFETIME_MS = 60_000;

/**
 * Congestion control towards one peer (RFC 7252 section 4.7 allows more than one outstanding message with it). The window grows as
 * that of TCP (RFC 5681) and shrinks once per round trip with losses, by how much depends on the queue that the round-trip times show
 * (as in TCP Veno); several timeouts without an acknowledgement reduce it to the minimum (RFC 9002 section 7.6). The retransmission
 * timeout is that of RFC 6298. It is pure: times are arguments, in ms on any monotonic clock.
 */
export class CongestionControl {
  readonly #maxWindow: number;
  #window: number;
  #threshold = Number.POSITIVE_INFINITY;
  #smoothedRttMs: number | null = null;
  #rttVariationMs = 0;
  #lastRttMs = 0;
  #leastRttMs = Number.POSITIVE_INFINITY;
  #leastRttAtMs = 0;
  /** Round trips that ended in a timeout since the last acknowledgement. */
  #timeouts = 0;
  /** Losses of transmissions up to this number belong to the last reduction. */
  #recoveryEnd = -1;

  constructor(options: { readonly maxWindow: number }) {
    this.#maxWindow = options.maxWindow;
    this.#window = Math.min(INITIAL_WINDOW, options.maxWindow);
  }

  /** Messages that may be in transit. */
  get window(): number {
    return Math.floor(this.#window);
  }

  /** The timeout of a first transmission, ms; null before the first measurement. */
  get timeoutMs(): number | null {
    if (this.#smoothedRttMs === null) return null;
    const ms = this.#smoothedRttMs + Math.max(MIN_MARGIN_MS, 4 * this.#rttVariationMs);
    return Math.min(ms * 2 ** Math.min(this.#timeouts, 4), MAX_INTERVAL_MS);
  }

  /**
   * Time since its transmission after which a message that later ones have overtaken is lost, ms: until then it may have been
   * reordered (RFC 9002 section 6.1.2, with the variation of the round trip in addition).
   */
  get reorderingMs(): number {
    const smoothedMs = this.#smoothedRttMs ?? 0;
    return smoothedMs + Math.max(smoothedMs / 8, 4 * this.#rttVariationMs);
  }

  /**
   * A transmission with this number was acknowledged. `rttMs`: null if it had been retransmitted, as then it is not known which of
   * them was acknowledged (RFC 6298 section 3). `inTransit`: messages in transit before, this one included.
   */
  acknowledged(
    number: number,
    rttMs: number | null,
    state: { readonly inTransit: number; readonly nowMs: number },
  ): void {
    if (rttMs !== null) this.#measure(rttMs, state.nowMs);
    this.#timeouts = 0;
    // A window that was not used says nothing about the path (RFC 7661).
    const isUsed = 2 * state.inTransit >= this.#window;
    if (!isUsed || number <= this.#recoveryEnd) return;
    const growth = this.#window < this.#threshold ? 1 : 1 / this.#window;
    this.#window = Math.min(this.#maxWindow, this.#window + growth);
  }

  /** The transmission with this number was lost; `lastNumber` is that of the last transmission. `isTimeout`: nothing else showed it. */
  lost(number: number, lastNumber: number, isTimeout: boolean): void {
    if (number <= this.#recoveryEnd) return;
    if (isTimeout && ++this.#timeouts > 1) {
      this.#threshold = Math.max(MIN_WINDOW, this.#window / 2);
      this.#window = Math.min(MIN_WINDOW, this.#maxWindow);
      this.#recoveryEnd = lastNumber;
      return;
    }
    this.#recoveryEnd = lastNumber;
    const queued = this.#lastRttMs === 0 ? 0 : this.#window * (1 - this.#leastRttMs / this.#lastRttMs);
    const factor = queued < QUEUED_MESSAGES ? RANDOM_LOSS_BACKOFF : QUEUE_BACKOFF;
    this.#window = Math.min(this.#maxWindow, Math.max(MIN_WINDOW, this.#window * factor));
    this.#threshold = this.#window;
  }

  /** RFC 6298 section 2. */
  #measure(rttMs: number, nowMs: number): void {
    this.#lastRttMs = rttMs;
    if (rttMs <= this.#leastRttMs || nowMs - this.#leastRttAtMs > LEAST_RTT_LIFETIME_MS) {
      this.#leastRttMs = rttMs;
      this.#leastRttAtMs = nowMs;
    }
    if (this.#smoothedRttMs === null) {
      this.#smoothedRttMs = rttMs;
      this.#rttVariationMs = rttMs / 2;
      return;
    }
    this.#rttVariationMs += (Math.abs(this.#smoothedRttMs - rttMs) - this.#rttVariationMs) / 4;
    this.#smoothedRttMs += (rttMs - this.#smoothedRttMs) / 8;
  }
}

/** Times of one message: when it is retransmitted, and when it is given up. */
export interface RetransmissionPlan {
  /** Until the first retransmission, ms; doubled with each further one. */
  readonly firstTimeoutMs: number;
  /** Upper bound of the doubled timeout, ms. */
  readonly maxTimeoutMs: number;
  /** Time from the first transmission after which nothing is sent any more, ms (MAX_TRANSMIT_SPAN, RFC 7252 section 4.8.2). */
  readonly spanMs: number;
  /** Time from the first transmission after which the message is given up, ms (MAX_TRANSMIT_WAIT). */
  readonly waitMs: number;
}

/**
 * Returns the plan for a message: RFC 7252 section 4.2 for a peer that is not measured. A measured peer is retransmitted to more often,
 * within the same time.
 */
export function retransmissionPlan(
  { ackTimeoutMs, ackRandomFactor, maxRetransmit }: TransmissionParameters,
  measuredTimeoutMs: number | null,
  random: Random,
): RetransmissionPlan {
  const factor = 1 + random() * (ackRandomFactor - 1);
  const rfcTimeoutMs = ackTimeoutMs * factor;
  const isMeasured = measuredTimeoutMs !== null && measuredTimeoutMs < ackTimeoutMs;
  return {
    firstTimeoutMs: isMeasured ? measuredTimeoutMs * factor : rfcTimeoutMs,
    maxTimeoutMs: isMeasured ? Math.min(MAX_INTERVAL_MS, rfcTimeoutMs * 2 ** maxRetransmit) : Number.POSITIVE_INFINITY,
    spanMs: rfcTimeoutMs * (2 ** maxRetransmit - 1),
    waitMs: rfcTimeoutMs * (2 ** (maxRetransmit + 1) - 1),
  };
}
