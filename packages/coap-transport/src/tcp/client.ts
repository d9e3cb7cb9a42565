import type { Environment } from "@tributary/runtime";
import type { RequestChannel } from "../client/request-channel.js";
import { TransportError } from "../errors.js";
import { CODE } from "../message/codes.js";
import type { Message } from "../message/message.js";
import { errorMessage } from "../server/response.js";
import type { Peer, RequestHandler, TransportCounters, TransportLimits } from "../types.js";
import { TcpConnection } from "./connection.js";
import type { StreamLimits } from "./limits.js";
import { streamPeer } from "./peer.js";
import { createTcpRequests, type TcpRequests } from "./requests.js";
import { StreamService } from "./stream-service.js";
import type { StreamSocket } from "./stream-socket.js";

/** Makes a connection. Rejects with a TransportError UNREACHABLE. */
export type ConnectStream = (address: string, port: number) => Promise<StreamSocket>;

export interface TcpPeersDeps {
  readonly env: Environment;
  readonly counters: TransportCounters;
  readonly connectStream: ConnectStream;
  /**
   * Serves what peers ask over the connections of this client (RFC 8323 section 3). Connections are then kept until they are lost or
   * the client is closed. Absent: such requests are answered with 5.01.
   */
  readonly service?: { readonly handler: RequestHandler; readonly limits: TransportLimits };
}

/** The connections of a client, one per peer: made when needed, released when of no use for long. */
export interface TcpPeers {
  /** @throws {TransportError} UNREACHABLE, TIMEOUT, OVERLOADED, CLOSED. */
  channelTo(address: string, port: number): Promise<RequestChannel>;
  readonly size: number;
  close(): void;
}

/** A client gives up idle connections before servers do, so that its next request does not meet a Release on its way. */
const IDLE_SHARE = 0.75;

interface Entry {
  readonly ready: Promise<RequestChannel>;
  connection: TcpConnection | null;
}

export function createTcpPeers(deps: TcpPeersDeps, options: StreamLimits): TcpPeers {
  const limits = { ...options, idleMs: options.idleMs * IDLE_SHARE };
  const entries = new Map<string, Entry>();
  const connections = new Map<string, TcpConnection>();
  const channels = new Map<string, RequestChannel>();
  const connectionOf = (peer: Peer): TcpConnection | undefined => connections.get(peer.key);
  const channelOf = (peer: Peer): RequestChannel => {
    const channel = channels.get(peer.key);
    if (channel === undefined) throw new TransportError("UNREACHABLE", "the connection of the peer is over");
    return channel;
  };
  const service =
    deps.service === undefined
      ? null
      : new StreamService({ ...deps, ...deps.service, connectionOf, channelOf }, deps.service.limits);
  let isClosed = false;

  function forget(key: string, entry: Entry): void {
    if (entries.get(key) === entry) entries.delete(key);
  }

  async function open(key: string, entry: () => Entry, to: { address: string; port: number }): Promise<RequestChannel> {
    const socket = await connectInTime(deps, to, limits.handshakeMs);
    if (isClosed) {
      socket.destroy();
      throw closedError();
    }
    return await new Promise((resolve, reject) => {
      const peer = streamPeer(socket);
      const { env, counters } = deps;
      const requests: TcpRequests = createTcpRequests({ random: env.random, connection: () => connection, peer });
      const connection: TcpConnection = new TcpConnection(
        {
          socket,
          peer,
          env,
          counters,
          owner: {
            onReady: () => resolve(requests),
            // RFC 8323 section 3: both sides may ask.
            onRequest(message: Message) {
              if (service !== null)
                return service.handle(connection, message, { scheme: "coap+tcp", local: socket.local });
              connection.send(message.token, errorMessage(CODE.NOT_IMPLEMENTED, "not a server"));
            },
            onResponse: (message) => requests.handleResponse(message),
            isInUse: () => requests.size > 0 || service !== null,
            onClosed(error) {
              forget(key, entry());
              connections.delete(peer.key);
              channels.delete(peer.key);
              service?.forgetPeer(peer);
              requests.fail(isClosed ? closedError() : error);
              reject(error);
            },
          },
        },
        limits,
      );
      entry().connection = connection;
      connections.set(peer.key, connection);
      channels.set(peer.key, requests);
    });
  }

  return {
    channelTo(address, port) {
      if (isClosed) return Promise.reject(closedError());
      const key = `${address} ${port}`;
      const known = entries.get(key);
      if (known !== undefined) return known.ready;
      if (entries.size >= limits.maxConnections) {
        return Promise.reject(new TransportError("OVERLOADED", "too many connections at once"));
      }
      // The first step of `open` waits, so that the entry is there when it is asked for.
      const entry: Entry = { ready: open(key, () => entry, { address, port }), connection: null };
      entries.set(key, entry);
      entry.ready.catch(() => forget(key, entry));
      return entry.ready;
    },
    get size() {
      return entries.size;
    },
    close() {
      isClosed = true;
      service?.close();
      for (const { connection } of [...entries.values()]) connection?.release();
      entries.clear();
    },
  };
}

/** A peer that does not answer is given up long before the system would. */
async function connectInTime(
  { env, connectStream }: TcpPeersDeps,
  { address, port }: { address: string; port: number },
  limitMs: number,
): Promise<StreamSocket> {
  const connecting = connectStream(address, port);
  return await new Promise((resolve, reject) => {
    let isLate = false;
    const timer = env.clock.setTimer(limitMs, () => {
      isLate = true;
      reject(new TransportError("UNREACHABLE", `no connection in ${limitMs} ms`));
    });
    connecting.then(
      (socket) => {
        timer.cancel();
        if (isLate) socket.destroy();
        else resolve(socket);
      },
      (error: Error) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}

function closedError(): TransportError {
  return new TransportError("CLOSED", "the client was closed");
}
