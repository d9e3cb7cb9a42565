import type { Clock, Timer } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import type { OutgoingMessage } from "../message/message.js";
import type { Transmission, TransmissionListener } from "../message/transmission.js";
import type { RequestChannel } from "./request-channel.js";
import { unreachable } from "./request-exchange.js";

/** One registration or deregistration message, until the response to it (RFC 7641 section 3.1, 3.6). */
export class ObservationRegistration implements TransmissionListener {
  readonly #deps: { clock: Clock; channel: RequestChannel };
  readonly #onFailure: (error: TransportError) => void;
  #transmission: Transmission | null = null;
  #timer: Timer | null = null;
  #isAcknowledged = false;
  #isOver = false;
  #sentAtMs = 0;

  constructor(deps: { clock: Clock; channel: RequestChannel }, onFailure: (error: TransportError) => void) {
    this.#deps = deps;
    this.#onFailure = onFailure;
  }

  /** `timeoutMs` absent: the longest time that a response may take. */
  send(token: Uint8Array, message: OutgoingMessage, isConfirmable: boolean, timeoutMs: number | undefined): void {
    const waitMs = timeoutMs ?? this.#deps.channel.maxWaitMs;
    this.#timer = this.#deps.clock.setTimer(waitMs, () => this.onTimeout());
    this.#isAcknowledged = !isConfirmable;
    this.#sentAtMs = this.#deps.clock.nowMs();
    this.#transmission = this.#deps.channel.send(token, message, isConfirmable, this);
  }

  /**
   * Whether a response with the token of the observation is the response to this message. One that is not piggybacked may also be an
   * earlier notification, unless it is the first one.
   */
  isResponse(isPiggybacked: boolean, isFirst: boolean): boolean {
    return isPiggybacked || isFirst || this.#isAcknowledged;
  }

  onAcknowledged(): void {
    this.#isAcknowledged = true;
  }

  onReset(): void {
    this.#fail(new TransportError("RESET", "the peer rejected the registration"));
  }

  onTimeout(): void {
    if (!this.#isOver) this.#deps.channel.timedOut?.(this.#sentAtMs);
    this.#fail(new TransportError("TIMEOUT", "no response to the registration"));
  }

  onUnreachable(cause: Error): void {
    this.#fail(unreachable(cause));
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#transmission?.cancel();
  }

  #fail(error: TransportError): void {
    if (this.#isOver) return;
    this.stop();
    this.#onFailure(error);
  }
}
