import { connect, createServer, type Server, type Socket } from "node:net";
import { TransportError } from "../errors.js";
import { parseIpAddress } from "../message/ip-address.js";
import type { StreamListener, StreamSocket } from "../tcp/stream-socket.js";

/** Bytes that the runtime buffers before it reports that the peer is slow. */
const HIGH_WATER_BYTES = 65_536;

/**
 * Take connections on an IP literal (zone included) and port, 0 for any. `::` takes IPv4 as well.
 * @throws {TransportError} BIND_FAILED
 */
export async function listenTcp(
  address: string,
  port: number,
  accept: (socket: StreamSocket) => void,
): Promise<StreamListener> {
  const server = createServer({ noDelay: true, pauseOnConnect: true, highWaterMark: HIGH_WATER_BYTES }, (socket) => {
    // The peer has closed the connection before it was accepted.
    if (socket.remoteAddress === undefined) socket.destroy();
    else accept(new NodeStreamSocket(socket));
  });
  await bind(server, address, port);
  const bound = server.address();
  const boundPort = bound !== null && typeof bound === "object" ? bound.port : port;
  return { local: { address, port: boundPort }, close: () => void server.close() };
}

async function bind(server: Server, address: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port, exclusive: true }, () => {
        server.removeListener("error", reject);
        // Out of descriptors, for example: that connection is lost, the others go on.
        server.on("error", () => {});
        resolve();
      });
    });
  } catch (cause) {
    const inUse = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    const why = inUse ? "it is in use" : String(cause instanceof Error ? cause.message : cause);
    throw new TransportError("BIND_FAILED", `cannot listen on ${address} port ${port}: ${why}`, { cause });
  }
}

/**
 * Connect to an IP literal (zone included) and port.
 * @throws {TransportError} UNREACHABLE
 */
export async function connectTcp(address: string, port: number): Promise<StreamSocket> {
  const options = { host: address, port, noDelay: true, highWaterMark: HIGH_WATER_BYTES };
  const socket = connect(options);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.removeListener("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    socket.destroy();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TransportError("UNREACHABLE", `the peer cannot be reached: ${why}`, { cause });
  }
  return new NodeStreamSocket(socket);
}

class NodeStreamSocket implements StreamSocket {
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number };
  onBytes: ((bytes: Uint8Array) => void) | null = null;
  onDrained: (() => void) | null = null;
  onClosed: ((error: Error | null) => void) | null = null;
  readonly #socket: Socket;
  #error: Error | null = null;
  #isCorked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.local = { address: canonical(socket.localAddress), port: socket.localPort ?? 0 };
    this.remote = { address: canonical(socket.remoteAddress), port: socket.remotePort ?? 0 };
    socket.on("data", (bytes: Buffer) => this.onBytes?.(bytes));
    socket.on("drain", () => this.onDrained?.());
    socket.on("error", (error) => {
      this.#error = error;
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
function canonical(address: string | undefined): string {
  const literal = parseIpAddress(address ?? "");
  if (literal === null) return address ?? "";
  return literal.zone === undefined ? literal.address : `${literal.address}%${literal.zone}`;
}
