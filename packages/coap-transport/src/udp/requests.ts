import type { Random } from "@tributary/runtime";
import type { RequestChannel, ResponseSink } from "../client/request-channel.js";
import { MESSAGE_TYPE, maxTransmitWaitMs } from "../message/codes.js";
import { tokenKey } from "../message/message.js";
import type { Peer, TransmissionParameters } from "../types.js";
import type { ExchangeTable } from "./exchange-table.js";
import { emptyMessage, encodeDatagram, type UdpMessage } from "./message-codec.js";
import type { PeerRecord } from "./peer-record.js";
import type { PeerTable } from "./peer-table.js";

/** The client's half of the message layer over UDP: tokens, matched together with the peer's address. */
export interface UdpRequests {
  /** The way to the peer at `address` (zone included) and `port`. */
  channelTo(address: string, port: number): RequestChannel;
  /** The way to a peer that was heard of. */
  channelOf(peer: Peer): RequestChannel;
  /** Hand a response to whoever waits for it. False when nobody does, or it was refused. */
  handleResponse(record: PeerRecord, message: UdpMessage, isPiggybacked: boolean): boolean;
  /** Tokens in use. */
  readonly size: number;
  close(): void;
}

export interface UdpRequestsDeps {
  readonly random: Random;
  readonly exchanges: ExchangeTable;
  readonly peers: PeerTable;
}

const TOKEN_BYTES = 8;
const { CON, NON } = MESSAGE_TYPE;

export function createUdpRequests(deps: UdpRequestsDeps, options: { parameters: TransmissionParameters }): UdpRequests {
  const { exchanges, peers } = deps;
  const { parameters } = options;
  const sinks = new Map<string, ResponseSink>();
  const keyOf = (peer: Peer, token: Uint8Array): string => `${peer.key} ${tokenKey(token)}`;

  function newToken(peer: Peer): Uint8Array {
    for (;;) {
      const token = new Uint8Array(TOKEN_BYTES);
      for (let index = 0; index < TOKEN_BYTES; index++) token[index] = Math.floor(deps.random() * 256);
      if (!sinks.has(keyOf(peer, token))) return token;
    }
  }

  function channelOf(peer: Peer): RequestChannel {
    return {
      peer,
      newToken: () => newToken(peer),
      bind: (token, sink) => {
        sinks.set(keyOf(peer, token), sink);
      },
      unbind: (token) => {
        sinks.delete(keyOf(peer, token));
      },
      send(token, message, isConfirmable, sink) {
        const datagram = encodeDatagram(isConfirmable ? CON : NON, 0, token, message);
        const record = peers.of(peer);
        return isConfirmable
          ? exchanges.sendConfirmable(record, datagram, sink)
          : exchanges.sendNonConfirmable(record, datagram, sink);
      },
      ping: (sink) => exchanges.sendConfirmable(peers.of(peer), emptyMessage(CON, 0), sink),
      patienceMs: maxTransmitWaitMs(parameters),
      ackTimeoutMs: parameters.ackTimeoutMs * parameters.ackRandomFactor,
    };
  }

  return {
    channelTo: (address, port) => channelOf(peers.at(address, port).peer),
    channelOf,
    handleResponse(record, message, isPiggybacked) {
      const sink = sinks.get(keyOf(record.peer, message.token));
      return sink?.onResponse(message, isPiggybacked) ?? false;
    },
    get size() {
      return sinks.size;
    },
    close: () => sinks.clear(),
  };
}
