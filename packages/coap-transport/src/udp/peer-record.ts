import type { Timer } from "@tributary/runtime";
import type { Transmission, TransmissionListener } from "../message/transmission.js";
import type { DatagramPeer, Peer } from "../types.js";
import type { CongestionControl, RetransmissionPlan } from "./congestion-control.js";

/** State of one peer between datagrams. */
export interface PeerRecord {
  readonly peer: Peer;
  /** Remote and local address of datagrams to the peer, with their zones. */
  to: DatagramPeer;
  /** Messages received, by message ID. */
  readonly recent: Map<number, DeduplicationEntry>;
  /** Messages sent that may still be acknowledged or rejected, by message ID. */
  readonly outstanding: Map<number, Exchange>;
  /** Confirmable messages that are in transit as far as is known, in the order of their last transmission. */
  readonly inTransit: Set<Exchange>;
  /** Confirmable messages to be sent, or sent again, when the window has room. */
  readonly waiting: Set<Exchange>;
  /** Transmissions of confirmable messages so far. */
  transmissions: number;
  /** Null: one message at a time (NSTART, RFC 7252 section 4.7). */
  readonly congestion: CongestionControl | null;
  nextMessageId: number;
  /** Requests received with methods other than GET and FETCH. */
  changes: number;
  /** Received from since the table last looked for records to remove. */
  isInUse: boolean;
}

/** The table that an exchange is in. */
export interface ExchangeOwner {
  finish(exchange: Exchange): void;
}

const NOT_SENT = -1;

/** A message that waits for ACK or RST. */
export class Exchange implements Transmission {
  readonly record: PeerRecord;
  readonly listener: TransmissionListener;
  readonly datagram: Uint8Array;
  readonly isConfirmable: boolean;
  readonly isAcknowledgedAtOnce: boolean;
  messageId = NOT_SENT;
  isOver = false;
  /** Number of the last transmission, in the order of all transmissions to the peer. */
  number = 0;
  sentAtMs = 0;
  firstSentAtMs = 0;
  transmissions = 0;
  /** Messages sent later were acknowledged since its last transmission; it may still be late. */
  isOvertaken = false;
  plan: RetransmissionPlan | null = null;
  timeoutMs = 0;
  timer: Timer | null = null;
  readonly #table: ExchangeOwner;

  constructor(
    table: ExchangeOwner,
    record: PeerRecord,
    message: { datagram: Uint8Array; isConfirmable: boolean; isAcknowledgedAtOnce: boolean },
    listener: TransmissionListener,
  ) {
    this.#table = table;
    this.record = record;
    this.listener = listener;
    this.datagram = message.datagram;
    this.isConfirmable = message.isConfirmable;
    this.isAcknowledgedAtOnce = message.isAcknowledgedAtOnce;
  }

  cancel(): void {
    if (!this.isOver) this.#table.finish(this);
  }
}

/** A message received recently, and the response to it. */
export interface DeduplicationEntry {
  readonly record: PeerRecord;
  readonly messageId: number;
  readonly expiresAtMs: number;
  readonly fingerprint: number;
  /** The datagram to send to a duplicate; empty: none (yet). */
  response: Uint8Array;
  /** Whether `response` may be sent to a duplicate; null: always. */
  isRepeatable: (() => boolean) | null;
}
