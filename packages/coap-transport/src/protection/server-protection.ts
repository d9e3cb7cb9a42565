import type { RequestChannel } from "../client/request-channel.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import type { Peer, PeerIdentity } from "../types.js";

/**
 * Protection of single messages at a server, as by OSCORE (RFC 8613). It stands between the transport and everything else, so that
 * block-wise transfer and Observe work on what was decrypted.
 */
export interface ServerProtection {
  /** Decrypts a request with an OSCORE option. */
  open(message: Message, peer: Peer): OpenedRequest | RefusedRequest;
}

/** A request that was decrypted. */
export interface OpenedRequest {
  readonly kind: "opened";
  readonly message: Message;
  readonly identity: PeerIdentity;
  /** Equal for requests of one security context, and for no others. */
  readonly contextKey: string;
  /** Encrypts a response to this request, and any further one, such as a notification. */
  seal(response: OutgoingMessage): OutgoingMessage;
  /** Encrypts requests of this side to the sender. */
  protect(channel: RequestChannel): RequestChannel;
}

/** A request that is not looked at any further. */
export interface RefusedRequest {
  readonly kind: "refused";
  readonly response: OutgoingMessage;
  /** Name of the reason in counters, such as `oscore-replay`. */
  readonly cause: string;
}
