import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { EventEmitter, once } from "node:events";

type SendCallback = (error: Error | null, bytes: number) => void;

/**
 * A UDP socket as the agent of `coap` uses it, without its hazards: datagrams from hosts that were not asked are dropped,
 * a datagram on which the agent throws is dropped too, and sending after the close does nothing instead of throwing.
 */
export class GuardedSocket extends EventEmitter {
  readonly type: "udp4" | "udp6";
  readonly #socket: Socket;
  /** Peers with requests under way, and how many. */
  readonly #peers = new Map<string, number>();
  #openGroups = 0;
  #isClosed = false;

  private constructor(socket: Socket, type: "udp4" | "udp6") {
    super();
    this.#socket = socket;
    this.type = type;
    socket.on("message", (datagram, from) => this.#receive(datagram, from));
    socket.on("error", (error) => this.emit("error", error));
  }

  /** `via`: the interface for multicast, as `setMulticastInterface` wants it. One socket, so that renewals come from the address that the registration came from (RFC 9176 section 5.3.1). */
  static async open(type: "udp4" | "udp6", via?: string): Promise<GuardedSocket> {
    const socket = createSocket(type);
    try {
      socket.bind(0);
      await once(socket, "listening");
      if (via !== undefined) socket.setMulticastInterface(via);
    } catch (error) {
      socket.close();
      throw error;
    }
    return new GuardedSocket(socket, type);
  }

  /** Let datagrams of this peer in until the function that is returned is called. */
  expect(address: string, port: number): () => void {
    const key = peerKey(address, port);
    this.#peers.set(key, (this.#peers.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#peers.get(key) ?? 1) - 1;
      if (left > 0) this.#peers.set(key, left);
      else this.#peers.delete(key);
    };
  }

  /** Let datagrams of everybody in, as the answers to a multicast request come. */
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
    if (this.#openGroups === 0 && !this.#peers.has(peerKey(from.address, from.port))) return;
    try {
      this.emit("message", datagram, from);
    } catch {
      // What the agent cannot take is as good as lost on the way.
    }
  }
}

function peerKey(address: string, port: number): string {
  // The zone of a link-local address has several spellings.
  return `${address.replace(/%.*$/, "")} ${port}`;
}
