import type { TransportError } from "../errors.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import type { StreamCapacity } from "../message/stream-capacity.js";
import type { Peer } from "../types.js";

/** Whoever waits for responses with some token. */
export interface ResponseSink {
  /**
   * A response with that token, from that peer, not seen before. `isPiggybacked` says that it came as the direct answer
   * to a request of ours rather than on its own. False rejects it (RFC 7252 section 4.2).
   */
  onResponse(message: Message, isPiggybacked: boolean): boolean;
  /** The way to the peer has ended: nothing comes any more. */
  onClosed(error: TransportError): void;
}

/** What became of a request message, as far as the layer below can tell. At most one call. */
export interface SendSink {
  /** It arrived; a response, if any, comes to the ResponseSink. */
  onAcknowledged(): void;
  onReset(): void;
  onTimeout(): void;
  onUnreachable(error: Error): void;
}

/** The way to one peer, whatever the transport. */
export interface RequestChannel {
  readonly peer: Peer;
  /** Messages arrive in the order in which they were sent (RFC 8323 appendix A). Default false. */
  readonly isOrdered?: boolean;
  /** Byte streams carry larger messages and blocks; absent for datagrams. */
  readonly capacity?: StreamCapacity;
  /** A token that is random and not in use towards this peer (RFC 7252 section 5.3.1). */
  newToken(): Uint8Array;
  /** Responses with `token` go to `sink` from now on. */
  bind(token: Uint8Array, sink: ResponseSink): void;
  unbind(token: Uint8Array): void;
  /** Send a request. `cancel` stops retransmission. */
  send(token: Uint8Array, message: OutgoingMessage, isConfirmable: boolean, sink: SendSink): { cancel(): void };
  /** Ask for a sign of life (RFC 7252 section 4.3: RST; RFC 8323 section 5.4: Pong); either counts as `onReset`. */
  ping(sink: SendSink): { cancel(): void };
  /** How long a response may take in all (MAX_TRANSMIT_WAIT, RFC 7252 section 4.8.2). */
  readonly patienceMs: number;
  /** How long one transmission may take to be acknowledged at most. */
  readonly ackTimeoutMs: number;
}
