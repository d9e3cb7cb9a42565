import type { Clock, Idleness, Random } from "@tributary/runtime";
import type { Transmission, TransmissionListener } from "../message/transmission.js";
import type { TransmissionParameters, TransportCounters } from "../types.js";
import { type RetransmissionPlan, retransmissionPlan } from "./congestion-control.js";
import { writeMessageId } from "./message-codec.js";
import { Exchange, type PeerRecord } from "./peer-record.js";
import { takeMessageId } from "./peer-table.js";

export interface ExchangeTableDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: TransportCounters;
  /** Confirmable messages count as work. */
  readonly idleness: Idleness;
  readonly transmit: (record: PeerRecord, datagram: Uint8Array) => void;
}

export interface ConfirmableOptions {
  /** The peer acknowledges such messages at once, so that a missing acknowledgement shows a loss. Default false. */
  readonly isAcknowledgedAtOnce?: boolean;
}

/** Non-confirmable messages in the table, per peer; the rest of the message IDs is for confirmable ones. */
const MAX_TRACKED = 32_768;
/** A message is lost when one sent this many transmissions later was acknowledged (RFC 9002 section 6.1.1). */
const REORDERING_THRESHOLD = 3;
/** RFC 7252 section 4.7 for peers without congestion control. */
const NSTART = 1;

/** Messages that wait for ACK or RST, by peer and message ID: retransmission, and how many are in transit at once. */
export class ExchangeTable {
  readonly #deps: ExchangeTableDeps;
  readonly #parameters: TransmissionParameters;
  readonly #open = new Set<Exchange>();
  #confirmableCount = 0;

  constructor(deps: ExchangeTableDeps, options: { readonly parameters: TransmissionParameters }) {
    this.#deps = deps;
    this.#parameters = options.parameters;
  }

  /** Confirmable messages not yet acknowledged, over all peers. */
  get confirmableCount(): number {
    return this.#confirmableCount;
  }

  /** Sends a confirmable message, as soon as the window of the peer has room. Its message ID is filled in here. */
  sendConfirmable(
    record: PeerRecord,
    datagram: Uint8Array,
    listener: TransmissionListener,
    { isAcknowledgedAtOnce = false }: ConfirmableOptions = {},
  ): Transmission {
    const message = { datagram, isConfirmable: true, isAcknowledgedAtOnce };
    const exchange = new Exchange(this, record, message, listener);
    this.#open.add(exchange);
    this.#confirmableCount++;
    this.#deps.idleness.begin();
    record.waiting.add(exchange);
    this.#sendWaiting(record);
    return exchange;
  }

  /** Sends a non-confirmable message; the listener hears only of RST and of an unreachable peer. */
  sendNonConfirmable(record: PeerRecord, datagram: Uint8Array, listener: TransmissionListener): Transmission {
    const message = { datagram, isConfirmable: false, isAcknowledgedAtOnce: false };
    const exchange = new Exchange(this, record, message, listener);
    this.#open.add(exchange);
    this.#assignMessageId(exchange);
    this.#deps.transmit(record, datagram);
    return exchange;
  }

  /** Sends a message whose outcome does not matter. */
  sendOnce(record: PeerRecord, datagram: Uint8Array): void {
    writeMessageId(datagram, takeMessageId(record) ?? record.nextMessageId);
    this.#deps.transmit(record, datagram);
  }

  /** Whether a further confirmable message would be sent at once, to a peer that may get several. */
  hasRoom(record: PeerRecord): boolean {
    return record.congestion !== null && record.inTransit.size + record.waiting.size < record.congestion.window;
  }

  /** Ends the exchange that an ACK or RST is for, without a call to its listener. Undefined: there is none. */
  settle(record: PeerRecord, messageId: number): Exchange | undefined {
    const exchange = record.outstanding.get(messageId);
    if (exchange === undefined) return undefined;
    this.#noteAcknowledged(exchange);
    this.finish(exchange);
    return exchange;
  }

  /** Removes an exchange, for whatever reason; others take its place. */
  finish(exchange: Exchange): void {
    const { record } = exchange;
    exchange.isOver = true;
    exchange.timer?.cancel();
    this.#open.delete(exchange);
    if (exchange.isConfirmable) {
      this.#confirmableCount--;
      this.#deps.idleness.end();
    }
    record.waiting.delete(exchange);
    record.inTransit.delete(exchange);
    if (record.outstanding.get(exchange.messageId) === exchange) record.outstanding.delete(exchange.messageId);
    if (exchange.isConfirmable) this.#sendWaiting(record);
  }

  /** Ends the exchanges with a peer that the network reported as unreachable, except those whose listeners ignore that. */
  failUnreachable(record: PeerRecord, error: Error): void {
    for (const exchange of new Set([...record.outstanding.values(), ...record.waiting])) {
      if (exchange.isOver || exchange.listener.onUnreachable === undefined) continue;
      this.finish(exchange);
      exchange.listener.onUnreachable(error);
    }
  }

  /** Returns the only peer with open exchanges; undefined when there is none or more than one. */
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
      exchange.timer?.cancel();
      exchange.record.outstanding.clear();
      exchange.record.waiting.clear();
      exchange.record.inTransit.clear();
      if (exchange.isConfirmable) this.#deps.idleness.end();
    }
    this.#open.clear();
    this.#confirmableCount = 0;
  }

  /** Sends what waits, retransmissions first, until the window is full. */
  #sendWaiting(record: PeerRecord): void {
    if (record.waiting.size === 0) return;
    const window = record.congestion?.window ?? NSTART;
    for (const exchange of record.waiting) {
      if (record.inTransit.size >= window) return;
      record.waiting.delete(exchange);
      this.#transmit(exchange);
    }
  }

  #transmit(exchange: Exchange): void {
    const { record, datagram } = exchange;
    const { clock, random, counters, transmit } = this.#deps;
    const nowMs = clock.nowMs();
    if (exchange.plan === null) {
      this.#assignMessageId(exchange);
      exchange.plan = retransmissionPlan(this.#parameters, record.congestion?.timeoutMs ?? null, random);
      exchange.firstSentAtMs = nowMs;
      exchange.timeoutMs = exchange.plan.firstTimeoutMs;
    } else {
      exchange.timeoutMs = Math.min(2 * exchange.timeoutMs, exchange.plan.maxTimeoutMs);
      counters.retransmitted++;
    }
    exchange.transmissions++;
    exchange.isOvertaken = false;
    exchange.number = ++record.transmissions;
    exchange.sentAtMs = nowMs;
    record.inTransit.add(exchange);
    this.#setTimer(exchange, exchange.plan, nowMs);
    transmit(record, datagram);
  }

  /** After the last retransmission only the end of the wait is left. */
  #setTimer(exchange: Exchange, plan: RetransmissionPlan, nowMs: number): void {
    const elapsedMs = nowMs - exchange.firstSentAtMs;
    // Timers are late by a little: half of a timeout decides whether there is time for another one.
    const isLast = elapsedMs + exchange.timeoutMs / 2 > plan.spanMs;
    const delayMs = isLast ? Math.max(0, plan.waitMs - elapsedMs) : exchange.timeoutMs;
    exchange.timer?.cancel();
    exchange.timer = this.#deps.clock.setTimer(delayMs, () =>
      isLast ? this.#giveUp(exchange) : this.#onTimeout(exchange),
    );
  }

  /** A message may wait for room in the window for the rest of its time. */
  #setGiveUpTimer(exchange: Exchange): void {
    const { clock } = this.#deps;
    const leftMs = exchange.firstSentAtMs + (exchange.plan?.waitMs ?? 0) - clock.nowMs();
    exchange.timer?.cancel();
    exchange.timer = clock.setTimer(Math.max(0, leftMs), () => this.#giveUp(exchange));
  }

  #giveUp(exchange: Exchange): void {
    this.finish(exchange);
    exchange.listener.onTimeout();
  }

  #onTimeout(exchange: Exchange): void {
    const { record } = exchange;
    record.congestion?.lost(exchange.number, record.transmissions, true);
    this.#retransmit([exchange]);
  }

  /** Queues lost messages in front of the others. */
  #retransmit(lost: readonly Exchange[]): void {
    const [first] = lost;
    if (first === undefined) return;
    const { record } = first;
    const waiting = [...record.waiting];
    record.waiting.clear();
    for (const exchange of lost) {
      this.#setGiveUpTimer(exchange);
      record.inTransit.delete(exchange);
      record.waiting.add(exchange);
    }
    for (const exchange of waiting) record.waiting.add(exchange);
    this.#sendWaiting(record);
  }

  #noteAcknowledged(exchange: Exchange): void {
    const { record } = exchange;
    const { congestion } = record;
    if (congestion === null || !exchange.isConfirmable || exchange.transmissions === 0) return;
    const nowMs = this.#deps.clock.nowMs();
    const rttMs = exchange.transmissions === 1 ? nowMs - exchange.sentAtMs : null;
    congestion.acknowledged(exchange.number, rttMs, { inTransit: record.inTransit.size, nowMs });
    record.inTransit.delete(exchange);
    this.#retransmit(this.#overtaken(exchange, nowMs));
  }

  /** Messages that are lost, since later ones were acknowledged. */
  #overtaken({ record, number }: Exchange, nowMs: number): Exchange[] {
    const lost: Exchange[] = [];
    const { congestion } = record;
    if (congestion === null) return lost;
    for (const exchange of record.inTransit) {
      if (exchange.number > number - REORDERING_THRESHOLD) break; // in the order of transmission
      const maySend = nowMs - exchange.firstSentAtMs <= (exchange.plan?.spanMs ?? 0);
      if (!exchange.isAcknowledgedAtOnce || !maySend) continue;
      const lateUntilMs = exchange.sentAtMs + congestion.reorderingMs;
      if (nowMs < lateUntilMs) {
        this.#setOvertakenTimer(exchange, lateUntilMs - nowMs);
        continue;
      }
      congestion.lost(exchange.number, record.transmissions, false);
      lost.push(exchange);
    }
    return lost;
  }

  /** Retransmits an overtaken message that is not acknowledged within `delayMs`. */
  #setOvertakenTimer(exchange: Exchange, delayMs: number): void {
    if (exchange.isOvertaken) return;
    exchange.isOvertaken = true;
    exchange.timer?.cancel();
    exchange.timer = this.#deps.clock.setTimer(delayMs, () => {
      exchange.record.congestion?.lost(exchange.number, exchange.record.transmissions, false);
      this.#retransmit([exchange]);
    });
  }

  #assignMessageId(exchange: Exchange): void {
    const { record, datagram } = exchange;
    const messageId = takeMessageId(record) ?? record.nextMessageId;
    exchange.messageId = messageId;
    writeMessageId(datagram, messageId);
    if (exchange.isConfirmable || record.outstanding.size < MAX_TRACKED) record.outstanding.set(messageId, exchange);
  }
}
