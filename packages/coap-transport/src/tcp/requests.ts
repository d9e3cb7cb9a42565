import type { Random } from "@tributary/runtime";
import type { RequestChannel, ResponseListener } from "../client/request-channel.js";
import { TransportError } from "../errors.js";
import { DEFAULT_PARAMETERS, maxTransmitWaitMs } from "../message/codes.js";
import { type Message, type OutgoingMessage, tokenKey } from "../message/message.js";
import type { StreamCapacity } from "../message/stream-capacity.js";
import { newToken } from "../message/tokens.js";
import type { Transmission, TransmissionListener } from "../message/transmission.js";
import type { Peer } from "../types.js";
import type { TcpConnection } from "./connection.js";

export interface TcpRequestsDeps {
  readonly random: Random;
  readonly connection: () => TcpConnection;
  readonly peer: Peer;
}

/**
 * The client side of one connection: matches responses to requests by token. There is neither retransmission nor acknowledgement: what
 * was written arrives, or the connection ends.
 */
export class TcpRequests implements RequestChannel {
  readonly peer: Peer;
  readonly isOrdered = true;
  readonly maxWaitMs = maxTransmitWaitMs(DEFAULT_PARAMETERS);
  readonly ackTimeoutMs = DEFAULT_PARAMETERS.ackTimeoutMs * DEFAULT_PARAMETERS.ackRandomFactor;
  readonly #deps: TcpRequestsDeps;
  readonly #listeners = new Map<string, ResponseListener>();
  #failure: TransportError | null = null;

  constructor(deps: TcpRequestsDeps) {
    this.#deps = deps;
    this.peer = deps.peer;
  }

  get capacity(): StreamCapacity {
    return this.#deps.connection().capacity;
  }

  /** Requests and observations in progress. */
  get size(): number {
    return this.#listeners.size;
  }

  newToken(): Uint8Array {
    return newToken(this.#deps.random, (token) => this.#listeners.has(tokenKey(token)));
  }

  bind(token: Uint8Array, listener: ResponseListener): void {
    this.#listeners.set(tokenKey(token), listener);
  }

  unbind(token: Uint8Array): void {
    this.#listeners.delete(tokenKey(token));
  }

  send(
    token: Uint8Array,
    message: OutgoingMessage,
    _isConfirmable: boolean,
    listener: TransmissionListener,
  ): Transmission {
    const connection = this.#deps.connection();
    if (this.#failure !== null) return settleLater(listener, this.#failure);
    if (connection.isBlocked) return settleLater(listener, new TransportError("OVERLOADED", "the peer does not read"));
    const isSent = connection.send(token, message);
    const tooLarge = new TransportError("TOO_LARGE", "larger than the Max-Message-Size of the peer");
    return settleLater(listener, isSent ? null : tooLarge);
  }

  holdBack(): () => void {
    return this.#deps.connection().holdBack();
  }

  timedOut(sentAtMs: number): void {
    this.#deps.connection().timedOut(sentAtMs);
  }

  ping(listener: TransmissionListener): Transmission {
    return this.#deps.connection().ping((isAlive) => {
      if (isAlive) listener.onReset();
      else listener.onUnreachable?.(this.#failure ?? new TransportError("UNREACHABLE", "the connection is over"));
    });
  }

  /** Passes a response to the listener of its token. False: there is none. */
  handleResponse(message: Message): boolean {
    // Connections are held back, see `holdBack`.
    return (this.#listeners.get(tokenKey(message.token))?.onResponse(message, false) ?? false) !== false;
  }

  /** Fails everything in progress: the connection is over. */
  fail(error: TransportError): void {
    this.#failure ??= error;
    const waiting = [...this.#listeners.values()];
    this.#listeners.clear();
    for (const listener of waiting) listener.onClosed(error);
  }
}

/** Reports the outcome later, as callers do not expect it while they send. */
function settleLater(listener: TransmissionListener, problem: Error | null): Transmission {
  let isCancelled = false;
  queueMicrotask(() => {
    if (isCancelled) return;
    if (problem === null) listener.onAcknowledged();
    else listener.onUnreachable?.(problem);
  });
  return {
    cancel: () => {
      isCancelled = true;
    },
  };
}
