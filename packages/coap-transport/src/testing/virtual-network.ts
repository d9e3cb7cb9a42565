import type { Clock, Random } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { isMulticastAddress } from "../message/ip-address.js";
import type { DatagramSocket } from "../types.js";

/** What a link does to datagrams. Probabilities in 0..1. */
export interface LinkConditions {
  /** Time on the way, ms. Default 1. */
  readonly delayMs: number;
  /** Up to so much more, uniformly, which reorders. Default 0. */
  readonly jitterMs: number;
  readonly loss: number;
  readonly duplication: number;
  /** Larger datagrams are lost. Default 65 507, the most that UDP takes. */
  readonly maxDatagramBytes: number;
  /** Tell senders that nothing listens at an address, as ICMP does. Default false. */
  readonly reportsUnreachable: boolean;
}

export interface NetworkAddress {
  readonly address: string;
  readonly port: number;
}

/** A datagram and what became of it. */
export interface NetworkEvent {
  readonly atMs: number;
  readonly from: NetworkAddress;
  readonly to: NetworkAddress;
  readonly datagram: Uint8Array;
  readonly fate: "sent" | "delivered" | "lost" | "partitioned" | "unreachable";
}

/** Sockets in memory, connected by links that can be made bad. Everything happens in the clock's time. */
export interface VirtualNetwork {
  /**
   * A socket; port 0 for any free one. `groups`: multicast addresses that it receives from.
   * @throws {TransportError} BIND_FAILED when the address and port are taken.
   */
  open(address: string, port: number, options?: { groups?: readonly string[] }): DatagramSocket;
  /** Conditions of all links that have none of their own. */
  setConditions(conditions: Partial<LinkConditions>): void;
  /** Conditions from one address to another, in that direction. */
  setLink(from: string, to: string, conditions: Partial<LinkConditions>): void;
  /** Addresses in different sets no longer reach each other; those in no set reach everybody. */
  partition(...sets: readonly (readonly string[])[]): void;
  /** End the partition and forget the conditions of single links. */
  heal(): void;
  /** How long something now takes from one address to another, ms; null: it is lost. For what is no datagram. */
  transit(from: string, to: string): number | null;
  /** Decides on each datagram before the conditions do: false drops it. Null to decide nothing. */
  filter: ((from: NetworkAddress, to: NetworkAddress, datagram: Uint8Array) => boolean) | null;
  /** Sees everything. */
  onEvent: ((event: NetworkEvent) => void) | null;
}

const FIRST_EPHEMERAL_PORT = 49_152;
const GOOD: LinkConditions = {
  delayMs: 1,
  jitterMs: 0,
  loss: 0,
  duplication: 0,
  maxDatagramBytes: 65_507,
  reportsUnreachable: false,
};

export function createVirtualNetwork(deps: { clock: Clock; random: Random }): VirtualNetwork {
  return new Network(deps.clock, deps.random);
}

class VirtualSocket implements DatagramSocket {
  readonly local: NetworkAddress;
  readonly groups: readonly string[];
  onDatagram: DatagramSocket["onDatagram"] = null;
  onError: DatagramSocket["onError"] = null;
  readonly #network: Network;

  constructor(network: Network, local: NetworkAddress, groups: readonly string[]) {
    this.#network = network;
    this.local = local;
    this.groups = groups;
  }

  send(datagram: Uint8Array, to: NetworkAddress): void {
    this.#network.send(this, datagram, { address: to.address, port: to.port });
  }

  close(): void {
    this.#network.remove(this);
  }
}

class Network implements VirtualNetwork {
  filter: VirtualNetwork["filter"] = null;
  onEvent: VirtualNetwork["onEvent"] = null;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sockets = new Map<string, VirtualSocket>();
  readonly #links = new Map<string, LinkConditions>();
  #conditions = GOOD;
  #partition = new Map<string, number>();
  #nextPort = FIRST_EPHEMERAL_PORT;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  open(address: string, port: number, options: { groups?: readonly string[] } = {}): DatagramSocket {
    const local = { address, port: port === 0 ? this.#freePort(address) : port };
    const key = keyOf(local);
    if (this.#sockets.has(key)) throw new TransportError("BIND_FAILED", `cannot bind ${key}: it is in use`);
    const socket = new VirtualSocket(this, local, options.groups ?? []);
    this.#sockets.set(key, socket);
    return socket;
  }

  remove(socket: VirtualSocket): void {
    if (this.#sockets.get(keyOf(socket.local)) === socket) this.#sockets.delete(keyOf(socket.local));
  }

  setConditions(conditions: Partial<LinkConditions>): void {
    this.#conditions = { ...this.#conditions, ...conditions };
  }

  setLink(from: string, to: string, conditions: Partial<LinkConditions>): void {
    const key = linkKey(from, to);
    this.#links.set(key, { ...(this.#links.get(key) ?? this.#conditions), ...conditions });
  }

  partition(...sets: readonly (readonly string[])[]): void {
    this.#partition = new Map();
    for (const [index, addresses] of sets.entries()) {
      for (const address of addresses) this.#partition.set(address, index);
    }
  }

  heal(): void {
    this.#partition.clear();
    this.#links.clear();
  }

  transit(from: string, to: string): number | null {
    const { loss, delayMs, jitterMs } = this.#conditionsOf(from, to);
    if (this.#isCut(from, to) || this.#random() < loss) return null;
    return delayMs + this.#random() * jitterMs;
  }

  #conditionsOf(from: string, to: string): LinkConditions {
    return this.#links.get(linkKey(from, to)) ?? this.#conditions;
  }

  send(socket: VirtualSocket, datagram: Uint8Array, to: NetworkAddress): void {
    const from = socket.local;
    if (this.#sockets.get(keyOf(from)) !== socket) return; // closed
    const bytes = Uint8Array.from(datagram);
    this.#report(from, to, bytes, "sent");
    if (!isMulticastAddress(to.address)) {
      this.#sendOne(socket, to, to, bytes);
      return;
    }
    for (const member of [...this.#sockets.values()]) {
      const isAddressed = member.local.port === to.port && member.groups.includes(to.address);
      if (isAddressed) this.#sendOne(socket, to, member.local, bytes);
    }
  }

  /** `to` is where the sender sent it, `at` the socket that it is for. */
  #sendOne(socket: VirtualSocket, to: NetworkAddress, at: NetworkAddress, bytes: Uint8Array): void {
    const conditions = this.#conditionsOf(socket.local.address, at.address);
    if (this.filter?.(socket.local, to, bytes) === false) {
      this.#report(socket.local, to, bytes, "lost");
      return;
    }
    const copies = this.#random() < conditions.duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (bytes.length > conditions.maxDatagramBytes || this.#random() < conditions.loss) {
        this.#report(socket.local, to, bytes, "lost");
        continue;
      }
      const delayMs = conditions.delayMs + this.#random() * conditions.jitterMs;
      this.#clock.setTimer(delayMs, () => this.#arrive(socket, to, at, bytes, conditions));
    }
  }

  #arrive(
    sender: VirtualSocket,
    to: NetworkAddress,
    at: NetworkAddress,
    bytes: Uint8Array,
    conditions: LinkConditions,
  ): void {
    const from = sender.local;
    if (this.#isCut(from.address, at.address)) {
      this.#report(from, to, bytes, "partitioned");
      return;
    }
    const receiver = this.#sockets.get(keyOf(at));
    if (receiver === undefined) {
      this.#report(from, to, bytes, "unreachable");
      if (conditions.reportsUnreachable) sender.onError?.(refused(at));
      return;
    }
    this.#report(from, to, bytes, "delivered");
    receiver.onDatagram?.(Uint8Array.from(bytes), { ...from }, isMulticastAddress(to.address));
  }

  #isCut(from: string, to: string): boolean {
    const here = this.#partition.get(from);
    const there = this.#partition.get(to);
    return here !== undefined && there !== undefined && here !== there;
  }

  #freePort(address: string): number {
    while (this.#sockets.has(keyOf({ address, port: this.#nextPort }))) this.#nextPort++;
    return this.#nextPort++;
  }

  #report(from: NetworkAddress, to: NetworkAddress, datagram: Uint8Array, fate: NetworkEvent["fate"]): void {
    this.onEvent?.({ atMs: this.#clock.nowMs(), from, to, datagram, fate });
  }
}

function keyOf({ address, port }: NetworkAddress): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function linkKey(from: string, to: string): string {
  return `${from} ${to}`;
}

function refused(at: NetworkAddress): Error {
  const message = `recvmsg ECONNREFUSED ${keyOf(at)}`;
  return Object.assign(new Error(message), { code: "ECONNREFUSED", address: at.address, port: at.port });
}
