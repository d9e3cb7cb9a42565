import type { DatagramPeer, Peer } from "../types.js";

/** What is remembered of one peer between datagrams. */
export interface PeerRecord {
  readonly peer: Peer;
  /** Where datagrams to it go, and from where: addresses with their zones. */
  to: DatagramPeer;
  /** Messages received, by message id. */
  readonly recent: Map<number, DeduplicationEntry>;
  /** Messages sent that an ACK or RST may still come for, by message id. */
  readonly outstanding: Map<number, ReliableMessage>;
  /** Confirmable messages under way; the others in `outstanding` are not confirmable. */
  confirmableCount: number;
  /** Confirmable messages that wait for their turn. */
  readonly waiting: Set<ReliableMessage>;
  nextMessageId: number;
  /** Requests other than GET and FETCH that came from it. */
  changes: number;
  /** Heard of again since the table last looked for peers to forget. */
  isInUse: boolean;
}

/** What became of a message. At most one of the first three is called, and none after `cancel`. */
export interface ReliableSink {
  /** ACK came, empty or with a response in it. */
  onAcknowledged(): void;
  /** RST came. */
  onReset(): void;
  /** All retransmissions went unanswered. Never called for a non-confirmable message. */
  onTimeout(): void;
  /** The network says that the peer cannot be reached; the message is then given up. Without this it is sent on. */
  onUnreachable?(error: Error): void;
}

/** A message on its way (RFC 7252 section 4.2, 4.3). */
export interface ReliableMessage {
  readonly record: PeerRecord;
  readonly sink: ReliableSink;
  cancel(): void;
}

/** A message received lately. Holds bytes and nothing that runs. */
export interface DeduplicationEntry {
  readonly record: PeerRecord;
  readonly messageId: number;
  readonly expiresAtMs: number;
  readonly fingerprint: number;
  /** What was answered and is sent again for a duplicate; empty: nothing (yet). */
  answer: Uint8Array;
  /** Whether that may be sent again; null: it may. */
  isRepeatable: (() => boolean) | null;
}
