import type { Clock, Timer } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import type { OutgoingMessage } from "../message/message.js";
import type { RequestChannel, SendSink } from "./request-channel.js";
import { unreachable } from "./request-exchange.js";

/** One (de)registration message of an observation, until it is answered (RFC 7641 section 3.1, 3.6). */
export class ObservationRegistration implements SendSink {
  readonly #deps: { clock: Clock; channel: RequestChannel };
  readonly #onFailure: (error: TransportError) => void;
  #sending: { cancel(): void } | null = null;
  #timer: Timer | null = null;
  #isAcknowledged = false;
  #isOver = false;

  constructor(deps: { clock: Clock; channel: RequestChannel }, onFailure: (error: TransportError) => void) {
    this.#deps = deps;
    this.#onFailure = onFailure;
  }

  /** `timeoutMs` absent: as long as a response may take. */
  send(token: Uint8Array, message: OutgoingMessage, isConfirmable: boolean, timeoutMs: number | undefined): void {
    const waitMs = timeoutMs ?? this.#deps.channel.patienceMs;
    this.#timer = this.#deps.clock.setTimer(waitMs, () => this.onTimeout());
    this.#isAcknowledged = !isConfirmable;
    this.#sending = this.#deps.channel.send(token, message, isConfirmable, this);
  }

  /**
   * Is a response with the observation's token the answer to this? What comes on its own may also be a notification of
   * before, unless none has come yet (`isFirst`).
   */
  isAnsweredBy(isPiggybacked: boolean, isFirst: boolean): boolean {
    return isPiggybacked || isFirst || this.#isAcknowledged;
  }

  onAcknowledged(): void {
    this.#isAcknowledged = true;
  }

  onReset(): void {
    this.#fail(new TransportError("RESET", "the peer rejected the registration"));
  }

  onTimeout(): void {
    this.#fail(new TransportError("TIMEOUT", "the registration was not answered"));
  }

  onUnreachable(cause: Error): void {
    this.#fail(unreachable(cause));
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#sending?.cancel();
  }

  #fail(error: TransportError): void {
    if (this.#isOver) return;
    this.stop();
    this.#onFailure(error);
  }
}
