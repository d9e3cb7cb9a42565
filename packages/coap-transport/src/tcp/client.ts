import type { Environment } from "@tributary/runtime";
import type { RequestChannel } from "../client/request-channel.js";
import { TransportError } from "../errors.js";
import { CODE } from "../message/codes.js";
import type { Message } from "../message/message.js";
import { errorMessage } from "../server/response.js";
import type { Peer, RequestHandler, TransportCounters, TransportLimits } from "../types.js";
import { type ConnectionOwner, TcpConnection } from "./connection.js";
import type { StreamLimits } from "./limits.js";
import { streamPeer, streamScheme } from "./peer.js";
import { TcpRequests } from "./requests.js";
import { StreamService } from "./stream-service.js";
import type { StreamSocket } from "./stream-socket.js";

/** Connects to an address and port. Rejects with a TransportError UNREACHABLE. */
export type ConnectStream = (address: string, port: number) => Promise<StreamSocket>;

/** How to secure the connections to one server. */
export interface SecuredConnect {
  /** The name that the server has to prove. Connections to servers with other names are others, at the same address too. */
  readonly name: string;
  /** Connects, and verifies who is there, until `signal`. Rejects with a TransportError UNREACHABLE or BAD_ARGUMENT. */
  readonly connect: (address: string, port: number, signal: AbortSignal) => Promise<StreamSocket>;
}

export interface TcpPeersDeps {
  readonly env: Environment;
  readonly counters: TransportCounters;
  readonly connectStream: ConnectStream;
  /**
   * Serves the requests that peers send over the connections of this client (RFC 8323 section 3). Connections are then kept until they
   * are lost or the client is closed. Absent: the response to such requests is 5.01.
   */
  readonly service?: { readonly handler: RequestHandler; readonly limits: TransportLimits };
}

/** A client releases idle connections before servers do, so that its next request does not cross a Release. */
const IDLE_SHARE = 0.75;

interface Destination {
  readonly address: string;
  readonly port: number;
  readonly secured: SecuredConnect | undefined;
}

interface Entry {
  readonly ready: Promise<RequestChannel>;
  connection: TcpConnection | null;
}

/** The connections of a client, one for each peer: made on demand, released when idle. */
export class TcpPeers {
  readonly #deps: TcpPeersDeps;
  readonly #limits: StreamLimits;
  readonly #entries = new Map<string, Entry>();
  readonly #connections = new Map<string, TcpConnection>();
  readonly #channels = new Map<string, RequestChannel>();
  readonly #service: StreamService | null;
  readonly #stop = new AbortController();
  #isClosed = false;

  constructor(deps: TcpPeersDeps, options: StreamLimits) {
    this.#deps = deps;
    this.#limits = { ...options, idleMs: options.idleMs * IDLE_SHARE };
    const connectionOf = (peer: Peer): TcpConnection | undefined => this.#connections.get(peer.key);
    const channelOf = (peer: Peer): RequestChannel => {
      const channel = this.#channels.get(peer.key);
      if (channel === undefined) throw new TransportError("UNREACHABLE", "the connection of the peer is over");
      return channel;
    };
    const { service } = deps;
    this.#service =
      service === undefined
        ? null
        : new StreamService({ ...deps, ...service, connectionOf, channelOf }, service.limits);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @throws {TransportError} UNREACHABLE, TIMEOUT, OVERLOADED, CLOSED. */
  channelTo(address: string, port: number, secured?: SecuredConnect): Promise<RequestChannel> {
    if (this.#isClosed) return Promise.reject(closedError());
    const key = secured === undefined ? `${address} ${port}` : `${address} ${port} ${secured.name}`;
    const known = this.#entries.get(key);
    if (known !== undefined) return known.ready;
    if (this.#entries.size >= this.#limits.maxConnections) {
      return Promise.reject(new TransportError("OVERLOADED", "too many connections"));
    }
    // `#open` uses the entry only after its first `await`.
    const entry: Entry = { ready: this.#open(key, () => entry, { address, port, secured }), connection: null };
    this.#entries.set(key, entry);
    entry.ready.catch(() => this.#forget(key, entry));
    return entry.ready;
  }

  close(): void {
    this.#isClosed = true;
    this.#stop.abort();
    this.#service?.close();
    for (const { connection } of [...this.#entries.values()]) connection?.release();
    this.#entries.clear();
  }

  async #open(key: string, entry: () => Entry, to: Destination): Promise<RequestChannel> {
    const { env, counters } = this.#deps;
    const socket = await connectInTime(this.#deps, { ...to, closing: this.#stop.signal }, this.#limits.handshakeMs);
    if (this.#isClosed) {
      socket.destroy();
      throw closedError();
    }
    const peer = streamPeer(socket);
    return await new Promise((resolve, reject) => {
      const requests: TcpRequests = new TcpRequests({ random: env.random, connection: () => connection, peer });
      const owner: ConnectionOwner = {
        onReady: () => resolve(requests),
        onRequest: (message) => this.#handleRequest(connection, message, socket),
        onResponse: (message) => requests.handleResponse(message),
        isInUse: () => requests.size > 0 || this.#service !== null,
        onClosed: (error) => {
          this.#forget(key, entry());
          this.#connections.delete(peer.key);
          this.#channels.delete(peer.key);
          this.#service?.forgetPeer(peer);
          requests.fail(this.#isClosed ? closedError() : error);
          reject(error);
        },
      };
      const connection: TcpConnection = new TcpConnection({ socket, peer, env, counters, owner }, this.#limits);
      entry().connection = connection;
      this.#connections.set(peer.key, connection);
      this.#channels.set(peer.key, requests);
    });
  }

  /** RFC 8323 section 3: both sides may send requests. */
  #handleRequest(connection: TcpConnection, message: Message, { local }: StreamSocket): void | Promise<void> {
    const scheme = streamScheme(connection.peer);
    if (this.#service !== null) return this.#service.handle(connection, message, { scheme, local });
    connection.send(message.token, errorMessage(CODE.NOT_IMPLEMENTED, "not a server"));
  }

  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}

/** Connects, and gives up long before the system would. */
async function connectInTime(
  { env, connectStream }: TcpPeersDeps,
  { address, port, secured, closing }: Destination & { readonly closing: AbortSignal },
  limitMs: number,
): Promise<StreamSocket> {
  const stop = new AbortController();
  const connecting =
    secured === undefined
      ? connectStream(address, port)
      : secured.connect(address, port, AbortSignal.any([closing, stop.signal]));
  return await new Promise((resolve, reject) => {
    let isLate = false;
    const timer = env.clock.setTimer(limitMs, () => {
      isLate = true;
      stop.abort();
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
