import type { Random } from "@tributary/runtime";
import type { RequestChannel, ResponseSink, SendSink } from "../client/request-channel.js";
import { TransportError } from "../errors.js";
import { DEFAULT_PARAMETERS, maxTransmitWaitMs } from "../message/codes.js";
import { type Message, tokenKey } from "../message/message.js";
import type { Peer } from "../types.js";
import type { TcpConnection } from "./connection.js";

/** The client's half of one connection: tokens, and who waits for which. */
export interface TcpRequests extends RequestChannel {
  /** Hand a response to whoever waits for it; false when nobody does. */
  handleResponse(message: Message): boolean;
  /** Requests and observations under way. */
  readonly size: number;
  /** The connection is over: everything under way fails. */
  fail(error: TransportError): void;
}

const TOKEN_BYTES = 8;

/** There is neither retransmission nor acknowledgement: what was written has arrived, or the connection ends. */
export function createTcpRequests(deps: { random: Random; connection: () => TcpConnection; peer: Peer }): TcpRequests {
  const sinks = new Map<string, ResponseSink>();
  const { connection, peer } = deps;
  let failure: TransportError | null = null;

  function newToken(): Uint8Array {
    for (;;) {
      const token = new Uint8Array(TOKEN_BYTES);
      for (let index = 0; index < TOKEN_BYTES; index++) token[index] = Math.floor(deps.random() * 256);
      if (!sinks.has(tokenKey(token))) return token;
    }
  }

  /** Whatever comes of it is told afterwards: callers do not expect it while they send. */
  function settle(sink: SendSink, problem: Error | null): { cancel(): void } {
    let isCancelled = false;
    queueMicrotask(() => {
      if (isCancelled) return;
      if (problem === null) sink.onAcknowledged();
      else sink.onUnreachable(problem);
    });
    return {
      cancel: () => {
        isCancelled = true;
      },
    };
  }

  return {
    peer,
    isOrdered: true,
    get capacity() {
      return connection().capacity;
    },
    newToken,
    bind: (token, sink) => void sinks.set(tokenKey(token), sink),
    unbind: (token) => void sinks.delete(tokenKey(token)),
    send(token, message, _isConfirmable, sink) {
      if (failure !== null) return settle(sink, failure);
      if (connection().isBlocked) return settle(sink, new TransportError("OVERLOADED", "the peer does not read"));
      const isSent = connection().send(token, message);
      return settle(sink, isSent ? null : new TransportError("TOO_LARGE", "more than the peer takes in one message"));
    },
    ping(sink) {
      return connection().ping((isAlive) => {
        if (isAlive) sink.onReset();
        else sink.onUnreachable(failure ?? new TransportError("UNREACHABLE", "the connection is over"));
      });
    },
    patienceMs: maxTransmitWaitMs(DEFAULT_PARAMETERS),
    ackTimeoutMs: DEFAULT_PARAMETERS.ackTimeoutMs * DEFAULT_PARAMETERS.ackRandomFactor,
    handleResponse: (message) => sinks.get(tokenKey(message.token))?.onResponse(message, false) ?? false,
    get size() {
      return sinks.size;
    },
    fail(error) {
      failure ??= error;
      const waiting = [...sinks.values()];
      sinks.clear();
      for (const sink of waiting) sink.onClosed(error);
    },
  };
}
