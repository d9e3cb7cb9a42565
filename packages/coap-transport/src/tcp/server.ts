import { type Environment, Idleness } from "@tributary/runtime";
import { createAskPeer } from "../client/ask-peer.js";
import type { RequestChannel } from "../client/request-channel.js";
import { TransportError } from "../errors.js";
import { countRejected } from "../message/counters.js";
import { addressHolder } from "../message/ip-address.js";
import type { Message } from "../message/message.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import type {
  AskPeer,
  LocalAddress,
  Peer,
  RequestHandler,
  TableSizes,
  TransportCounters,
  TransportLimits,
} from "../types.js";
import { TcpConnection } from "./connection.js";
import { ConnectionPlaces } from "./connection-places.js";
import type { StreamLimits } from "./limits.js";
import { streamPeer } from "./peer.js";
import { PeerConnections } from "./peer-connections.js";
import { TcpRequests } from "./requests.js";
import type { SharedConnections } from "./shared-connections.js";
import { StreamService } from "./stream-service.js";
import type { StreamSocket } from "./stream-socket.js";

export interface TcpServerDeps {
  readonly env: Environment;
  readonly handler: RequestHandler;
  readonly counters: TransportCounters;
  /** Makes and checks the Echo values of handlers; addresses need no verification here. */
  readonly guard?: AmplificationGuard | undefined;
  /** See `ListenCoapOptions`. */
  readonly protection?: ServerProtection | undefined;
}

export interface TcpServerOptions {
  readonly scheme: string;
  readonly limits: TransportLimits;
  readonly streamLimits: StreamLimits;
  /** Other addresses at which the same listener is reached. */
  readonly isAlso?: LocalAddress["isAlso"];
  /** Places that connections take beside those of this listener. */
  readonly sharedConnections?: SharedConnections | undefined;
}

/** A server of CoAP over the connections that are passed to it (RFC 8323). */
export class TcpServer {
  readonly #deps: TcpServerDeps;
  readonly #options: TcpServerOptions;
  readonly #service: StreamService;
  readonly #connections = new Map<string, TcpConnection>();
  /** Requests that this side sends, by peer. */
  readonly #requests = new Map<string, TcpRequests>();
  readonly #askPeer: AskPeer;
  readonly #peerConnections: PeerConnections;
  readonly #allPlaces: readonly ConnectionPlaces<TcpConnection>[];
  readonly #idleness: Idleness;
  #isAccepting = true;

  constructor(deps: TcpServerDeps, options: TcpServerOptions) {
    this.#deps = deps;
    this.#options = options;
    const { limits, streamLimits } = options;
    this.#idleness = new Idleness(deps.env.clock);
    const { maxConnections, maxConnectionsPerAddress } = streamLimits;
    const { sharedConnections } = options;
    const own = new ConnectionPlaces<TcpConnection>({ maxConnections, maxPerHolder: maxConnectionsPerAddress });
    this.#allPlaces = sharedConnections === undefined ? [own] : [own, sharedConnections.places];
    const channelOf = (peer: Peer): RequestChannel => this.#channelOf(peer);
    const connectionOf = (peer: Peer): TcpConnection | undefined => this.#connections.get(peer.key);
    const asking = { scheme: options.scheme, blockSize: limits.blockSize };
    this.#askPeer = createAskPeer({ env: deps.env, channelOf }, asking);
    this.#peerConnections = new PeerConnections({ env: deps.env, channelOf, connectionOf }, asking);
    this.#service = new StreamService({ ...deps, idleness: this.#idleness, connectionOf, channelOf }, limits);
  }

  /** Takes over a connection that a peer made, or closes it when there are too many. */
  accept(socket: StreamSocket): void {
    const { env, counters } = this.#deps;
    const { streamLimits } = this.#options;
    const peer = streamPeer(socket);
    if (!this.#isAccepting || !this.#makeRoom(peer)) {
      socket.destroy();
      return;
    }
    const owner = {
      onReady: () => {},
      onRequest: (message: Message) => this.#handleRequest(connection, message, socket),
      onResponse: (message: Message) => this.#requests.get(peer.key)?.handleResponse(message) ?? false,
      isInUse: () =>
        this.#service.isObserver(peer) ||
        (this.#requests.get(peer.key)?.size ?? 0) > 0 ||
        this.#peerConnections.isHeld(peer),
      onClosed: (error: TransportError) => this.#forget(peer, error),
    };
    const connection: TcpConnection = new TcpConnection({ socket, peer, env, counters, owner }, streamLimits);
    this.#connections.set(peer.key, connection);
    for (const places of this.#allPlaces) places.add(addressHolder(peer), connection);
  }

  /** Returns false when there is no place for a new connection. */
  #makeRoom(newcomer: Peer): boolean {
    // One that gives way may have a place of both kinds.
    for (const places of this.#allPlaces) {
      const admission = places.admit(addressHolder(newcomer));
      if (admission.kind === "free") continue;
      if (admission.kind === "refused") {
        countRejected(this.#deps.counters, admission.cause);
        return false;
      }
      countRejected(this.#deps.counters, "connection-replaced");
      admission.connection.destroy(new TransportError("UNREACHABLE", "replaced by the connection of another client"));
    }
    return true;
  }

  /** Resolves when no handler runs, or after `limitMs`. */
  whenIdle(limitMs: number): Promise<void> {
    return this.#idleness.wait(limitMs);
  }

  tableSizes(): TableSizes {
    return { ...this.#service.tableSizes(), connections: this.#connections.size };
  }

  /** Accepts no more connections and ignores further requests. */
  stopAccepting(): void {
    this.#isAccepting = false;
    for (const connection of this.#connections.values()) connection.stopAccepting();
  }

  /** Ends observations with a last notification, then releases all connections. */
  close(): void {
    this.stopAccepting();
    this.#service.close();
    for (const connection of [...this.#connections.values()]) connection.release();
  }

  #forget(peer: Peer, error: TransportError): void {
    const connection = this.#connections.get(peer.key);
    if (connection !== undefined) for (const places of this.#allPlaces) places.remove(addressHolder(peer), connection);
    this.#connections.delete(peer.key);
    this.#requests.get(peer.key)?.fail(error);
    this.#requests.delete(peer.key);
    this.#service.forgetPeer(peer);
    this.#peerConnections.closed(peer);
  }

  /** RFC 8323 section 3: both sides may send requests. */
  #channelOf(peer: Peer): RequestChannel {
    const connection = this.#connections.get(peer.key);
    if (connection === undefined) throw new TransportError("UNREACHABLE", "the connection of the peer is over");
    const known = this.#requests.get(peer.key);
    if (known !== undefined) return known;
    const { random } = this.#deps.env;
    const requests = new TcpRequests({ random, connection: () => connection, peer });
    this.#requests.set(peer.key, requests);
    return requests;
  }

  #handleRequest(connection: TcpConnection, message: Message, socket: StreamSocket): void | Promise<void> {
    const { scheme, isAlso } = this.#options;
    const local = isAlso === undefined ? socket.local : { ...socket.local, isAlso };
    const peerConnection = this.#peerConnections.of(connection.peer);
    return this.#service.handle(connection, message, {
      scheme,
      local,
      askPeer: this.#askPeer,
      connection: peerConnection,
    });
  }
}
