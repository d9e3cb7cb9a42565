import type { Clock, Timer } from "@tributary/runtime";
import { isSystemError, TransportError } from "../errors.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import type { Transmission, TransmissionListener } from "../message/transmission.js";
import type { RequestChannel, ResponseListener } from "./request-channel.js";
import { hasUnknownCritical } from "./response.js";

/** One request message and its response (RFC 7252 section 5.2, 5.3). */
export class RequestExchange implements ResponseListener, TransmissionListener {
  readonly #clock: Clock;
  readonly #channel: RequestChannel;
  readonly #settle: (result: Message | TransportError) => void;
  readonly #token: Uint8Array;
  readonly #sentAtMs: number;
  readonly #transmission: Transmission;
  readonly #isRelayed: boolean;
  #timer: Timer | null = null;
  #isOver = false;

  /** Sends the message; calls `settle` once, later. */
  constructor(
    deps: { clock: Clock; channel: RequestChannel },
    request: { message: OutgoingMessage; isConfirmable: boolean; isRelayed?: boolean },
    settle: (result: Message | TransportError) => void,
  ) {
    this.#clock = deps.clock;
    this.#channel = deps.channel;
    this.#settle = settle;
    this.#isRelayed = request.isRelayed ?? false;
    this.#token = deps.channel.newToken();
    this.#sentAtMs = deps.clock.nowMs();
    deps.channel.bind(this.#token, this);
    this.#transmission = deps.channel.send(this.#token, request.message, request.isConfirmable, this);
    if (!request.isConfirmable) this.#waitForResponse();
  }

  onResponse(message: Message): boolean {
    if (hasUnknownCritical(message.options, this.#isRelayed)) {
      this.finish(new TransportError("MALFORMED", "the response has a critical option that is not understood"));
      return false;
    }
    this.finish(message);
    return true;
  }

  onClosed(error: TransportError): void {
    this.finish(error);
  }

  onAcknowledged(): void {
    this.#waitForResponse(); // RFC 7252 section 5.2.2: the response is separate
  }

  onReset(): void {
    this.finish(new TransportError("RESET", "the peer rejected the request"));
  }

  onTimeout(): void {
    this.finish(new TransportError("TIMEOUT", "no response after all retransmissions"));
  }

  onUnreachable(cause: Error): void {
    this.finish(unreachable(cause));
  }

  /** Ends the exchange with this result, unless it has ended. */
  finish(result: Message | TransportError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#channel.unbind(this.#token);
    this.#transmission.cancel();
    if (result instanceof TransportError && result.code === "TIMEOUT") this.#channel.timedOut?.(this.#sentAtMs);
    this.#settle(result);
  }

  #waitForResponse(): void {
    if (this.#isOver) return;
    const leftMs = Math.max(0, this.#sentAtMs + this.#channel.maxWaitMs - this.#clock.nowMs());
    this.#timer = this.#clock.setTimer(leftMs, () => {
      this.finish(new TransportError("TIMEOUT", "acknowledged, but no response came"));
    });
  }
}

/** Returns the error for what a socket reports about a datagram or a peer. */
export function unreachable(cause: Error): TransportError {
  if (cause instanceof TransportError) return cause;
  if (!isSystemError(cause))
    return new TransportError("INTERNAL", `an unexpected exception: ${cause.message}`, { cause });
  return cause.code === "EMSGSIZE"
    ? new TransportError("TOO_LARGE", "the request does not fit a datagram", { cause })
    : new TransportError("UNREACHABLE", `the peer cannot be reached: ${cause.message}`, { cause });
}
