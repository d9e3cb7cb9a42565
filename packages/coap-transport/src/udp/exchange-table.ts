import type { Clock, Random, Timer } from "@tributary/runtime";
import type { TransmissionParameters, TransportCounters } from "../types.js";
import { writeMessageId } from "./message-codec.js";
import type { PeerRecord, ReliableMessage, ReliableSink } from "./peer-record.js";
import { takeMessageId } from "./peer-table.js";

/** Messages sent that wait for ACK or RST, per peer and message id, with retransmission and NSTART. */
export interface ExchangeTable {
  /** Send a confirmable message; it may wait for its turn first. Its message id is filled in here. */
  sendConfirmable(record: PeerRecord, datagram: Uint8Array, sink: ReliableSink): ReliableMessage;
  /** Send a non-confirmable message for which only RST is of interest. */
  sendNonConfirmable(record: PeerRecord, datagram: Uint8Array, sink: ReliableSink): ReliableMessage;
  /** Send and forget. */
  sendOnce(record: PeerRecord, datagram: Uint8Array): void;
  /** ACK or RST arrived: the message that it is for, now settled without a call to its sink; or undefined. */
  settle(record: PeerRecord, messageId: number): ReliableMessage | undefined;
  /** The network said that this peer cannot be reached: tell those who want to know. */
  failUnreachable(record: PeerRecord, error: Error): void;
  /** The one peer that messages are under way to; undefined when there is none or more than one. */
  solePeer(): PeerRecord | undefined;
  /** Confirmable messages not yet acknowledged, over all peers. */
  readonly confirmableCount: number;
  close(): void;
}

export interface ExchangeTableDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: TransportCounters;
  readonly transmit: (record: PeerRecord, datagram: Uint8Array) => void;
}

export interface ExchangeTableOptions {
  readonly parameters: TransmissionParameters;
  readonly maxOutstandingPerPeer: number;
}

const NOT_SENT = -1;
const MAX_TRACKED = 32_768;

class Exchange implements ReliableMessage {
  readonly record: PeerRecord;
  readonly sink: ReliableSink;
  readonly datagram: Uint8Array;
  readonly isConfirmable: boolean;
  messageId = NOT_SENT;
  isOver = false;
  readonly #table: Exchanges;
  #timer: Timer | null = null;
  #timeoutMs = 0;
  #retransmissions = 0;

  constructor(table: Exchanges, record: PeerRecord, datagram: Uint8Array, sink: ReliableSink, isConfirmable: boolean) {
    this.#table = table;
    this.record = record;
    this.datagram = datagram;
    this.sink = sink;
    this.isConfirmable = isConfirmable;
  }

  cancel(): void {
    if (!this.isOver) this.#table.finish(this);
  }

  stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  startTimer(): void {
    const { deps, options } = this.#table;
    const { ackTimeoutMs, ackRandomFactor } = options.parameters;
    this.#timeoutMs = ackTimeoutMs * (1 + deps.random() * (ackRandomFactor - 1)); // RFC 7252 section 4.2
    this.#timer = deps.clock.setTimer(this.#timeoutMs, this.#onTimer);
  }

  readonly #onTimer = (): void => {
    const { deps, options } = this.#table;
    if (this.#retransmissions === options.parameters.maxRetransmit) {
      this.#table.finish(this);
      this.sink.onTimeout();
      return;
    }
    this.#retransmissions++;
    this.#timeoutMs *= 2;
    this.#timer = deps.clock.setTimer(this.#timeoutMs, this.#onTimer);
    deps.counters.retransmitted++;
    deps.transmit(this.record, this.datagram);
  };
}

class Exchanges implements ExchangeTable {
  readonly deps: ExchangeTableDeps;
  readonly options: ExchangeTableOptions;
  readonly #open = new Set<Exchange>();
  #confirmableCount = 0;

  constructor(deps: ExchangeTableDeps, options: ExchangeTableOptions) {
    this.deps = deps;
    this.options = options;
  }

  get confirmableCount(): number {
    return this.#confirmableCount;
  }

  sendConfirmable(record: PeerRecord, datagram: Uint8Array, sink: ReliableSink): ReliableMessage {
    const exchange = new Exchange(this, record, datagram, sink, true);
    this.#open.add(exchange);
    this.#confirmableCount++;
    record.waiting.add(exchange);
    this.#sendWaiting(record);
    return exchange;
  }

  sendNonConfirmable(record: PeerRecord, datagram: Uint8Array, sink: ReliableSink): ReliableMessage {
    const exchange = new Exchange(this, record, datagram, sink, false);
    this.#open.add(exchange);
    this.#start(exchange);
    return exchange;
  }

  sendOnce(record: PeerRecord, datagram: Uint8Array): void {
    writeMessageId(datagram, takeMessageId(record) ?? record.nextMessageId);
    this.deps.transmit(record, datagram);
  }

  settle(record: PeerRecord, messageId: number): ReliableMessage | undefined {
    const exchange = record.outstanding.get(messageId);
    if (!(exchange instanceof Exchange)) return undefined;
    this.finish(exchange);
    return exchange;
  }

  /** The exchange is over, for whatever reason; the next in line may go. */
  finish(exchange: Exchange): void {
    const { record } = exchange;
    exchange.isOver = true;
    exchange.stopTimer();
    this.#open.delete(exchange);
    if (exchange.isConfirmable) this.#confirmableCount--;
    if (exchange.messageId === NOT_SENT) {
      record.waiting.delete(exchange);
      return;
    }
    if (record.outstanding.get(exchange.messageId) === exchange) record.outstanding.delete(exchange.messageId);
    if (!exchange.isConfirmable) return;
    record.confirmableCount--;
    this.#sendWaiting(record);
  }

  failUnreachable(record: PeerRecord, error: Error): void {
    for (const exchange of [...record.outstanding.values(), ...record.waiting]) {
      if (!(exchange instanceof Exchange) || exchange.isOver || exchange.sink.onUnreachable === undefined) continue;
      this.finish(exchange);
      exchange.sink.onUnreachable(error);
    }
  }

  solePeer(): PeerRecord | undefined {
    let sole: PeerRecord | undefined;
    for (const { record } of this.#open) {
      if (sole !== undefined && sole !== record) return undefined;
      sole = record;
    }
    return sole;
  }

  close(): void {
    for (const exchange of this.#open) {
      exchange.isOver = true;
      exchange.stopTimer();
      exchange.record.outstanding.clear();
      exchange.record.waiting.clear();
      exchange.record.confirmableCount = 0;
    }
    this.#open.clear();
    this.#confirmableCount = 0;
  }

  /** RFC 7252 section 4.7: so many at a time to one peer. */
  #sendWaiting(record: PeerRecord): void {
    for (const exchange of record.waiting) {
      if (record.confirmableCount >= this.options.maxOutstandingPerPeer) return;
      record.waiting.delete(exchange);
      record.confirmableCount++;
      if (exchange instanceof Exchange) this.#start(exchange);
    }
  }

  #start(exchange: Exchange): void {
    const { record, datagram } = exchange;
    const messageId = takeMessageId(record) ?? record.nextMessageId;
    exchange.messageId = messageId;
    writeMessageId(datagram, messageId);
    // A non-confirmable message can do without being known, which leaves ids for the confirmable ones.
    if (exchange.isConfirmable || record.outstanding.size < MAX_TRACKED) record.outstanding.set(messageId, exchange);
    if (exchange.isConfirmable) exchange.startTimer();
    this.deps.transmit(record, datagram);
  }
}

export function createExchangeTable(deps: ExchangeTableDeps, options: ExchangeTableOptions): ExchangeTable {
  return new Exchanges(deps, options);
}
