import type { Environment, Timer } from "@tributary/runtime";
import type { RequestChannel } from "../client/request-channel.js";
import { MESSAGE_TYPE } from "../message/codes.js";
import { EMPTY_BYTES, type OutgoingMessage } from "../message/message.js";
import { createProtectedDispatch } from "../protection/protected-dispatch.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import { countRejected, type Reply, type ServerDispatch } from "../server/dispatch.js";
import type { DeliverySink, NotificationChannel } from "../server/observers.js";
import type { RequestContext } from "../server/request.js";
import type {
  AskPeer,
  LocalAddress,
  Peer,
  RequestHandler,
  TableSizes,
  TransmissionParameters,
  TransportCounters,
  TransportLimits,
} from "../types.js";
import type { Deduplication } from "./deduplication.js";
import type { ExchangeTable } from "./exchange-table.js";
import { datagramLength, emptyMessage, encodeDatagram, type UdpMessage } from "./message-codec.js";
import type { PeerRecord, ReliableMessage, ReliableSink } from "./peer-record.js";
import type { PeerTable } from "./peer-table.js";
import type { ResponseCache } from "./response-cache.js";

/** The server's half of the message layer over UDP: which type of message answers which, and when. */
export interface UdpServer {
  /** A request that is not a duplicate. */
  handleRequest(record: PeerRecord, message: UdpMessage, isMulticast: boolean, datagram: Buffer): void;
  /** Nothing runs and nothing waits to be acknowledged. */
  readonly isIdle: boolean;
  /** How much is in each table. */
  tableSizes(): TableSizes;
  /** End observations, drop what is not sent yet. */
  close(): void;
}

export interface UdpServerDeps {
  readonly env: Environment;
  readonly handler: RequestHandler;
  readonly exchanges: ExchangeTable;
  readonly deduplication: Deduplication;
  readonly peers: PeerTable;
  readonly counters: TransportCounters;
  readonly guard?: AmplificationGuard | undefined;
  /** `isReported`: what the system says against it is told to whoever waits for this peer. */
  readonly transmit: (record: PeerRecord, datagram: Uint8Array, isReported: boolean) => void;
  readonly responseCache: ResponseCache;
  readonly askPeer: AskPeer;
  readonly channelOf: (peer: Peer) => RequestChannel;
  /** See `ListenCoapOptions`. */
  readonly protection?: ServerProtection | undefined;
}

export interface UdpServerOptions {
  readonly scheme: string;
  readonly local: LocalAddress;
  readonly parameters: TransmissionParameters;
  readonly limits: TransportLimits;
}

const { CON, NON, ACK } = MESSAGE_TYPE;

export function createUdpServer(deps: UdpServerDeps, options: UdpServerOptions): UdpServer {
  return new Server(deps, options);
}

class Server implements UdpServer {
  readonly #deps: UdpServerDeps;
  readonly #options: UdpServerOptions;
  readonly #dispatch: ServerDispatch;
  /** Empty ACKs and multicast answers that are due. */
  readonly #timers = new Set<Timer>();
  #delayedAnswers = 0;
  #isClosed = false;

  constructor(deps: UdpServerDeps, options: UdpServerOptions) {
    this.#deps = deps;
    this.#options = options;
    const { env, handler, counters, guard } = deps;
    const channel = notificationChannel(deps);
    const { protection, channelOf } = deps;
    this.#dispatch = createProtectedDispatch(
      { env, handler, counters, channel, guard, messageLength: datagramLength, protection, channelOf },
      options,
    );
  }

  get isIdle(): boolean {
    return this.#dispatch.running === 0 && this.#delayedAnswers === 0 && this.#deps.exchanges.confirmableCount === 0;
  }

  handleRequest(record: PeerRecord, message: UdpMessage, isMulticast: boolean, datagram: Buffer): void {
    const { scheme } = this.#options;
    const { askPeer } = this.#deps;
    const context: RequestContext = { peer: record.peer, isMulticast, scheme, local: this.#localOf(record), askPeer };
    const reply = this.#dispatch.dispatch(message, context);
    if (isMulticast) this.#answerMulticast(record, message, reply);
    else if (reply instanceof Promise) {
      // What takes its time is not begun again by a duplicate.
      this.#deps.deduplication.find(record, message.messageId, datagram);
      this.#answerLater(record, message, reply);
    } else this.#answer(record, message, reply, datagram);
  }

  #localOf({ to }: PeerRecord): LocalAddress {
    const { local } = this.#options;
    return to.local === undefined ? local : { ...local, address: to.local };
  }

  tableSizes(): TableSizes {
    return { ...this.#dispatch.tableSizes(), "delayed-answers": this.#delayedAnswers, timers: this.#timers.size };
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#delayedAnswers = 0;
    this.#dispatch.close();
  }

  /** At once: piggybacked on the ACK, or non-confirmable like the request (RFC 7252 section 5.2). */
  #answer(record: PeerRecord, request: UdpMessage, reply: Reply, received?: Buffer): void {
    const { message } = reply;
    const isRepeatable = this.#repeatability(record, reply);
    if (request.type !== CON) {
      if (isRepeatable !== undefined)
        this.#deps.deduplication.setAnswer(record, request.messageId, EMPTY_BYTES, isRepeatable);
      if (message === null || reply.isBadOption === true) return; // section 5.4.1: rejected, which is to say ignored
      this.#deps.exchanges.sendOnce(record, encodeDatagram(NON, 0, request.token, message));
    } else if (message === null) this.#acknowledge(record, request, emptyMessage(ACK, request.messageId), isRepeatable);
    else {
      const datagram = encodeDatagram(ACK, request.messageId, request.token, message);
      this.#acknowledge(record, request, datagram, isRepeatable);
      if (reply.trackValidity !== undefined && received !== undefined)
        this.#deps.responseCache.offer(request, received, datagram, reply.trackValidity);
    }
    reply.afterSent?.();
  }

  #acknowledge(record: PeerRecord, request: UdpMessage, datagram: Uint8Array, isRepeatable?: () => boolean): void {
    this.#deps.deduplication.setAnswer(record, request.messageId, datagram, isRepeatable);
    // Nobody waits for an acknowledgement: a client that misses it asks again.
    this.#deps.transmit(record, datagram, false);
  }

  /**
   * Until when a duplicate gets this reply again. A client repeats itself for MAX_TRANSMIT_SPAN; what comes later, or when the
   * reply is not true any more, was sent by a device that started again with the same message ids, and is idempotent.
   */
  #repeatability(record: PeerRecord, { isStillTrue }: Reply): (() => boolean) | undefined {
    if (isStillTrue === undefined) return undefined;
    const { clock } = this.#deps.env;
    const untilMs = clock.nowMs() + maxTransmitSpanMs(this.#options.parameters);
    const { changes } = record;
    return () => clock.nowMs() < untilMs && isStillTrue({ hasChangedMore: record.changes !== changes });
  }

  /** A handler that takes its time: an empty ACK before the client repeats itself (RFC 7252 section 5.2.2). */
  #answerLater(record: PeerRecord, request: UdpMessage, reply: Promise<Reply>): void {
    let ackTimer: Timer | null = null;
    if (request.type === CON) {
      ackTimer = this.#after(this.#options.parameters.separateAfterMs, () => {
        ackTimer = null;
        this.#acknowledge(record, request, emptyMessage(ACK, request.messageId));
      });
    }
    const send = (settled: Reply): void => {
      if (this.#isClosed) return;
      if (request.type === CON && ackTimer === null) {
        this.#answerSeparately(record, request, settled);
        return;
      }
      if (ackTimer !== null) this.#cancel(ackTimer);
      this.#answer(record, request, settled);
    };
    reply.then(send).catch((error: unknown) => this.#deps.env.logger.error("an answer could not be sent", { error }));
  }

  #answerSeparately(record: PeerRecord, request: UdpMessage, reply: Reply): void {
    if (reply.message === null) return;
    const { peer } = record;
    const isRepeatable = this.#repeatability(record, reply);
    if (isRepeatable !== undefined) {
      // Whoever sends the request again gets the response with the acknowledgement.
      const again = encodeDatagram(ACK, request.messageId, request.token, reply.message);
      this.#deps.deduplication.setAnswer(record, request.messageId, again, isRepeatable);
    }
    const end = (reason: "reset" | "timeout"): void => {
      if (reply.afterSent !== undefined) this.#dispatch.endObservation(reply.observer ?? peer, request.token, reason);
    };
    const sink: ReliableSink = {
      onAcknowledged: () => {},
      onReset: () => end("reset"),
      onTimeout: () => end("timeout"),
    };
    // The peer may have been forgotten meanwhile, hence the look-up.
    if (reply.isToUnproven === true || this.#deps.exchanges.confirmableCount >= this.#options.limits.maxExchanges) {
      // RFC 9175 section 2.4: never to be repeated by this side. Nor is there room to do so for any number of peers.
      this.#deps.exchanges.sendOnce(this.#deps.peers.of(peer), encodeDatagram(NON, 0, request.token, reply.message));
      reply.afterSent?.();
      return;
    }
    const datagram = encodeDatagram(CON, 0, request.token, reply.message);
    this.#deps.exchanges.sendConfirmable(this.#deps.peers.of(peer), datagram, sink);
    reply.afterSent?.();
  }

  /** RFC 7252 section 8.2: after a random time within Leisure, non-confirmable. */
  #answerMulticast(record: PeerRecord, request: UdpMessage, reply: Reply | Promise<Reply>): void {
    if (reply instanceof Promise) {
      reply
        .then((settled) => this.#answerMulticast(record, request, settled))
        .catch((error: unknown) => this.#deps.env.logger.error("an answer could not be sent", { error }));
      return;
    }
    const { message } = reply;
    if (this.#isClosed || message === null || reply.isBadOption === true) return;
    if (this.#delayedAnswers >= this.#options.limits.maxExchanges) {
      countRejected(this.#deps.counters, "overload");
      return;
    }
    this.#delayedAnswers++;
    this.#after(this.#deps.env.random() * this.#options.parameters.leisureMs, () => {
      this.#delayedAnswers--;
      const datagram = encodeDatagram(NON, 0, request.token, message);
      this.#deps.exchanges.sendOnce(this.#deps.peers.of(record.peer), datagram);
    });
  }

  #after(delayMs: number, call: () => void): Timer {
    const timer = this.#deps.env.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      call();
    });
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer: Timer): void {
    timer.cancel();
    this.#timers.delete(timer);
  }
}

/** Notifications over UDP are confirmable, all of them: that is how dead observers are noticed (RFC 7641 section 4.5). */
function notificationChannel(deps: UdpServerDeps): NotificationChannel {
  return {
    notify(peer, token, message: OutgoingMessage, sink: DeliverySink): ReliableMessage {
      const datagram = encodeDatagram(CON, 0, token, message);
      return deps.exchanges.sendConfirmable(deps.peers.of(peer), datagram, {
        onAcknowledged: () => sink.onDelivered(),
        onReset: () => sink.onRejected(),
        onTimeout: () => sink.onUndelivered(),
      });
    },
    probe(peer, sink) {
      deps.exchanges.sendConfirmable(deps.peers.of(peer), emptyMessage(CON, 0), {
        onAcknowledged: () => sink.onDelivered(),
        onReset: () => sink.onDelivered(), // RFC 7252 section 4.3: that is how a ping is answered
        onTimeout: () => sink.onUndelivered(),
      });
    },
    notifyOnce(peer, token, message) {
      deps.exchanges.sendOnce(deps.peers.of(peer), encodeDatagram(NON, 0, token, message));
    },
  };
}

/** RFC 7252 section 4.8.2: from the first transmission of a message to its last one. */
function maxTransmitSpanMs({ ackTimeoutMs, maxRetransmit, ackRandomFactor }: TransmissionParameters): number {
  return ackTimeoutMs * (2 ** maxRetransmit - 1) * ackRandomFactor;
}
