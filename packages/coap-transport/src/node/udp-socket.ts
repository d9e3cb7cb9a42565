import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { networkInterfaces } from "node:os";
import type { Environment } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { parseIpAddress } from "../message/ip-address.js";
import type { DatagramSocket } from "../types.js";
import type { HostInterfaces } from "./host-interfaces.js";
import { HostSocket, type HostSocketOptions } from "./host-socket.js";
import type { OpenUdpSocketOptions } from "./udp-socket-options.js";

const DEFAULT_BUFFER_BYTES = 4_194_304;
const MAPPED = "::ffff:";

/**
 * Open a UDP socket on an IP literal (zone included, e.g. `fe80::1%eth0`) and port, 0 for any.
 * @throws {TransportError} BIND_FAILED when the address or port cannot be had.
 */
export async function openUdpSocket(
  address: string,
  port: number,
  options: OpenUdpSocketOptions = {},
): Promise<DatagramSocket> {
  const socket = await bindSocket(address, port, options);
  if (options.remote !== undefined) await connectSocket(socket, options.remote);
  return new NodeDatagramSocket(socket);
}

/**
 * Open a UDP port that follows the interfaces of this host: with a wildcard address on all addresses, each with a socket
 * of its own, and with the multicast groups of `options` on all interfaces.
 * @throws {TransportError} BIND_FAILED
 */
export async function openHostSocket(
  deps: { readonly env: Environment; readonly interfaces: HostInterfaces },
  address: string,
  port: number,
  options: Omit<HostSocketOptions, "followsAddresses">,
): Promise<DatagramSocket> {
  let socket = await bindSocket(address, port, {});
  const bound = socket.address().port;
  const isWildcard = address === "::" || address === "0.0.0.0";
  if (isWildcard) {
    // A wildcard socket and others can share a port only if all of them allow it. Binding without that first shows whether the port is
    // free, which could not be seen otherwise.
    await new Promise<void>((resolve) => socket.close(resolve));
    socket = await bindSocket(address, bound, { reuseAddr: true });
  }
  const host = new HostSocket(socket, { ...deps, bind: bindSocket }, { ...options, followsAddresses: isWildcard });
  await host.start();
  return host;
}

/** @throws {TransportError} BIND_FAILED */
async function bindSocket(address: string, port: number, options: OpenUdpSocketOptions): Promise<Socket> {
  const family = address.includes(":") ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? "udp6" : "udp4",
    reuseAddr: options.reuseAddr ?? false,
    ipv6Only: options.ipv6Only ?? false,
    // Only literals come here: nothing is looked up.
    lookup: (host, _options, callback) => callback(null, host, family),
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ address, port, exclusive: true }, () => {
        socket.removeListener("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    socket.close();
    throw bindError(address, port, cause);
  }
  setBuffers(socket, options);
  return socket;
}

function bindError(address: string, port: number, cause: unknown): TransportError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
  const where = `UDP ${address} port ${port}`;
  const why: Record<string, string> = {
    EADDRINUSE: "it is in use by another process or listener",
    EADDRNOTAVAIL: "this machine does not have that address",
    EACCES: "not permitted",
    EAFNOSUPPORT: "this machine does not speak that address family",
  };
  return new TransportError("BIND_FAILED", `cannot bind ${where}: ${why[code] ?? code}`, { cause });
}

async function connectSocket(socket: Socket, remote: { address: string; port: number }): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(remote.port, remote.address, () => {
        socket.removeListener("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    socket.close();
    throw new TransportError("UNREACHABLE", `no route to ${remote.address}`, { cause });
  }
}

/** Bursts wait in these buffers. The system grants what its limits allow, without an error. */
function setBuffers(socket: Socket, options: OpenUdpSocketOptions): void {
  try {
    socket.setRecvBufferSize(options.receiveBufferBytes ?? DEFAULT_BUFFER_BYTES);
    socket.setSendBufferSize(options.sendBufferBytes ?? DEFAULT_BUFFER_BYTES);
  } catch {
    // Some systems refuse what is beyond their limit rather than cap it: the default buffers stay.
  }
}

class NodeDatagramSocket implements DatagramSocket {
  readonly local: { readonly address: string; readonly port: number };
  onDatagram: DatagramSocket["onDatagram"] = null;
  onError: DatagramSocket["onError"] = null;
  readonly #socket: Socket;
  readonly #isIpv6: boolean;
  readonly #isConnected: boolean;
  #isClosed = false;

  constructor(socket: Socket) {
    const { address, port, family } = socket.address();
    this.local = { address, port };
    this.#socket = socket;
    this.#isIpv6 = family === "IPv6";
    this.#isConnected = isConnected(socket);
    socket.on("message", (datagram: Buffer, from: RemoteInfo) => this.#receive(datagram, from));
    socket.on("error", this.#report);
  }

  send(datagram: Uint8Array, to: { address: string; port: number }, isReported = true): void {
    if (this.#isClosed) return;
    if (this.#isConnected) {
      this.#socket.send(datagram, this.#onSent);
      return;
    }
    const isMapped = this.#isIpv6 && !to.address.includes(":");
    const address = isMapped ? MAPPED + to.address : to.address;
    // A callback costs a turn of the event loop for each datagram.
    this.#socket.send(datagram, 0, datagram.length, to.port, address, isReported ? this.#onSent : undefined);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    if (from.address.startsWith(MAPPED)) from.address = from.address.slice(MAPPED.length);
    this.onDatagram?.(datagram, from, false);
  }

  readonly #onSent = (error: Error | null): void => {
    if (error !== null) this.#report(error);
  };

  readonly #report = (error: Error): void => {
    if (this.#isClosed) return;
    if ("address" in error && typeof error.address === "string" && error.address.startsWith(MAPPED)) {
      error.address = error.address.slice(MAPPED.length);
    }
    this.onError?.(error);
  };
}

function isConnected(socket: Socket): boolean {
  try {
    socket.remoteAddress();
    return true;
  } catch {
    return false; // node:dgram throws when the socket is not connected
  }
}

/** The address as sockets report it: a zone that is the number of an interface becomes its name. */
export function canonicalAddress(text: string): string {
  const literal = parseIpAddress(text);
  if (literal?.zone === undefined) return literal?.address ?? text;
  const index = Number(literal.zone);
  if (!Number.isInteger(index)) return text;
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (addresses?.some((entry) => entry.family === "IPv6" && entry.scopeid === index)) {
      return `${literal.address}%${name}`;
    }
  }
  return text;
}
