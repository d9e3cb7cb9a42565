import type { OutgoingMessage } from "../message/message.js";
import type { Peer, PeerIdentity } from "../types.js";
import type { OpenedRequest } from "./server-protection.js";

/**
 * The sender of a protected request. The same address under another security context, or under none, is another peer: neither sees
 * the observations and block-wise transfers of the other.
 */
export class ProtectedPeer implements Peer {
  readonly key: string;
  readonly transport: Peer["transport"];
  readonly address: string;
  readonly zone?: string;
  readonly port: number;
  readonly local?: string;
  readonly identity: PeerIdentity;
  /** The peer as the transport knows it. */
  readonly outer: Peer;
  readonly #request: OpenedRequest;

  constructor(outer: Peer, request: OpenedRequest) {
    this.outer = outer;
    this.#request = request;
    this.key = `${outer.key} ${request.contextKey}`;
    this.transport = outer.transport;
    this.address = outer.address;
    if (outer.zone !== undefined) this.zone = outer.zone;
    this.port = outer.port;
    if (outer.local !== undefined) this.local = outer.local;
    this.identity = request.identity;
  }

  /** Encrypts a response to the request of this peer. */
  seal(message: OutgoingMessage): OutgoingMessage {
    return this.#request.seal(message);
  }

  /** Encrypts requests to this peer. */
  protect: OpenedRequest["protect"] = (channel) => this.#request.protect(channel);
}
