import type { RemoteInfo, Socket } from "node:dgram";
import type { Environment, Timer } from "@tributary/runtime";
import type { DatagramSocket, LocalAddress } from "../types.js";
import type { HostInterface, HostInterfaces } from "./host-interfaces.js";
import { type BindSocket, GroupSockets, refuseGroups } from "./multicast-groups.js";
import { WildcardCopies } from "./wildcard-copies.js";

export interface HostSocketDeps {
  readonly env: Environment;
  readonly interfaces: HostInterfaces;
  readonly bind: BindSocket;
}

export interface HostSocketOptions {
  /** Bind `address`'s port on every address of this host as well: `address` is a wildcard. */
  readonly followsAddresses: boolean;
  /** Multicast groups to join. */
  readonly groups: readonly string[];
  /** Multicast groups that may be joined by others on this host. */
  readonly refusedGroups: readonly string[];
  /** Names of the interfaces on which to join groups; default all. */
  readonly multicastInterfaces?: readonly string[] | undefined;
}

/** Time between two looks at the interfaces of the host, ms. */
const FOLLOW_MS = 2000;
/**
 * Largest number of sockets for addresses. A host with more sends from an address that the system chooses when it receives at one of the
 * others.
 */
export const MAX_ADDRESS_SOCKETS = 256;
/** Lists in a row without an address until its socket is closed: links lose their carrier for moments. */
const ABSENCES_UNTIL_GONE = 30;
const MAPPED = "::ffff:";

type Target = Parameters<DatagramSocket["send"]>[1];

interface AddressSocket {
  readonly socket: Socket;
  readonly onSent: (error: Error | null) => void;
  absences: number;
}

/**
 * A UDP port on all addresses of this host. Node neither reports the local address of a datagram nor lets it be chosen: each address has
 * a socket of its own, so that a message leaves from the address that the peer sent to (RFC 7252 section 5.3.2). So do multicast groups
 * and broadcast addresses, which shows whether a request was sent to more than one host (section 8). The wildcard socket serves the rest.
 */
export class HostSocket implements DatagramSocket {
  readonly local: LocalAddress;
  onDatagram: DatagramSocket["onDatagram"] = null;
  onError: DatagramSocket["onError"] = null;
  readonly #deps: HostSocketDeps;
  readonly #options: HostSocketOptions;
  readonly #wildcard: Socket;
  readonly #isIpv6: boolean;
  readonly #takesIpv4: boolean;
  readonly #sockets = new Map<string, AddressSocket>();
  readonly #groups: GroupSockets;
  readonly #copies: WildcardCopies;
  #followed: readonly HostInterface[] | null = null;
  #hasMissing = false;
  #isFollowing = false;
  #wasWarned = false;
  #timer: Timer | null = null;
  #isClosed = false;

  /** `socket` is bound to the wildcard address and taken over. */
  constructor(socket: Socket, deps: HostSocketDeps, options: HostSocketOptions) {
    const { address, port, family } = socket.address();
    const { interfaces } = deps;
    this.local = { address, port, isAlso: (other) => options.followsAddresses && interfaces.hasAddress(other) };
    this.#deps = deps;
    this.#options = options;
    this.#wildcard = socket;
    this.#isIpv6 = family === "IPv6";
    this.#takesIpv4 = address !== "::" ? !this.#isIpv6 : true;
    this.#copies = new WildcardCopies(deps.env.clock, (datagram, from) => this.onDatagram?.(datagram, from, false));
    this.#groups = new GroupSockets(
      { bind: deps.bind, onOpen: (opened) => this.#listenToGroup(opened) },
      { port, groups: options.groups, receivesBroadcasts: options.followsAddresses && this.#takesIpv4 },
    );
    socket.on("message", (datagram: Buffer, from: RemoteInfo) => this.#receiveAtWildcard(datagram, from));
    socket.on("error", this.#report);
  }

  /** Binds and joins the present addresses and groups, and follows changes. */
  async start(): Promise<void> {
    await this.#follow();
    if (!this.#isClosed) this.#followLater();
  }

  send(datagram: Uint8Array, to: Target, isReported = true): void {
    if (this.#isClosed) return;
    if (to.local !== undefined) {
      const bound = this.#sockets.get(to.local);
      // Without a socket the address has been removed; from another one the datagram would be of no use.
      bound?.socket.send(datagram, 0, datagram.length, to.port, to.address, isReported ? bound.onSent : undefined);
      return;
    }
    const isMapped = this.#isIpv6 && !to.address.includes(":");
    const address = isMapped ? MAPPED + to.address : to.address;
    // A callback costs a turn of the event loop for each datagram.
    this.#wildcard.send(datagram, 0, datagram.length, to.port, address, isReported ? this.#onSent : undefined);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#copies.close();
    this.#groups.close();
    for (const { socket } of this.#sockets.values()) socket.close();
    this.#sockets.clear();
    this.#wildcard.close();
  }

  #followLater(): void {
    this.#timer = this.#deps.env.clock.setTimer(FOLLOW_MS, () => {
      void this.#follow();
      this.#followLater();
    });
  }

  /** Never rejects. */
  async #follow(): Promise<void> {
    const interfaces = this.#deps.interfaces.refresh();
    const isSame = isSameList(this.#followed, interfaces) && !this.#hasMissing;
    if (this.#isFollowing || isSame) return;
    this.#isFollowing = true;
    try {
      this.#followed = interfaces;
      if (this.#options.followsAddresses) await this.#followAddresses(interfaces);
      const { multicastInterfaces: names, refusedGroups } = this.#options;
      const joined = names === undefined ? interfaces : interfaces.filter(({ name }) => names.includes(name));
      if (!this.#isClosed) refuseGroups(this.#wildcard, refusedGroups, interfaces);
      if (!this.#isClosed) await this.#groups.follow(joined);
    } catch (error) {
      this.#deps.env.logger.error("the interfaces of this host cannot be followed", { error });
    } finally {
      this.#isFollowing = false;
    }
  }

  async #followAddresses(interfaces: readonly HostInterface[]): Promise<void> {
    const isOfLink = (address: string): boolean => address.includes("%");
    const usable = interfaces.flatMap(({ addresses }) => addresses.filter((each) => this.#takes(each)));
    // Where there are too many, those that mean something on one link only are the first to go without.
    const present = new Set(usable.sort((a, b) => Number(isOfLink(a)) - Number(isOfLink(b))));
    this.#hasMissing = false;
    for (const [address, bound] of this.#sockets) {
      bound.absences = present.has(address) ? 0 : bound.absences + 1;
      if (bound.absences > 0) this.#hasMissing = true;
      // A link may come back with another index: the socket would be bound to the old one.
      if (bound.absences === 0 || (!isOfLink(address) && bound.absences < ABSENCES_UNTIL_GONE)) continue;
      this.#sockets.delete(address);
      bound.socket.close();
    }
    for (const address of present) {
      if (this.#sockets.has(address)) continue;
      if (this.#sockets.size >= MAX_ADDRESS_SOCKETS) {
        this.#warn(present.size);
        return;
      }
      await this.#bind(address);
      if (this.#isClosed) return;
    }
  }

  #takes(address: string): boolean {
    return address.includes(":") ? this.#isIpv6 : this.#takesIpv4;
  }

  async #bind(address: string): Promise<void> {
    let socket: Socket;
    try {
      const options = { reuseAddr: true, ipv6Only: address.includes(":") };
      socket = await this.#deps.bind(address, this.local.port, options);
    } catch {
      // Not usable yet: duplicate address detection runs (RFC 4862 section 5.4), or the address went away again.
      this.#hasMissing = true;
      return;
    }
    if (this.#isClosed) {
      socket.close();
      return;
    }
    socket.on("message", (datagram: Buffer, from: RemoteInfo & { local?: string }) => {
      from.local = address;
      this.onDatagram?.(datagram, from, false);
    });
    const report = (error: Error): void => this.#report(Object.assign(error, { local: address }));
    socket.on("error", report);
    const onSent = (error: Error | null): void => {
      if (error !== null) report(error);
    };
    this.#sockets.set(address, { socket, onSent, absences: 0 });
  }

  #warn(addresses: number): void {
    if (this.#wasWarned) return;
    this.#wasWarned = true;
    const message = "this host has more addresses than sockets for them: list those that are used in listen";
    this.#deps.env.logger.warn(message, { addresses, sockets: MAX_ADDRESS_SOCKETS });
  }

  #listenToGroup(socket: Socket): void {
    socket.on("message", (datagram: Buffer, from: RemoteInfo) => {
      this.#copies.note(datagram, from);
      this.onDatagram?.(datagram, from, true);
    });
    socket.on("error", this.#report);
  }

  #receiveAtWildcard(datagram: Buffer, from: RemoteInfo): void {
    if (from.address.startsWith(MAPPED)) from.address = from.address.slice(MAPPED.length);
    // Broadcasts cannot be refused like groups: they arrive here as well as at the socket for them.
    const mayBeCopy = this.#groups.hasBroadcasts && !from.address.includes(":") && !from.address.startsWith("127.");
    if (mayBeCopy) this.#copies.hold(datagram, from);
    else this.onDatagram?.(datagram, from, false);
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

function isSameList(a: readonly HostInterface[] | null, b: readonly HostInterface[]): boolean {
  return a !== null && JSON.stringify(a) === JSON.stringify(b);
}
