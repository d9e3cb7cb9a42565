import type { Environment, Idleness, Timer } from "@tributary/runtime";
import type { RequestChannel } from "../client/request-channel.js";
import { MESSAGE_TYPE } from "../message/codes.js";
import { countRejected } from "../message/counters.js";
import { EMPTY_BYTES, type OutgoingMessage } from "../message/message.js";
import type { TransmissionListener } from "../message/transmission.js";
import { createProtectedDispatch } from "../protection/protected-dispatch.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import type { RequestOutcome, ServerDispatch } from "../server/dispatch.js";
import type { NotificationChannel } from "../server/notification-channel.js";
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
import type { PeerRecord } from "./peer-record.js";
import type { PeerTable } from "./peer-table.js";
import type { ResponseCache } from "./response-cache.js";

export interface UdpServerDeps {
  readonly env: Environment;
  readonly handler: RequestHandler;
  readonly exchanges: ExchangeTable;
  readonly deduplication: Deduplication;
  readonly peers: PeerTable;
  readonly counters: TransportCounters;
  /** Requests being handled and delayed responses count as work. */
  readonly idleness: Idleness;
  readonly guard?: AmplificationGuard | undefined;
  /** Sends a datagram. `isReported`: an error of the system is reported to the exchanges with the peer. */
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

/** The server side of the message layer over UDP: in which message a response is sent, and when. */
export class UdpServer {
  readonly #deps: UdpServerDeps;
  readonly #options: UdpServerOptions;
  readonly #dispatch: ServerDispatch;
  /** For empty ACKs and responses to multicast. */
  readonly #timers = new Set<Timer>();
  #delayedResponses = 0;
  #isClosed = false;

  constructor(deps: UdpServerDeps, options: UdpServerOptions) {
    this.#deps = deps;
    this.#options = options;
    const { env, handler, counters, guard, idleness, protection, channelOf } = deps;
    const channel = notificationChannel(deps);
    this.#dispatch = createProtectedDispatch(
      { env, handler, counters, channel, guard, idleness, messageLength: datagramLength, protection, channelOf },
      options,
    );
  }

  /** Handles a request that is not a duplicate. */
  handleRequest(record: PeerRecord, message: UdpMessage, isMulticast: boolean, datagram: Buffer): void {
    const { scheme } = this.#options;
    const { askPeer } = this.#deps;
    const context: RequestContext = { peer: record.peer, isMulticast, scheme, local: this.#localOf(record), askPeer };
    const outcome = this.#dispatch.dispatch(message, context);
    if (isMulticast) this.#respondToMulticast(record, message, outcome);
    else if (outcome instanceof Promise) {
      // A duplicate must not start it again.
      this.#deps.deduplication.find(record, message.messageId, datagram);
      this.#respondLater(record, message, outcome);
    } else this.#respond(record, message, outcome, datagram);
  }

  #localOf({ to }: PeerRecord): LocalAddress {
    const { local } = this.#options;
    return to.local === undefined ? local : { ...local, address: to.local };
  }

  tableSizes(): TableSizes {
    return { ...this.#dispatch.tableSizes(), "delayed-answers": this.#delayedResponses, timers: this.#timers.size };
  }

  /** Ends observations and drops delayed responses. */
  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (; this.#delayedResponses > 0; this.#delayedResponses--) this.#deps.idleness.end();
    this.#dispatch.close();
  }

  /** Responds at once: in the ACK, or with a non-confirmable message to a non-confirmable request (RFC 7252 section 5.2). */
  #respond(record: PeerRecord, request: UdpMessage, outcome: RequestOutcome, received?: Buffer): void {
    const { message } = outcome;
    const isRepeatable = this.#repeatability(record, outcome);
    if (request.type !== CON) {
      if (isRepeatable !== undefined)
        this.#deps.deduplication.setResponse(record, request.messageId, EMPTY_BYTES, isRepeatable);
      if (message === null || outcome.isBadOption === true) return; // section 5.4.1: rejected by ignoring it
      this.#deps.exchanges.sendOnce(record, encodeDatagram(NON, 0, request.token, message));
    } else if (message === null) this.#acknowledge(record, request, emptyMessage(ACK, request.messageId), isRepeatable);
    else {
      const datagram = encodeDatagram(ACK, request.messageId, request.token, message);
      this.#acknowledge(record, request, datagram, isRepeatable);
      if (outcome.trackValidity !== undefined && received !== undefined)
        this.#deps.responseCache.offer(request, received, datagram, outcome.trackValidity);
    }
    outcome.afterSent?.();
  }

  #acknowledge(record: PeerRecord, request: UdpMessage, datagram: Uint8Array, isRepeatable?: () => boolean): void {
    this.#deps.deduplication.setResponse(record, request.messageId, datagram, isRepeatable);
    // A client that does not get the acknowledgement repeats its request.
    this.#deps.transmit(record, datagram, false);
  }

  /**
   * Returns until when duplicates get the same response. Clients retransmit for MAX_TRANSMIT_SPAN. A later duplicate, or one after the
   * response has become untrue, comes from a device that reuses its message IDs after a reboot; the request is idempotent.
   */
  #repeatability(record: PeerRecord, { isStillTrue }: RequestOutcome): (() => boolean) | undefined {
    if (isStillTrue === undefined) return undefined;
    const { clock } = this.#deps.env;
    const untilMs = clock.nowMs() + maxTransmitSpanMs(this.#options.parameters);
    const { changes } = record;
    return () => clock.nowMs() < untilMs && isStillTrue({ hasChangedMore: record.changes !== changes });
  }

  /** Responds to a slow request, after an empty ACK that keeps the client from retransmitting (RFC 7252 section 5.2.2). */
  #respondLater(record: PeerRecord, request: UdpMessage, promise: Promise<RequestOutcome>): void {
    let ackTimer: Timer | null = null;
    if (request.type === CON) {
      ackTimer = this.#after(this.#options.parameters.separateAfterMs, () => {
        ackTimer = null;
        this.#acknowledge(record, request, emptyMessage(ACK, request.messageId));
      });
    }
    const send = (outcome: RequestOutcome): void => {
      if (this.#isClosed) return;
      if (request.type === CON && ackTimer === null) {
        this.#respondSeparately(record, request, outcome);
        return;
      }
      if (ackTimer !== null) this.#cancel(ackTimer);
      this.#respond(record, request, outcome);
    };
    promise.then(send).catch(this.#logFailure);
  }

  #respondSeparately(record: PeerRecord, request: UdpMessage, outcome: RequestOutcome): void {
    if (outcome.message === null) return;
    const { peer } = record;
    const { deduplication, exchanges, peers } = this.#deps;
    const isRepeatable = this.#repeatability(record, outcome);
    if (isRepeatable !== undefined) {
      // A duplicate of the request gets the response in the acknowledgement.
      const piggybacked = encodeDatagram(ACK, request.messageId, request.token, outcome.message);
      deduplication.setResponse(record, request.messageId, piggybacked, isRepeatable);
    }
    // The record may have been removed from the table since.
    const current = peers.of(peer);
    if (outcome.isToUnproven === true || exchanges.confirmableCount >= this.#options.limits.maxExchanges) {
      // RFC 9175 section 2.4: no retransmission to an unverified address. Nor is there room for any number of exchanges.
      exchanges.sendOnce(current, encodeDatagram(NON, 0, request.token, outcome.message));
      outcome.afterSent?.();
      return;
    }
    const end = (reason: "reset" | "timeout"): void => {
      if (outcome.afterSent !== undefined) {
        this.#dispatch.endObservation(outcome.observer ?? peer, request.token, reason);
      }
    };
    const listener: TransmissionListener = {
      onAcknowledged: () => {},
      onReset: () => end("reset"),
      onTimeout: () => end("timeout"),
    };
    exchanges.sendConfirmable(current, encodeDatagram(CON, 0, request.token, outcome.message), listener, AT_ONCE);
    outcome.afterSent?.();
  }

  /** RFC 7252 section 8.2: after a random time within Leisure, non-confirmable. */
  #respondToMulticast(
    record: PeerRecord,
    request: UdpMessage,
    outcome: RequestOutcome | Promise<RequestOutcome>,
  ): void {
    if (outcome instanceof Promise) {
      outcome.then((settled) => this.#respondToMulticast(record, request, settled)).catch(this.#logFailure);
      return;
    }
    const { message } = outcome;
    const { env, counters, exchanges, peers, idleness } = this.#deps;
    if (this.#isClosed || message === null || outcome.isBadOption === true) return;
    if (this.#delayedResponses >= this.#options.limits.maxExchanges) {
      countRejected(counters, "overload");
      return;
    }
    this.#delayedResponses++;
    idleness.begin();
    this.#after(env.random() * this.#options.parameters.leisureMs, () => {
      this.#delayedResponses--;
      idleness.end();
      exchanges.sendOnce(peers.of(record.peer), encodeDatagram(NON, 0, request.token, message));
    });
  }

  readonly #logFailure = (error: unknown): void => {
    countRejected(this.#deps.counters, "internal-error");
    this.#deps.env.logger.error("a response could not be sent", { error });
  };

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

/** Notifications and separate responses are acknowledged as soon as they arrive. */
const AT_ONCE = { isAcknowledgedAtOnce: true };

/** All notifications over UDP are confirmable, so that observers that have gone are noticed (RFC 7641 section 4.5). */
function notificationChannel({ exchanges, peers }: UdpServerDeps): NotificationChannel {
  return {
    notify: (peer, token, message: OutgoingMessage, listener) =>
      exchanges.sendConfirmable(peers.of(peer), encodeDatagram(CON, 0, token, message), listener, AT_ONCE),
    // RFC 7252 section 4.3: RST is the response to a ping.
    probe: (peer, onSilence) =>
      void exchanges.sendConfirmable(peers.of(peer), emptyMessage(CON, 0), {
        onAcknowledged: () => {},
        onReset: () => {},
        onTimeout: onSilence,
      }),
    notifyOnce: (peer, token, message) => exchanges.sendOnce(peers.of(peer), encodeDatagram(NON, 0, token, message)),
    hasRoom: (peer) => exchanges.hasRoom(peers.of(peer)),
  };
}

/** RFC 7252 section 4.8.2: from the first transmission of a message to its last one. */
function maxTransmitSpanMs({ ackTimeoutMs, maxRetransmit, ackRandomFactor }: TransmissionParameters): number {
  return ackTimeoutMs * (2 ** maxRetransmit - 1) * ackRandomFactor;
}
