import { createSocket, type Socket } from "node:dgram";
import { isRequestCode, OPTION, parseDatagram } from "@tributary/coap-transport";
import { onTestFinished } from "vitest";

export interface CountedRequest {
  /** Code of the request: 1 is GET. */
  readonly code: number;
  /** Path and query as on the wire, e.g. `/rd-lookup/ep?d=f1`. */
  readonly target: string;
  /** An Observe option with 0: an observation starts, or is renewed. */
  readonly isObservation: boolean;
}

const decoder = new TextDecoder();

/**
 * Stands before a server on loopback and passes every datagram on, so that what a server of any make is asked can be counted,
 * and that it can be cut off. Repeated datagrams (the same message id of the same client) count once.
 */
export class CountingRelay {
  /** Requests that arrived, in order; later blocks of a request or answer are requests of their own. */
  readonly requests: CountedRequest[] = [];
  isCut = false;
  readonly uri: string;
  readonly #front: Socket;
  #server: { readonly port: number; readonly address: string };
  readonly #backs = new Map<string, Socket>();
  readonly #seen = new Set<string>();

  /** Open a relay to `coap://[::1]:port`, closed at the end of the test. */
  static async open(uri: string): Promise<CountingRelay> {
    const front = createSocket("udp6");
    await new Promise<void>((resolve, reject) => front.once("error", reject).bind(0, "::1", resolve));
    const relay = new CountingRelay(front, addressOf(uri));
    onTestFinished(() => relay.#close());
    return relay;
  }

  private constructor(front: Socket, server: { readonly port: number; readonly address: string }) {
    this.#front = front;
    this.#server = server;
    this.uri = `coap://[::1]:${front.address().port}`;
    front.on("message", (datagram, { port, address }) => {
      this.#count(datagram, `${address}:${port}`);
      if (!this.isCut) this.#back(port, address).send(datagram, this.#server.port, this.#server.address);
    });
  }

  /** Stand before another server from now on: for two that have to know of each other before they are there. */
  redirect(uri: string): void {
    this.#server = addressOf(uri);
  }

  /** Lookups among the requests, without those for the blocks that follow the first. */
  lookups(since = 0): string[] {
    return this.requests
      .slice(since)
      .filter(({ code, target }) => code === 1 && !target.startsWith("/.well-known/") && !target.startsWith("/reg/"))
      .map(({ target }) => target);
  }

  #count(datagram: Buffer, peer: string): void {
    const message = parseDatagram(Uint8Array.from(datagram));
    if (message === null || !("options" in message) || !isRequestCode(message.code)) return;
    const exchange = `${peer} ${datagram.readUInt16BE(2)}`;
    if (this.#seen.has(exchange)) return;
    this.#seen.add(exchange);
    const texts = (number: number) =>
      message.options.filter((option) => option.number === number).map(({ value }) => decoder.decode(value));
    const [block] = message.options.filter(({ number }) => number === OPTION.BLOCK2);
    if (block !== undefined && (block.value.at(-1) ?? 0) >> 4 !== 0) return;
    const query = texts(OPTION.URI_QUERY);
    this.requests.push({
      code: message.code,
      target: `/${texts(OPTION.URI_PATH).join("/")}${query.length > 0 ? `?${query.join("&")}` : ""}`,
      isObservation: message.options.some(({ number, value }) => number === OPTION.OBSERVE && value.length === 0),
    });
  }

  #back(port: number, address: string): Socket {
    const client = `${address}:${port}`;
    const known = this.#backs.get(client);
    if (known !== undefined) return known;
    const socket = createSocket(this.#server.address.includes(":") ? "udp6" : "udp4");
    socket.on("message", (datagram) => {
      if (!this.isCut) this.#front.send(datagram, port, address);
    });
    this.#backs.set(client, socket);
    return socket;
  }

  #close(): void {
    this.#front.close();
    for (const socket of this.#backs.values()) socket.close();
  }
}

function addressOf(uri: string): { port: number; address: string } {
  const { hostname, port } = new URL(uri);
  return { port: Number(port), address: hostname.replace(/^\[|\]$/g, "") };
}
