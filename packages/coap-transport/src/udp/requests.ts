import type { Random } from "@tributary/runtime";
import type { RequestChannel, ResponseListener } from "../client/request-channel.js";
import { MESSAGE_TYPE, maxTransmitWaitMs } from "../message/codes.js";
import { type Message, type OutgoingMessage, tokenKey } from "../message/message.js";
import { newToken } from "../message/tokens.js";
import type { Transmission, TransmissionListener } from "../message/transmission.js";
import type { Peer, TransmissionParameters } from "../types.js";
import type { ExchangeTable } from "./exchange-table.js";
import { emptyMessage, encodeDatagram } from "./message-codec.js";
import type { PeerRecord } from "./peer-record.js";
import type { PeerTable } from "./peer-table.js";

export interface UdpRequestsDeps {
  readonly random: Random;
  readonly exchanges: ExchangeTable;
  readonly peers: PeerTable;
}

const { CON, NON } = MESSAGE_TYPE;
/** Blocks requested at once from a configured peer, within its window. */
const MAX_PARALLEL_BLOCKS = 8;

/** The client side of the message layer over UDP: matches responses to requests by peer and token. */
export class UdpRequests {
  readonly #deps: UdpRequestsDeps;
  readonly #maxWaitMs: number;
  readonly #ackTimeoutMs: number;
  readonly #listeners = new Map<string, ResponseListener>();

  constructor(deps: UdpRequestsDeps, { parameters }: { parameters: TransmissionParameters }) {
    this.#deps = deps;
    this.#maxWaitMs = maxTransmitWaitMs(parameters);
    this.#ackTimeoutMs = parameters.ackTimeoutMs * parameters.ackRandomFactor;
  }

  /** Number of tokens in use. */
  get size(): number {
    return this.#listeners.size;
  }

  /** Returns the channel to the peer at `address` (with its zone) and `port`. */
  channelTo(address: string, port: number): RequestChannel {
    return this.channelOf(this.#deps.peers.at(address, port).peer);
  }

  /** Returns the channel to a peer that messages were received from. */
  channelOf(peer: Peer): RequestChannel {
    const { random, exchanges, peers } = this.#deps;
    const listeners = this.#listeners;
    const isConfigured = peers.of(peer).congestion !== null;
    return {
      peer,
      maxParallelBlocks: isConfigured ? MAX_PARALLEL_BLOCKS : 1,
      newToken: () => newToken(random, (token) => listeners.has(keyOf(peer, token))),
      bind: (token, listener) => void listeners.set(keyOf(peer, token), listener),
      unbind: (token) => void listeners.delete(keyOf(peer, token)),
      send(
        token: Uint8Array,
        message: OutgoingMessage,
        isConfirmable: boolean,
        listener: TransmissionListener,
      ): Transmission {
        const datagram = encodeDatagram(isConfirmable ? CON : NON, 0, token, message);
        const record = peers.of(peer);
        return isConfirmable
          ? exchanges.sendConfirmable(record, datagram, listener)
          : exchanges.sendNonConfirmable(record, datagram, listener);
      },
      ping: (listener) => exchanges.sendConfirmable(peers.of(peer), emptyMessage(CON, 0), listener),
      maxWaitMs: this.#maxWaitMs,
      ackTimeoutMs: this.#ackTimeoutMs,
    };
  }

  /** Passes a response to the listener of its token. False: there is none, or it rejected the response. A promise: see `onResponse`. */
  handleResponse({ peer }: PeerRecord, message: Message, isPiggybacked: boolean): boolean | Promise<unknown> {
    return this.#listeners.get(keyOf(peer, message.token))?.onResponse(message, isPiggybacked) ?? false;
  }

  close(): void {
    this.#listeners.clear();
  }
}

function keyOf(peer: Peer, token: Uint8Array): string {
  return `${peer.key} ${tokenKey(token)}`;
}
