import type { Socket } from "node:net";
import { parseIpAddress } from "../message/ip-address.js";
import type { StreamSocket } from "../tcp/stream-socket.js";
import type { PeerIdentity } from "../types.js";
import { tlsProblem } from "./tls-credentials.js";

/** Bytes that the runtime buffers before it reports that the peer is slow. */
export const HIGH_WATER_BYTES = 65_536;

/** TLS below a stream, after its handshake. */
export interface SecuredStream {
  /** Absent: the peer showed no credentials. */
  readonly identity?: PeerIdentity;
}

/** A connection of the system, with or without TLS, as a stream. */
export class NodeStreamSocket implements StreamSocket {
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number };
  readonly transport: "tcp" | "tls";
  readonly identity?: PeerIdentity;
  onBytes: ((bytes: Uint8Array) => void) | null = null;
  onDrained: (() => void) | null = null;
  onClosed: ((error: Error | null) => void) | null = null;
  readonly #socket: Socket;
  #error: Error | null = null;
  #isCorked = false;

  constructor(socket: Socket, secured?: SecuredStream) {
    this.#socket = socket;
    this.transport = secured === undefined ? "tcp" : "tls";
    if (secured?.identity !== undefined) this.identity = secured.identity;
    this.local = { address: canonicalText(socket.localAddress), port: socket.localPort ?? 0 };
    this.remote = { address: canonicalText(socket.remoteAddress), port: socket.remotePort ?? 0 };
    socket.on("data", (bytes: Buffer) => this.onBytes?.(bytes));
    socket.on("drain", () => this.onDrained?.());
    socket.on("error", (error) => {
      this.#error = secured === undefined ? error : new Error(tlsProblem(error), { cause: error });
    });
    socket.on("close", () => this.onClosed?.(this.#error));
    socket.resume();
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    if (!this.#isCorked) {
      // Everything written in one turn is sent by one system call.
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#socket.writableEnded) return;
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** IPv4-mapped addresses as IPv4, the rest in the spelling of RFC 5952. */
export function canonicalText(address: string | undefined): string {
  const literal = parseIpAddress(address ?? "");
  if (literal === null) return address ?? "";
  return literal.zone === undefined ? literal.address : `${literal.address}%${literal.zone}`;
}
