import { type Environment, Idleness, type Timer } from "@tributary/runtime";
import { createAskPeer } from "../client/ask-peer.js";
import type { RequestChannel } from "../client/request-channel.js";
import { isSystemError } from "../errors.js";
import { MESSAGE_TYPE, METHOD, OPTION, SAFE_METHODS } from "../message/codes.js";
import { countRejected } from "../message/counters.js";
import { isRequestCode, isResponseCode } from "../message/message.js";
import { asBuffer } from "../message/option-values.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import type {
  DatagramPeer,
  DatagramSocket,
  Peer,
  RequestHandler,
  TableSizes,
  TransmissionParameters,
  TransportCounters,
  TransportLimits,
} from "../types.js";
import { CongestionControl } from "./congestion-control.js";
import { tracedSocket } from "./datagram-trace.js";
import { Deduplication } from "./deduplication.js";
import { ExchangeTable } from "./exchange-table.js";
import { emptyMessage, parseDatagram, type UdpMessage } from "./message-codec.js";
import type { PeerRecord } from "./peer-record.js";
import { PeerTable } from "./peer-table.js";
import { UdpRequests } from "./requests.js";
import { ResponseCache } from "./response-cache.js";
import { UdpServer } from "./server.js";

export interface UdpCoreDeps {
  readonly socket: DatagramSocket;
  readonly env: Environment;
  /** Absent: requests are rejected. */
  readonly handler?: RequestHandler;
  readonly counters: TransportCounters;
  /** Absent: source addresses are not verified. */
  readonly guard?: AmplificationGuard | undefined;
  /** See `ListenCoapOptions`. */
  readonly protection?: ServerProtection | undefined;
}

export interface UdpCoreOptions {
  readonly scheme: string;
  readonly parameters: TransmissionParameters;
  readonly limits: TransportLimits;
  /** Peers that several confirmable messages may be in transit to, under congestion control. Default: none. */
  readonly isConfigured?: ((peer: Peer) => boolean) | undefined;
}

const { CON, NON, ACK, RST } = MESSAGE_TYPE;
/** Bound of the responses kept for duplicates. */
const MAX_DEDUPLICATION_BYTES = 67_108_864;
/** Bound of the response cache. */
const MAX_CACHE_BYTES = 67_108_864;
/** The table of peers has one place for this many places in the table of messages. */
const MESSAGES_PER_PEER = 4;
const MIN_PEERS = 1024;
/** Longest wait with an ACK, ms: less than ACK_TIMEOUT, at which peers send again that know nothing of the round-trip time. */
const LONGEST_ACK_DELAY_MS = 1000;
/** ACKs that wait, of all peers together; beyond them messages are acknowledged at once. */
const MAX_LATE_ACKNOWLEDGEMENTS = 4096;

/** CoAP over one datagram socket: passes what arrives to the server side or the client side. */
export class UdpCore {
  readonly #deps: UdpCoreDeps;
  readonly #socket: DatagramSocket;
  readonly #counters: TransportCounters;
  readonly #peers: PeerTable;
  readonly #deduplication: Deduplication;
  readonly #exchanges: ExchangeTable;
  readonly #requests: UdpRequests;
  readonly #server: UdpServer | null;
  readonly #responseCache: ResponseCache;
  readonly #idleness: Idleness;
  /** Their last moments. */
  readonly #lateAcknowledgements = new Set<Timer>();
  #isAccepting = true;
  #isClosed = false;

  constructor(deps: UdpCoreDeps, options: UdpCoreOptions) {
    const { env, handler, counters, guard, protection } = deps;
    const socket = tracedSocket(deps.socket, env.logger);
    this.#socket = socket;
    const { parameters, limits, isConfigured } = options;
    const { clock, random } = env;
    const transmit = this.#transmit;
    this.#deps = deps;
    this.#counters = counters;
    this.#idleness = new Idleness(clock);
    const idleness = this.#idleness;
    const maxWindow = limits.maxOutstandingPerPeer;
    this.#peers = new PeerTable(
      { random },
      {
        maxPeers: Math.max(MIN_PEERS, Math.floor(limits.maxDeduplication / MESSAGES_PER_PEER)),
        congestionFor: (peer) => (isConfigured?.(peer) === true ? new CongestionControl({ maxWindow }) : null),
      },
    );
    this.#exchanges = new ExchangeTable({ clock, random, counters, idleness, transmit }, { parameters });
    this.#deduplication = new Deduplication(
      { clock },
      {
        maxEntries: Math.max(1, limits.maxDeduplication),
        maxBytes: MAX_DEDUPLICATION_BYTES,
        lifetimeMs: parameters.exchangeLifetimeMs,
      },
    );
    this.#requests = new UdpRequests({ random, exchanges: this.#exchanges, peers: this.#peers }, { parameters });
    const cacheOptions = { maxEntries: limits.maxCachedResponses, maxBytes: MAX_CACHE_BYTES };
    this.#responseCache = new ResponseCache({ guard, peers: this.#peers }, cacheOptions);
    const channelOf = (peer: Peer): RequestChannel => this.#requests.channelOf(peer);
    const askPeer = createAskPeer({ env, channelOf }, { scheme: options.scheme, blockSize: limits.blockSize });
    const tables = { exchanges: this.#exchanges, deduplication: this.#deduplication, peers: this.#peers };
    const serverDeps = { env, ...tables, counters, guard, idleness, transmit, responseCache: this.#responseCache };
    this.#server =
      handler === undefined
        ? null
        : new UdpServer(
            { ...serverDeps, handler, askPeer, channelOf, protection },
            { ...options, local: socket.local },
          );
    socket.onDatagram = this.#onDatagram;
    socket.onError = this.#onError;
  }

  channelTo(address: string, port: number): RequestChannel {
    return this.#requests.channelTo(address, port);
  }

  /** Whether a request or an observation of the client side is in progress. */
  get hasRequests(): boolean {
    return this.#requests.size > 0 || this.#exchanges.confirmableCount > 0;
  }

  /** Resolves when no handler runs and nothing waits to be acknowledged, or after `limitMs`. */
  whenIdle(limitMs: number): Promise<void> {
    return this.#idleness.wait(limitMs);
  }

  tableSizes(): TableSizes {
    return {
      ...this.#server?.tableSizes(),
      peers: this.#peers.size,
      deduplication: this.#deduplication.size,
      answers: this.#responseCache.size,
      unacknowledged: this.#exchanges.confirmableCount,
      requests: this.#requests.size,
      "late-acknowledgements": this.#lateAcknowledgements.size,
    };
  }

  /** Ignores new requests from now on. */
  stopAccepting(): void {
    this.#isAccepting = false;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#server?.close();
    this.#isClosed = true;
    for (const timer of this.#lateAcknowledgements) timer.cancel();
    this.#lateAcknowledgements.clear();
    this.#requests.close();
    this.#responseCache.clear();
    this.#exchanges.close();
    this.#socket.close();
  }

  readonly #transmit = (record: PeerRecord, datagram: Uint8Array, isReported = true): void => {
    if (this.#isClosed) return;
    this.#counters.sent++;
    this.#socket.send(datagram, record.to, isReported);
  };

  readonly #onDatagram = (datagram: Uint8Array, from: DatagramPeer, isMulticast: boolean): void => {
    if (this.#isClosed) return;
    this.#counters.received++;
    try {
      if (this.#responseCache.size > 0 && !isMulticast && this.#respondFromCache(datagram, from)) return;
      this.#receive(datagram, from, isMulticast);
    } catch (error) {
      countRejected(this.#counters, "internal-error");
      this.#deps.env.logger.error("a datagram could not be handled", { error, from: from.address });
    }
  };

  #respondFromCache(datagram: Uint8Array, from: DatagramPeer): boolean {
    if (!this.#isAccepting) return false;
    const response = this.#responseCache.respond(asBuffer(datagram), from);
    if (response === null) return false;
    this.#counters.sent++;
    this.#socket.send(response, from, false);
    return true;
  }

  #receive(datagram: Uint8Array, from: DatagramPeer, isMulticast: boolean): void {
    const message = parseDatagram(datagram);
    if (message === null) {
      countRejected(this.#counters, "not-coap");
      return;
    }
    const record = this.#peers.at(from.address, from.port, from.local);
    const isPlain = message.kind === "message";
    if (isPlain && message.code === 0) this.#receiveEmpty(record, message, isMulticast);
    else if (isPlain && isRequestCode(message.code)) this.#receiveRequest(record, message, datagram, isMulticast);
    else if (isPlain && isResponseCode(message.code) && !isMulticast) this.#receiveResponse(record, message, datagram);
    else {
      countRejected(this.#counters, "malformed"); // format error, or a reserved class of codes
      this.#reject(record, message, isMulticast);
    }
  }

  /** RFC 7252 section 4.1 to 4.3: ping, ACK, RST. */
  #receiveEmpty(record: PeerRecord, { type, messageId }: UdpMessage, isMulticast: boolean): void {
    if (isMulticast || type === NON) return;
    if (type === CON) {
      this.#transmit(record, emptyMessage(RST, messageId));
      return;
    }
    const settled = this.#exchanges.settle(record, messageId);
    if (type === ACK) settled?.listener.onAcknowledged();
    else settled?.listener.onReset();
  }

  #receiveRequest(record: PeerRecord, message: UdpMessage, datagram: Uint8Array, isMulticast: boolean): void {
    const isConfirmable = message.type === CON;
    // RFC 7252 section 4.2: a request in ACK or RST is ignored; section 8.1: multicast requests are not confirmable.
    if ((!isConfirmable && message.type !== NON) || (isMulticast && isConfirmable)) {
      countRejected(this.#counters, isMulticast ? "confirmable-multicast" : "malformed");
      return;
    }
    if (this.#server === null) {
      countRejected(this.#counters, "not-a-server");
      this.#reject(record, message, isMulticast);
      return;
    }
    // A GET that is handled at once may be handled again (RFC 7252 section 4.5), so it needs no entry.
    const needsEntry = message.code !== METHOD.GET || !isConfirmable || message.options.some(isObserve);
    const isDuplicate = this.#respondToDuplicate(record, message, datagram, needsEntry);
    if (isDuplicate || !this.#isAccepting) return;
    if (!SAFE_METHODS.includes(message.code)) record.changes++;
    this.#server.handleRequest(record, message, isMulticast, asBuffer(datagram));
  }

  #receiveResponse(record: PeerRecord, message: UdpMessage, datagram: Uint8Array): void {
    if (message.type === RST) return;
    if (message.type === ACK) {
      const settled = this.#exchanges.settle(record, message.messageId);
      if (settled === undefined) return; // a duplicate, or for no message of this endpoint
      const isTaken = this.#requests.handleResponse(record, message, true) !== false;
      if (!isTaken) settled.listener.onAcknowledged();
      return;
    }
    if (this.#respondToDuplicate(record, message, datagram)) return;
    const taken = this.#requests.handleResponse(record, message, false);
    if (taken === false) countRejected(this.#counters, "unexpected-response");
    else if (message.type === NON) return;
    const mayWait = this.#lateAcknowledgements.size < MAX_LATE_ACKNOWLEDGEMENTS;
    if (taken instanceof Promise && mayWait) this.#acknowledgeLater(record, message.messageId, taken);
    // RFC 7252 section 4.2 and 4.3: RST for an unexpected one, which ends an observation (RFC 7641 section 3.6).
    else this.#respondEmpty(record, emptyMessage(taken ? ACK : RST, message.messageId), message.messageId);
  }

  #respondEmpty(record: PeerRecord, empty: Uint8Array, messageId: number): void {
    this.#deduplication.setResponse(record, messageId, empty);
    this.#transmit(record, empty);
  }

  /** Who has enough to do acknowledges when there is time: until then, peers have no more in transit than their window. */
  #acknowledgeLater(record: PeerRecord, messageId: number, busy: Promise<unknown>): void {
    const acknowledge = (): void => {
      timer.cancel();
      if (this.#lateAcknowledgements.delete(timer)) this.#respondEmpty(record, emptyMessage(ACK, messageId), messageId);
    };
    const timer = this.#deps.env.clock.setTimer(LONGEST_ACK_DELAY_MS, acknowledge);
    this.#lateAcknowledgements.add(timer);
    busy.then(acknowledge, acknowledge);
  }

  /** Responds to a duplicate like to the message before it (RFC 7252 section 4.5). False: it is none. */
  #respondToDuplicate(record: PeerRecord, message: UdpMessage, datagram: Uint8Array, needsEntry = true): boolean {
    const { messageId } = message;
    const known = needsEntry
      ? this.#deduplication.find(record, messageId, datagram)
      : this.#deduplication.known(record, messageId, datagram);
    if (known === null) return false;
    this.#counters.duplicates++;
    if (known.response.length > 0) this.#transmit(record, known.response);
    return true;
  }

  /** RFC 7252 section 4.2: RST to a confirmable message; others, and multicast, are ignored. */
  #reject(record: PeerRecord, message: { type: number; messageId: number }, isMulticast: boolean): void {
    if (message.type === CON && !isMulticast) this.#transmit(record, emptyMessage(RST, message.messageId));
  }

  /** An error of the system fails the exchanges with its peer. Other exceptions are defects of this program. */
  readonly #onError = (error: Error): void => {
    if (this.#isClosed) return;
    const record = this.#peerOf(error);
    const { logger } = this.#deps.env;
    if (isSystemError(error)) logger.debug("socket error", { error, peer: record?.peer.key });
    else {
      countRejected(this.#counters, "internal-error");
      logger.error("a datagram could not be sent", { error, peer: record?.peer.key });
    }
    if (record !== undefined) this.#exchanges.failUnreachable(record, error);
  };

  #peerOf(error: Error): PeerRecord | undefined {
    if ("address" in error && "port" in error && typeof error.address === "string" && typeof error.port === "number") {
      const local = "local" in error && typeof error.local === "string" ? error.local : undefined;
      return this.#peers.at(error.address, error.port, local);
    }
    return this.#exchanges.solePeer();
  }
}

function isObserve({ number }: { readonly number: number }): boolean {
  return number === OPTION.OBSERVE;
}
