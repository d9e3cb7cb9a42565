import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { EventEmitter, once } from "node:events";
import { traceDatagram } from "@tributary/coap-transport";
import type { Logger } from "@tributary/runtime";

type SendCallback = (error: Error | null, bytes: number) => void;

/**
 * A UDP socket for the agent of `coap` that protects it: datagrams from unexpected hosts are dropped, as are datagrams on which the
 * agent throws; sending after the close does nothing instead of throwing.
 */
export class GuardedSocket extends EventEmitter {
  readonly type: "udp4" | "udp6";
  readonly #socket: Socket;
  readonly #logger: Logger;
  /** Number of requests in progress by peer. */
  readonly #peers = new Map<string, number>();
  #openGroups = 0;
  #isClosed = false;

  private constructor(socket: Socket, type: "udp4" | "udp6", logger: Logger) {
    super();
    this.#socket = socket;
    this.type = type;
    this.#logger = logger;
    socket.on("message", (datagram, from) => this.#receive(datagram, from));
    socket.on("error", (error) => this.emit("error", error));
  }

  /** Opens a socket on a free port. `logger` is for packets, `via` the interface for multicast, as for `setMulticastInterface`. */
  static async open(type: "udp4" | "udp6", logger: Logger, via?: string): Promise<GuardedSocket> {
    const socket = createSocket(type);
    try {
      socket.bind(0);
      await once(socket, "listening");
      if (via !== undefined) socket.setMulticastInterface(via);
    } catch (error) {
      socket.close();
      throw error;
    }
    return new GuardedSocket(socket, type, logger);
  }

  /** Accepts datagrams of this peer until the returned function is called. */
  expect(address: string, port: number): () => void {
    const key = peerKey(address, port);
    this.#peers.set(key, (this.#peers.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#peers.get(key) ?? 1) - 1;
      if (left > 0) this.#peers.set(key, left);
      else this.#peers.delete(key);
    };
  }

  /** Accepts datagrams of all peers, for the responses to a multicast request. */
  expectAnybody(): () => void {
    this.#openGroups++;
    return () => {
      this.#openGroups--;
    };
  }

  send(
    message: Uint8Array,
    offset: number,
    length: number,
    port: number,
    address: string,
    callback?: SendCallback,
  ): void {
    if (this.#isClosed) {
      process.nextTick(() => callback?.(null, 0));
      return;
    }
    traceDatagram(this.#logger, "out", { address, port }, message.subarray(offset, offset + length));
    this.#socket.send(message, offset, length, port, address, callback);
  }

  address(): ReturnType<Socket["address"]> {
    return this.#isClosed ? { address: "", family: "", port: 0 } : this.#socket.address();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.removeAllListeners("message");
    this.#socket.close();
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    traceDatagram(this.#logger, "in", from, datagram);
    if (this.#openGroups === 0 && !this.#peers.has(peerKey(from.address, from.port))) return;
    try {
      this.emit("message", datagram, from);
    } catch {
      // A datagram that the agent cannot process counts as lost.
    }
  }
}

function peerKey(address: string, port: number): string {
  // The zone of a link-local address has several spellings.
  return `${address.replace(/%.*$/, "")} ${port}`;
}
