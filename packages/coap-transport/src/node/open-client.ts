import { lookup } from "node:dns/promises";
import type { Environment, Timer } from "@tributary/runtime";
import { Client, ping } from "../client/coap-client.js";
import { HostNames, type NamedTarget, type ResolveName } from "../client/host-names.js";
import type { RequestChannel } from "../client/request-channel.js";
import { type ChooseProtection, type Route, routeToName, withProtection } from "../client/route.js";
import { TransportError } from "../errors.js";
import type { ParsedCoapUri } from "../message/coap-uri.js";
import { DEFAULT_LIMITS, DEFAULT_PARAMETERS } from "../message/codes.js";
import { createCounters } from "../message/counters.js";
import { parseIpAddress } from "../message/ip-address.js";
import { connectTcp } from "../streams/tcp-socket.js";
import { connectTls } from "../streams/tls-client.js";
import { type ConnectStream, type SecuredConnect, TcpPeers } from "../tcp/client.js";
import { DEFAULT_STREAM_LIMITS, type StreamLimits } from "../tcp/limits.js";
import type {
  CoapClient,
  Peer,
  RequestHandler,
  TlsClientCredentials,
  TransmissionParameters,
  TransportCounters,
  TransportLimits,
} from "../types.js";
import { UdpCore } from "../udp/core.js";
import { canonicalAddress, openUdpSocket } from "./udp-socket.js";

/** Collaborators of `openCoapClient`. */
export interface OpenCoapClientDeps {
  readonly env: Environment;
  /** All addresses of a name, the one to be tried first in front. Default: the system's resolver (RFC 6724). */
  readonly resolve?: ResolveName;
  /** Makes the connections of `coap+tcp`. Default: those of the system. */
  readonly connectStream?: ConnectStream;
  /**
   * Serves what peers ask over the `coap+tcp` connections of this client (RFC 8323 section 3); these are then kept until they are
   * lost or the client is closed. Default: the response to such requests is 5.01.
   */
  readonly handler?: RequestHandler;
}

/** Settings of `openCoapClient`. */
export interface OpenCoapClientOptions {
  readonly parameters?: Partial<TransmissionParameters>;
  readonly limits?: Partial<TransportLimits>;
  /** Counters to count into; default: own ones. */
  readonly counters?: TransportCounters;
  /** Protects requests to some servers one by one (RFC 8613). Default: none. */
  readonly protect?: ChooseProtection | undefined;
  /**
   * Peers that several confirmable messages may be in transit to, under congestion control (RFC 7252 section 4.7). Default: all, as
   * the caller chooses whom to send requests to.
   */
  readonly isConfigured?: (peer: Peer) => boolean;
  /** Bounds and times of `coap+tcp` and `coaps+tcp`. */
  readonly streamLimits?: Partial<StreamLimits>;
  /**
   * Credentials for the servers of `coaps+tcp`, called for each request, so that new connections use new ones. A context is made once
   * for each object that is returned. Default: servers are verified by the public authorities that Node knows, and shown nothing.
   */
  readonly tls?: (server: TlsServerName) => TlsClientCredentials;
}

/** A server as a URI names it. */
export type TlsServerName = Pick<ParsedCoapUri, "host" | "hostIsLiteral" | "port">;

/** Schemes of the URIs that can be requested. */
const SCHEMES = ["coap", "coap+tcp", "coaps+tcp"];
const DEFAULT_TLS: TlsClientCredentials = {};
/** Time after which a socket without requests is closed, ms. */
const IDLE_MS = 300_000;
/** Beyond this number of sockets a shorter time is enough. */
const MAX_IDLE_SOCKETS = 64;
const MIN_IDLE_MS = 1000;
/** Sockets at once: simple registration lets strangers decide whom to talk to, and descriptors are few. */
const MAX_SOCKETS = 1024;

/**
 * Opens a client with one socket for each peer, connected on demand: a connected socket receives datagrams of its peer only, and reports
 * at once when nothing listens there.
 */
export async function openCoapClient(
  deps: OpenCoapClientDeps,
  options: OpenCoapClientOptions = {},
): Promise<CoapClient> {
  const sockets = new PeerSockets(deps.env, options);
  const { env, connectStream = connectTcp, resolve = resolveByHost } = deps;
  const counters = options.counters ?? createCounters();
  const streamLimits = { ...DEFAULT_STREAM_LIMITS, ...options.streamLimits };
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const service = deps.handler === undefined ? {} : { service: { handler: deps.handler, limits } };
  const connections = new TcpPeers({ env, counters, connectStream, ...service }, streamLimits);
  const { tls = () => DEFAULT_TLS } = options;
  const channelTo = (target: NamedTarget, address: string): Promise<RequestChannel> => {
    const to = canonicalAddress(address);
    if (target.scheme === "coap") return sockets.channelTo(to, target.port);
    return connections.channelTo(to, target.port, target.scheme === "coaps+tcp" ? securedBy(tls, target) : undefined);
  };
  const probe = async (target: NamedTarget, address: string, signal: AbortSignal): Promise<void> => {
    const channel = await channelTo(target, address);
    // With a connection the peer has responded.
    if (target.scheme === "coap") await ping(channel, signal);
  };
  const names = new HostNames({ ...env, resolve, probe });
  const connect = async (uri: ParsedCoapUri): Promise<Route> => {
    if (!uri.hostIsLiteral) return await routeToName(names, uri, (address) => channelTo(uri, address));
    const address = uri.zone === undefined ? uri.host : `${uri.host}%${uri.zone}`;
    return { channel: await channelTo(uri, address) };
  };
  const onClose = async (): Promise<void> => {
    names.close();
    connections.close();
    await sockets.close();
  };
  return new Client(
    { env, connect: withProtection(connect, options.protect), onClose, counters, schemes: SCHEMES },
    limits,
  );
}

function securedBy(choose: (server: TlsServerName) => TlsClientCredentials, target: NamedTarget): SecuredConnect {
  const { host, port } = target;
  const server = { host, port, hostIsLiteral: parseIpAddress(host) !== null };
  return {
    name: host,
    connect: (address, port, signal) => connectTls(address, port, server, { credentials: choose(server), signal }),
  };
}

async function resolveByHost(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

interface PeerSocket {
  readonly opening: Promise<UdpCore>;
  /** Set once open. */
  core: UdpCore | null;
  usedAtMs: number;
}

class PeerSockets {
  readonly #env: Environment;
  readonly #options: OpenCoapClientOptions;
  readonly #counters: TransportCounters;
  /** By peer, the least recently used first. */
  readonly #sockets = new Map<string, PeerSocket>();
  #sweepTimer: Timer | null = null;
  #isClosed = false;

  constructor(env: Environment, options: OpenCoapClientOptions) {
    this.#env = env;
    this.#options = options;
    this.#counters = options.counters ?? createCounters();
  }

  async channelTo(address: string, port: number): Promise<RequestChannel> {
    const key = `${address} ${port}`;
    const known = this.#sockets.get(key) ?? this.#open(key, address, port);
    this.#sockets.delete(key);
    this.#sockets.set(key, known);
    known.usedAtMs = this.#env.clock.nowMs();
    this.#sweepTimer ??= this.#env.clock.setTimer(IDLE_MS, this.#sweep);
    const core = await known.opening;
    return core.channelTo(address, port);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sweepTimer?.cancel();
    const opened = await Promise.allSettled([...this.#sockets.values()].map((socket) => socket.opening));
    for (const result of opened) if (result.status === "fulfilled") result.value.close();
    this.#sockets.clear();
  }

  #open(key: string, address: string, port: number): PeerSocket {
    if (this.#sockets.size >= MAX_IDLE_SOCKETS) this.#closeIdle(MIN_IDLE_MS);
    if (this.#sockets.size >= MAX_SOCKETS) throw new TransportError("OVERLOADED", "too many peers at once");
    const socket: PeerSocket = { opening: this.#openCore(address, port), core: null, usedAtMs: 0 };
    socket.opening.then(
      (core) => {
        socket.core = core;
      },
      () => {
        if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
      },
    );
    return socket;
  }

  async #openCore(address: string, port: number): Promise<UdpCore> {
    const any = address.includes(":") ? "::" : "0.0.0.0";
    const socket = await openUdpSocket(any, 0, { remote: { address, port } });
    if (this.#isClosed) {
      socket.close();
      throw new TransportError("CLOSED", "the client was closed");
    }
    const parameters = { ...DEFAULT_PARAMETERS, ...this.#options.parameters };
    const limits = { ...DEFAULT_LIMITS, ...this.#options.limits };
    const { isConfigured = () => true } = this.#options;
    return new UdpCore(
      { socket, env: this.#env, counters: this.#counters },
      { scheme: "coap", parameters, limits, isConfigured },
    );
  }

  readonly #sweep = (): void => {
    this.#closeIdle(IDLE_MS);
    this.#sweepTimer = this.#sockets.size === 0 ? null : this.#env.clock.setTimer(IDLE_MS, this.#sweep);
  };

  #closeIdle(idleMs: number): void {
    const oldestMs = this.#env.clock.nowMs() - idleMs;
    for (const [key, { core, usedAtMs }] of this.#sockets) {
      if (core === null || core.hasRequests || usedAtMs > oldestMs) continue;
      this.#sockets.delete(key);
      core.close();
    }
  }
}
