import type { RemoteInfo, Socket } from "node:dgram";
import { EventEmitter } from "node:events";
import type { NetworkInterfaceInfo } from "node:os";
import type { BindSocket } from "../node/multicast-groups.js";

/** What a socket of a virtual host sent. */
export interface SentDatagram {
  /** Address that the socket is bound to. */
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/** The sockets and interfaces of a host that exists in a test only; what is received is said by the test. */
export class VirtualHost {
  readonly sent: SentDatagram[] = [];
  /** Addresses that cannot be bound (yet). */
  readonly refused = new Set<string>();
  readonly #sockets = new Map<string, VirtualSocket>();
  #interfaces: Record<string, NetworkInterfaceInfo[]> = {};

  /** `cidrs` by interface, e.g. `{ eth0: ["192.0.2.1/24", "fe80::1/64"] }`. */
  setInterfaces(cidrs: Readonly<Record<string, readonly string[]>>): void {
    this.#interfaces = Object.fromEntries(Object.entries(cidrs).map(([name, list]) => [name, list.map(infoOf)]));
  }

  readonly list = (): Readonly<Record<string, readonly NetworkInterfaceInfo[]>> => this.#interfaces;

  readonly bind: BindSocket = (address) => {
    if (this.refused.has(address)) return Promise.reject(new Error(`cannot bind ${address}`));
    const socket = new VirtualSocket(address, this);
    this.#sockets.set(address, socket);
    return Promise.resolve(socket as unknown as Socket);
  };

  /** Addresses that sockets are bound to. */
  get bound(): string[] {
    return [...this.#sockets.values()].filter(({ isClosed }) => !isClosed).map(({ bound }) => bound);
  }

  /** Groups that the socket bound to `address` joined, each with where; `-` in front: only for others. */
  groupsOf(address: string): string[] {
    return this.#sockets.get(address)?.groups ?? [];
  }

  /** Hand a datagram to the socket bound to `address`. */
  deliver(address: string, text: string, from: { address: string; port: number }): void {
    const socket = this.#sockets.get(address);
    if (socket === undefined || socket.isClosed) throw new Error(`nothing is bound to ${address}`);
    socket.emit("message", Buffer.from(text), { ...from } as RemoteInfo);
  }
}

class VirtualSocket extends EventEmitter {
  readonly bound: string;
  readonly groups: string[] = [];
  isClosed = false;
  readonly #host: VirtualHost;

  constructor(bound: string, host: VirtualHost) {
    super();
    this.bound = bound;
    this.#host = host;
  }

  address() {
    const { bound } = this;
    return { address: bound, port: 5683, family: bound.includes(":") ? "IPv6" : "IPv4" };
  }

  send(datagram: Uint8Array, _offset: number, _length: number, _port: number, to: string): void {
    this.#host.sent.push({ from: this.bound, to, text: Buffer.from(datagram).toString() });
  }

  addMembership(group: string, where: string): void {
    this.groups.push(`${group} ${where}`);
  }

  addSourceSpecificMembership(_source: string, group: string, where: string): void {
    this.groups.push(`-${group} ${where}`);
  }

  close(): void {
    this.isClosed = true;
  }
}

function infoOf(cidr: string): NetworkInterfaceInfo {
  const [address = ""] = cidr.split("/");
  const internal = address === "::1" || address.startsWith("127.");
  const common = { address, netmask: "", mac: "", internal, cidr };
  return address.includes(":") ? { ...common, family: "IPv6", scopeid: 0 } : { ...common, family: "IPv4" };
}
