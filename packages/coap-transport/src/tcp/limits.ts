import type { StreamCapacity } from "../message/stream-capacity.js";
import { BERT_UNIT_BYTES } from "../message/stream-capacity.js";
/** Bounds and times of CoAP over TCP. Sizes are in bytes. */
export interface StreamLimits {
  /** Connections to a listener, or of a client, at once. Default 1024. */
  readonly maxConnections: number;
  /** Of these, from one IPv4 address or one IPv6 /64. Default 128. */
  readonly maxConnectionsPerAddress: number;
  /** Largest message taken, announced to peers, and largest one sent (RFC 8323 section 5.3.1). Default 131 072. */
  readonly maxMessageBytes: number;
  /** While so much waits for a peer to read, none of its requests is read and no notification made. Default 1 MiB. */
  readonly maxQueuedBytes: number;
  /** Requests of one connection handled concurrently; beyond that no more are read. Default 64. */
  readonly maxRequestsPerConnection: number;
  /** Payload bytes of the requests of one connection handled concurrently; beyond that no more are read. Default 65 536. */
  readonly maxRequestBytesPerConnection: number;
  /** TLS handshakes of clients under way at once. Default 256. */
  readonly maxHandshakes: number;
  /** Of these, from one IPv4 address or one IPv6 /64. Default 64. */
  readonly maxHandshakesPerAddress: number;
  /** Longest time of a TLS handshake, and of a connection until the CSM is received, ms. Default 10 000. */
  readonly handshakeMs: number;
  /** Silence after which a peer that observes or is observed is pinged, ms; after as much again it is given up. Default 30 000. */
  readonly keepAliveMs: number;
  /** Time after which an idle connection is released, ms. Default 300 000. */
  readonly idleMs: number;
}

/** Default limits of CoAP over TCP. */
export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  maxConnections: 1024,
  maxConnectionsPerAddress: 128,
  maxMessageBytes: 131_072,
  maxQueuedBytes: 1_048_576,
  maxRequestsPerConnection: 64,
  maxRequestBytesPerConnection: 65_536,
  maxHandshakes: 256,
  maxHandshakesPerAddress: 64,
  handshakeMs: 10_000,
  keepAliveMs: 30_000,
  idleMs: 300_000,
};

/** Room for header and options, where these are of usual size. */
const MESSAGE_ROOM_BYTES = 128;
/** A peer that takes no larger messages does not do BERT (RFC 8323 section 5.3.2). */
const BERT_ABOVE_BYTES = 1152;

/** From what the peer announced and what we want to send at once. Pure. */
export function capacityFor(
  peer: { readonly maxMessageBytes: number; readonly isBlockwise: boolean },
  maxMessageBytes: number,
): StreamCapacity {
  const limit = Math.min(peer.maxMessageBytes, maxMessageBytes);
  const wholeBytes = Math.max(16, limit - MESSAGE_ROOM_BYTES);
  const takesBert = peer.isBlockwise && peer.maxMessageBytes > BERT_ABOVE_BYTES;
  const bertBytes = takesBert ? Math.floor(wholeBytes / BERT_UNIT_BYTES) * BERT_UNIT_BYTES : 0;
  return { wholeBytes, bertBytes };
}
