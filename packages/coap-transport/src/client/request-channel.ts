import type { TransportError } from "../errors.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import type { StreamCapacity } from "../message/stream-capacity.js";
import type { Transmission, TransmissionListener } from "../message/transmission.js";
import type { Peer } from "../types.js";

/** Receives the responses with one token. */
export interface ResponseListener {
  /**
   * Called with each new response with the token from the peer. `isPiggybacked`: it came in the ACK of a request, not on its own.
   * False rejects it (RFC 7252 section 4.2). A promise takes it, and asks for patience: the peer should send no more until it is settled.
   */
  onResponse(message: Message, isPiggybacked: boolean): boolean | Promise<unknown>;
  /** Called when the channel is closed: no response comes any more. */
  onClosed(error: TransportError): void;
}

/** A channel for requests to one peer, over any transport. */
export interface RequestChannel {
  readonly peer: Peer;
  /** Messages arrive in the order in which they were sent (RFC 8323 appendix A). Default false. */
  readonly isOrdered?: boolean;
  /** Byte streams carry larger messages and blocks; absent for datagrams. */
  readonly capacity?: StreamCapacity;
  /** Blocks of a body that may be requested at once. Default 1. */
  readonly maxParallelBlocks?: number;
  /** Called when a request that was sent at this time (monotonic, ms) got no response in time. */
  timedOut?(sentAtMs: number): void;
  /** Reads nothing more from the peer until the returned function is called. Absent where the peer cannot be made to wait. */
  holdBack?(): () => void;
  /** Returns a random token that is not in use towards this peer (RFC 7252 section 5.3.1). */
  newToken(): Uint8Array;
  /** Passes responses with `token` to `listener` from now on. */
  bind(token: Uint8Array, listener: ResponseListener): void;
  /** Passes no further responses with `token` to its listener; a token that is not bound is ignored. */
  unbind(token: Uint8Array): void;
  /** Sends a request. */
  send(
    token: Uint8Array,
    message: OutgoingMessage,
    isConfirmable: boolean,
    listener: TransmissionListener,
  ): Transmission;
  /** Sends a ping (RFC 7252 section 4.3, RFC 8323 section 5.4). RST and Pong are reported as `onReset`. */
  ping(listener: TransmissionListener): Transmission;
  /** Longest time from a request to its response, ms (MAX_TRANSMIT_WAIT, RFC 7252 section 4.8.2). */
  readonly maxWaitMs: number;
  /** Longest time until one transmission is acknowledged, ms. */
  readonly ackTimeoutMs: number;
}
