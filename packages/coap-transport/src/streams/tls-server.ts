import { randomBytes } from "node:crypto";
import { createServer as createTcpServer, type Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Environment, Timer } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { countRejected } from "../message/counters.js";
import { addressHolder } from "../message/ip-address.js";
import { ConnectionPlaces } from "../tcp/connection-places.js";
import type { StreamLimits } from "../tcp/limits.js";
import type { StreamListener, StreamSocket } from "../tcp/stream-socket.js";
import type { PeerIdentity, TlsServerCredentials, TransportCounters } from "../types.js";
import { canonicalText, HIGH_WATER_BYTES, NodeStreamSocket } from "./node-stream-socket.js";
import { bindServer } from "./tcp-socket.js";
import { ALPN_PROTOCOLS, contextOf, serverContextOptions, tlsProblem } from "./tls-credentials.js";
import { identityOfCertificate, shownCertificate } from "./tls-identity.js";

export interface TlsServerDeps {
  readonly env: Environment;
  readonly counters: TransportCounters;
  /** Takes over a connection after its handshake. */
  readonly accept: (socket: StreamSocket) => void;
}

export type HandshakeLimits = Pick<StreamLimits, "maxHandshakes" | "maxHandshakesPerAddress" | "handshakeMs">;

/** A handshake under way, as something that takes a place. */
interface Handshake {
  readonly hasSpoken: false;
  readonly isInUse: false;
  readonly usedAtMs: number;
  readonly holder: string;
  readonly socket: Socket;
  readonly timer: Timer;
}

/** Bytes of the key that stands for one that does not exist. */
const DECOY_KEY_BYTES = 16;

/** The TLS side of a listener: handshakes, their bounds, and the credentials, which can be replaced at any time. */
export class TlsServer {
  readonly #deps: TlsServerDeps;
  readonly #limits: HandshakeLimits;
  /** By addresses and ports, as nothing else of the connection is public before and after the handshake. */
  readonly #handshakes = new Map<string, Handshake>();
  readonly #places: ConnectionPlaces<Handshake>;
  #server: Server;
  #isAccepting = true;

  /** @throws {TransportError} BAD_ARGUMENT when the credentials cannot be used. */
  constructor(deps: TlsServerDeps, credentials: TlsServerCredentials, limits: HandshakeLimits) {
    this.#deps = deps;
    this.#limits = limits;
    this.#places = new ConnectionPlaces({
      maxConnections: limits.maxHandshakes,
      maxPerHolder: limits.maxHandshakesPerAddress,
    });
    this.#server = this.#serverOf(credentials);
  }

  /** Handshakes under way. */
  get size(): number {
    return this.#handshakes.size;
  }

  /** @throws {TransportError} BIND_FAILED */
  async listen(address: string, port: number): Promise<StreamListener> {
    const server = createTcpServer({ noDelay: true, highWaterMark: HIGH_WATER_BYTES }, (socket) => this.#begin(socket));
    return await bindServer(server, address, port);
  }

  /**
   * Uses other credentials for connections that are made from now on; others continue.
   * @throws {TransportError} BAD_ARGUMENT when they cannot be used; then nothing changes.
   */
  replace(credentials: TlsServerCredentials): void {
    this.#server = this.#serverOf(credentials);
  }

  /** Ends the handshakes under way, and begins none. */
  close(): void {
    this.#isAccepting = false;
    for (const { socket } of [...this.#handshakes.values()]) socket.destroy();
  }

  /** A server that does not listen itself: connections are passed to it. */
  #serverOf(credentials: TlsServerCredentials): Server {
    const { certificate, clientAuthorities, preSharedKeys = new Map<string, Uint8Array>() } = credentials;
    if (certificate === undefined && preSharedKeys.size === 0)
      throw new TransportError("BAD_ARGUMENT", "a TLS server needs a certificate or pre-shared keys");
    const options = serverContextOptions(credentials);
    contextOf(options);
    const isRequired = clientAuthorities !== undefined && credentials.clientCertificates !== "optional";
    const proved = new WeakMap<TLSSocket, string>();
    const server = createServer({
      ...options,
      ALPNProtocols: [...ALPN_PROTOCOLS],
      requestCert: clientAuthorities !== undefined,
      // A client may prove itself by a key instead, which is decided after the handshake.
      rejectUnauthorized: isRequired && preSharedKeys.size === 0,
      // The time limit here is that of the injected clock.
      handshakeTimeout: 2 * this.#limits.handshakeMs,
      ...(preSharedKeys.size === 0
        ? {}
        : {
            pskCallback: (socket: TLSSocket, identity: string) => {
              const key = preSharedKeys.get(identity);
              // An unknown identity must not look different from a wrong key (RFC 4279 section 2).
              if (key === undefined) return randomBytes(DECOY_KEY_BYTES);
              if (!proved.has(socket)) proved.set(socket, identity);
              return key;
            },
          }),
    });
    server.on("secureConnection", (socket) => {
      this.#end(socket);
      const identity = identityOf(socket, proved.get(socket), clientAuthorities !== undefined);
      if (identity === "refused" || (identity === undefined && isRequired)) this.#refuse(socket, "not-authenticated");
      else this.#accept(socket, identity);
    });
    server.on("tlsClientError", (error, socket) => {
      this.#end(socket);
      this.#refuse(socket, "tls-handshake-failed", error);
    });
    return server;
  }

  #begin(socket: Socket): void {
    // The peer has closed the connection before it was accepted.
    if (!this.#isAccepting || socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const holder = holderOf(socket);
    const admission = this.#places.admit(holder);
    if (admission.kind === "refused") {
      countRejected(this.#deps.counters, "handshake-limit");
      socket.destroy();
      return;
    }
    if (admission.kind === "replace") {
      countRejected(this.#deps.counters, "handshake-replaced");
      admission.connection.socket.destroy();
      this.#forget(keyOf(admission.connection.socket), admission.connection);
    }
    const { clock } = this.#deps.env;
    const timer = clock.setTimer(this.#limits.handshakeMs, () => {
      countRejected(this.#deps.counters, "handshake-timeout");
      socket.destroy();
    });
    const handshake = { hasSpoken: false, isInUse: false, usedAtMs: clock.nowMs(), holder, socket, timer } as const;
    const key = keyOf(socket);
    this.#handshakes.set(key, handshake);
    this.#places.add(holder, handshake);
    socket.on("error", () => {});
    socket.once("close", () => this.#forget(key, handshake));
    this.#server.emit("connection", socket);
  }

  #end(socket: TLSSocket): void {
    const key = keyOf(socket);
    const handshake = this.#handshakes.get(key);
    if (handshake !== undefined) this.#forget(key, handshake);
  }

  #forget(key: string, handshake: Handshake): void {
    handshake.timer.cancel();
    this.#places.remove(handshake.holder, handshake);
    if (this.#handshakes.get(key) === handshake) this.#handshakes.delete(key);
  }

  #accept(socket: TLSSocket, identity: PeerIdentity | undefined): void {
    if (!this.#isAccepting || socket.remoteAddress === undefined) socket.destroy();
    else this.#deps.accept(new NodeStreamSocket(socket, identity === undefined ? {} : { identity }));
  }

  #refuse(socket: TLSSocket, cause: string, error?: Error): void {
    const { env, counters } = this.#deps;
    countRejected(counters, cause);
    const why = error === undefined ? unprovedReason(socket) : tlsProblem(error);
    env.logger.debug("a TLS client is refused", { cause, peer: canonicalText(socket.remoteAddress), reason: why });
    socket.destroy();
  }
}

/**
 * Who the peer is after the handshake: undefined when it showed nothing, `refused` when what it showed is not trusted. A client may
 * name an identity and then not use its key: with TLS 1.3 the key was used only if the session counts as resumed, as no session
 * of certificates is ever resumed here.
 */
function identityOf(
  socket: TLSSocket,
  named: string | undefined,
  asksForCertificate: boolean,
): PeerIdentity | "refused" | undefined {
  const suite = socket.getCipher().name;
  const usedKey = socket.getProtocol() === "TLSv1.3" ? socket.isSessionReused() : /(?:^|-)PSK-/.test(suite);
  if (usedKey) return named === undefined ? "refused" : { kind: "psk", name: named, names: [named] };
  if (!asksForCertificate) return undefined;
  const certificate = shownCertificate(socket);
  if (certificate === undefined) return undefined;
  return socket.authorized ? identityOfCertificate(certificate) : "refused";
}

/** Why a client is refused whose handshake succeeded. Pure. */
function unprovedReason(socket: TLSSocket): string {
  const isShown = shownCertificate(socket) !== undefined;
  return isShown ? tlsProblem({ code: socket.authorizationError }) : "it shows no certificate and uses no key";
}

function keyOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

function holderOf(socket: Socket): string {
  const [address = "", zone] = canonicalText(socket.remoteAddress).split("%");
  return addressHolder({ address, ...(zone === undefined ? {} : { zone }) });
}
