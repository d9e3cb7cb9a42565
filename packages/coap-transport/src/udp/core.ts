import type { Environment } from "@tributary/runtime";
import { createAskPeer } from "../client/ask-peer.js";
import type { RequestChannel } from "../client/request-channel.js";
import { MESSAGE_TYPE, METHOD, OPTION } from "../message/codes.js";
import { isRequestCode, isResponseCode } from "../message/message.js";
import { asBuffer } from "../message/option-values.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import { countRejected } from "../server/dispatch.js";
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
import { createDeduplication } from "./deduplication.js";
import { createExchangeTable } from "./exchange-table.js";
import { emptyMessage, parseDatagram, type UdpMessage } from "./message-codec.js";
import type { PeerRecord } from "./peer-record.js";
import { createPeerTable } from "./peer-table.js";
import { createUdpRequests } from "./requests.js";
import { ResponseCache } from "./response-cache.js";
import { createUdpServer } from "./server.js";

/** CoAP messages over one socket: sorts what arrives, to the server's half or the client's. */
export interface UdpCore {
  channelTo(address: string, port: number): RequestChannel;
  /** No request or observation of ours is under way. */
  readonly hasRequests: boolean;
  /** No handler is running, nothing waits to be acknowledged. */
  readonly isServerIdle: boolean;
  /** How much is in each table. */
  tableSizes(): TableSizes;
  /** Ignore new requests from now on. */
  stopAccepting(): void;
  close(): void;
}

export interface UdpCoreDeps {
  readonly socket: DatagramSocket;
  readonly env: Environment;
  /** Absent: requests are rejected. */
  readonly handler?: RequestHandler;
  readonly counters: TransportCounters;
  /** Absent: source addresses are taken for true. */
  readonly guard?: AmplificationGuard | undefined;
  /** See `ListenCoapOptions`. */
  readonly protection?: ServerProtection | undefined;
}

export interface UdpCoreOptions {
  readonly scheme: string;
  readonly parameters: TransmissionParameters;
  readonly limits: TransportLimits;
}

const { CON, NON, ACK, RST } = MESSAGE_TYPE;
/** Room for the answers that are kept for duplicates: what a full table of small ones takes. */
const MAX_DEDUPLICATION_BYTES = 67_108_864;
/** Room for the answers that are kept for those who ask the same again. */
const MAX_BODY_BYTES = 67_108_864;
/** Peers remembered for each so many messages remembered. */
const MESSAGES_PER_PEER = 4;
const MIN_PEERS = 1024;

/** Counters that start at nothing; several endpoints may share one. */
export function createCounters(): TransportCounters {
  return { received: 0, sent: 0, retransmitted: 0, duplicates: 0, rejected: new Map() };
}

export function createUdpCore(deps: UdpCoreDeps, options: UdpCoreOptions): UdpCore {
  return new Core(deps, options);
}

class Core implements UdpCore {
  readonly #deps: UdpCoreDeps;
  readonly #counters: TransportCounters;
  readonly #peers: ReturnType<typeof createPeerTable>;
  readonly #deduplication: ReturnType<typeof createDeduplication>;
  readonly #exchanges: ReturnType<typeof createExchangeTable>;
  readonly #requests: ReturnType<typeof createUdpRequests>;
  readonly #server: ReturnType<typeof createUdpServer> | null;
  readonly #responseCache: ResponseCache;
  #isAccepting = true;
  #isClosed = false;

  constructor(deps: UdpCoreDeps, options: UdpCoreOptions) {
    const { socket, env, handler, counters, guard, protection } = deps;
    const { parameters, limits } = options;
    const { clock, random } = env;
    const transmit = this.#transmit;
    this.#deps = deps;
    this.#counters = counters;
    const maxPeers = Math.max(MIN_PEERS, Math.floor(limits.maxDeduplication / MESSAGES_PER_PEER));
    const peers = createPeerTable({ random }, { maxPeers });
    const exchanges = createExchangeTable({ clock, random, counters, transmit }, { parameters, ...limits });
    const deduplication = createDeduplication(
      { clock },
      {
        maxEntries: Math.max(1, limits.maxDeduplication),
        maxBytes: MAX_DEDUPLICATION_BYTES,
        lifetimeMs: parameters.exchangeLifetimeMs,
      },
    );
    this.#peers = peers;
    this.#exchanges = exchanges;
    this.#deduplication = deduplication;
    this.#requests = createUdpRequests({ random, exchanges, peers }, { parameters });
    const answers = { maxEntries: limits.maxCachedResponses, maxBytes: MAX_BODY_BYTES };
    this.#responseCache = new ResponseCache({ guard, peers }, answers);
    const channelOf = (peer: Peer): RequestChannel => this.#requests.channelOf(peer);
    const askPeer = createAskPeer({ env, channelOf }, { scheme: options.scheme, blockSize: limits.blockSize });
    const serverDeps = {
      env,
      exchanges,
      deduplication,
      peers,
      counters,
      guard,
      transmit,
      responseCache: this.#responseCache,
    };
    this.#server =
      handler === undefined
        ? null
        : createUdpServer(
            { ...serverDeps, handler, askPeer, channelOf, protection },
            { ...options, local: socket.local },
          );
    socket.onDatagram = this.#onDatagram;
    socket.onError = this.#onError;
  }

  channelTo(address: string, port: number): RequestChannel {
    return this.#requests.channelTo(address, port);
  }

  get hasRequests(): boolean {
    return this.#requests.size > 0 || this.#exchanges.confirmableCount > 0;
  }

  get isServerIdle(): boolean {
    return this.#server?.isIdle ?? true;
  }

  tableSizes(): TableSizes {
    return {
      ...this.#server?.tableSizes(),
      peers: this.#peers.size,
      deduplication: this.#deduplication.size,
      answers: this.#responseCache.size,
      unacknowledged: this.#exchanges.confirmableCount,
      requests: this.#requests.size,
    };
  }

  stopAccepting(): void {
    this.#isAccepting = false;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#server?.close();
    this.#isClosed = true;
    this.#requests.close();
    this.#responseCache.clear();
    this.#exchanges.close();
    this.#deps.socket.close();
  }

  readonly #transmit = (record: PeerRecord, datagram: Uint8Array, isReported = true): void => {
    if (this.#isClosed) return;
    this.#counters.sent++;
    this.#deps.socket.send(datagram, record.to, isReported);
  };

  readonly #onDatagram = (datagram: Uint8Array, from: DatagramPeer, isMulticast: boolean): void => {
    if (this.#isClosed) return;
    this.#counters.received++;
    try {
      if (this.#responseCache.size > 0 && !isMulticast && this.#answerAgain(datagram, from)) return;
      this.#receive(datagram, from, isMulticast);
    } catch (error) {
      this.#deps.env.logger.error("a datagram could not be handled", { error, from: from.address });
    }
  };

  #answerAgain(datagram: Uint8Array, from: DatagramPeer): boolean {
    if (!this.#isAccepting) return false;
    const answer = this.#responseCache.respond(asBuffer(datagram), from);
    if (answer === null) return false;
    this.#counters.sent++;
    this.#deps.socket.send(answer, from, false);
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
    if (type === ACK) settled?.sink.onAcknowledged();
    else settled?.sink.onReset();
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
    // A GET that is answered at once may be answered again (RFC 7252 section 4.5): nothing is remembered of it.
    const isRemembered = message.code !== METHOD.GET || !isConfirmable || message.options.some(isObserve);
    const isAnswered = this.#answerDuplicate(record, message, datagram, isRemembered);
    if (isAnswered || !this.#isAccepting) return;
    if (message.code !== METHOD.GET && message.code !== METHOD.FETCH) record.changes++;
    this.#server.handleRequest(record, message, isMulticast, asBuffer(datagram));
  }

  #receiveResponse(record: PeerRecord, message: UdpMessage, datagram: Uint8Array): void {
    if (message.type === RST) return;
    if (message.type === ACK) {
      const settled = this.#exchanges.settle(record, message.messageId);
      if (settled === undefined) return; // a repetition, or of no request of ours
      const isTaken = this.#requests.handleResponse(record, message, true);
      if (!isTaken) settled.sink.onAcknowledged();
      return;
    }
    if (this.#answerDuplicate(record, message, datagram)) return;
    const isTaken = this.#requests.handleResponse(record, message, false);
    if (!isTaken) countRejected(this.#counters, "unexpected-response");
    if (isTaken && message.type === NON) return;
    // RFC 7252 section 4.2, and 4.3 for what was not asked for: a notification is stopped so (RFC 7641 section 3.6).
    const answer = emptyMessage(isTaken ? ACK : RST, message.messageId);
    this.#deduplication.setAnswer(record, message.messageId, answer);
    this.#transmit(record, answer);
  }

  /** RFC 7252 section 4.5. True for a duplicate, which is then dealt with. */
  #answerDuplicate(record: PeerRecord, message: UdpMessage, datagram: Uint8Array, isRemembered = true): boolean {
    const { messageId } = message;
    const known = isRemembered
      ? this.#deduplication.find(record, messageId, datagram)
      : this.#deduplication.known(record, messageId, datagram);
    if (known === null) return false;
    this.#counters.duplicates++;
    if (known.answer.length > 0) this.#transmit(record, known.answer);
    return true;
  }

  /** RFC 7252 section 4.2: RST for what is confirmable, silence for the rest and for multicast. */
  #reject(record: PeerRecord, message: { type: number; messageId: number }, isMulticast: boolean): void {
    if (message.type === CON && !isMulticast) this.#transmit(record, emptyMessage(RST, message.messageId));
  }

  /** What the system says of a peer ends what is under way to it; what cannot be attributed is noted. */
  readonly #onError = (error: Error): void => {
    if (this.#isClosed) return;
    const record = this.#peerOf(error);
    this.#deps.env.logger.debug("socket error", { error, peer: record?.peer.key });
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
