import type { Environment } from "@tributary/runtime";
import { Client } from "../client/coap-client.js";
import type { RequestChannel } from "../client/request-channel.js";
import { formatAuthority } from "../message/coap-uri.js";
import type { CoapClient, Peer, PeerConnection } from "../types.js";
import type { TcpConnection } from "./connection.js";

export interface PeerConnectionsDeps {
  readonly env: Environment;
  /** The way back to a peer. @throws {TransportError} UNREACHABLE when its connection is over. */
  readonly channelOf: (peer: Peer) => RequestChannel;
  readonly connectionOf: (peer: Peer) => TcpConnection | undefined;
}

interface Entry {
  readonly connection: PeerConnection;
  readonly listeners: Set<() => void>;
  holds: number;
}

/** The connections of a server for its handlers, created on demand. */
export class PeerConnections {
  readonly #deps: PeerConnectionsDeps;
  readonly #options: { readonly scheme: string; readonly blockSize: number };
  readonly #entries = new Map<string, Entry>();

  constructor(deps: PeerConnectionsDeps, options: { readonly scheme: string; readonly blockSize: number }) {
    this.#deps = deps;
    this.#options = options;
  }

  of(peer: Peer): PeerConnection {
    const known = this.#entries.get(peer.key);
    if (known !== undefined) return known.connection;
    const entry: Entry = { connection: this.#create(peer), listeners: new Set(), holds: 0 };
    this.#entries.set(peer.key, entry);
    return entry.connection;
  }

  /** Whether a handler wants the connection to be kept. */
  isHeld(peer: Peer): boolean {
    return (this.#entries.get(peer.key)?.holds ?? 0) > 0;
  }

  /** The connection is over. */
  closed(peer: Peer): void {
    const entry = this.#entries.get(peer.key);
    if (entry === undefined) return;
    this.#entries.delete(peer.key);
    for (const listener of [...entry.listeners]) this.#tell(listener);
    entry.listeners.clear();
  }

  #create(peer: Peer): PeerConnection {
    const { env, channelOf, connectionOf } = this.#deps;
    const { scheme, blockSize } = this.#options;
    const entry = (): Entry | undefined => this.#entries.get(peer.key);
    const connect = () => ({ channel: channelOf(peer) });
    let client: CoapClient | null = null;
    const ask = (): CoapClient => {
      client ??= new Client({ env, connect, schemes: [scheme], onClose: () => {} }, { blockSize });
      return client;
    };
    const zone = peer.zone === undefined ? "" : `%${peer.zone}`;
    return {
      peer,
      // The port is always written: what is the default depends on the scheme.
      origin: `${scheme}://${formatAuthority(peer.address + zone, peer.port, 0)}`,
      get isOpen() {
        return connectionOf(peer)?.isOpen ?? false;
      },
      request: (request, control) => ask().request(request, control),
      observe: (request, listener, control) => ask().observe(request, listener, control),
      hold() {
        const held = entry();
        if (held !== undefined) held.holds++;
        let isHeld = held !== undefined;
        return () => {
          if (isHeld && held !== undefined) held.holds--;
          isHeld = false;
        };
      },
      onClosed: (listener) => {
        const listeners = entry()?.listeners;
        if (listeners !== undefined) listeners.add(listener);
        else queueMicrotask(() => this.#tell(listener));
        return () => void listeners?.delete(listener);
      },
      release: () => connectionOf(peer)?.release(),
    };
  }

  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#deps.env.logger.error("a listener of a connection failed", { error });
    }
  }
}
