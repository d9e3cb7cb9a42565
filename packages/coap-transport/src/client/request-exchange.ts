import type { Clock, Timer } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import type { RequestChannel, ResponseSink, SendSink } from "./request-channel.js";
import { hasUnknownCritical } from "./response.js";

/** One request message and the one response to it (RFC 7252 section 5.2, 5.3). */
export class RequestExchange implements ResponseSink, SendSink {
  readonly #clock: Clock;
  readonly #channel: RequestChannel;
  readonly #settle: (result: Message | TransportError) => void;
  readonly #token: Uint8Array;
  readonly #deadlineMs: number;
  readonly #sending: { cancel(): void };
  readonly #isRelayed: boolean;
  #timer: Timer | null = null;
  #isOver = false;

  /** Sends at once; calls `settle` exactly once. */
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
    this.#deadlineMs = deps.clock.nowMs() + deps.channel.patienceMs;
    deps.channel.bind(this.#token, this);
    this.#sending = deps.channel.send(this.#token, request.message, request.isConfirmable, this);
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
    this.#waitForResponse(); // RFC 7252 section 5.2.2: it comes on its own
  }

  onReset(): void {
    this.finish(new TransportError("RESET", "the peer rejected the request"));
  }

  onTimeout(): void {
    this.finish(new TransportError("TIMEOUT", "no answer after all retransmissions"));
  }

  onUnreachable(cause: Error): void {
    this.finish(unreachable(cause));
  }

  /** End with this result unless it ended before. */
  finish(result: Message | TransportError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#channel.unbind(this.#token);
    this.#sending.cancel();
    this.#settle(result);
  }

  #waitForResponse(): void {
    if (this.#isOver) return;
    const leftMs = Math.max(0, this.#deadlineMs - this.#clock.nowMs());
    this.#timer = this.#clock.setTimer(leftMs, () => {
      this.finish(new TransportError("TIMEOUT", "acknowledged, but no response came"));
    });
  }
}

/** What the operating system says about a datagram that could not be sent or was refused. */
export function unreachable(cause: Error): TransportError {
  if (cause instanceof TransportError) return cause;
  const isTooLarge = "code" in cause && cause.code === "EMSGSIZE";
  return isTooLarge
    ? new TransportError("TOO_LARGE", "the request does not fit a datagram", { cause })
    : new TransportError("UNREACHABLE", `the peer cannot be reached: ${cause.message}`, { cause });
}
