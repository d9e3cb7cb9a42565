import type { Socket } from "node:dgram";
import type { HostInterface } from "./host-interfaces.js";
import type { OpenUdpSocketOptions } from "./udp-socket-options.js";

export type BindSocket = (address: string, port: number, options: OpenUdpSocketOptions) => Promise<Socket>;

/** Addresses that no datagram can come from. */
const NOBODY_IPV4 = "255.255.255.255";
const NOBODY_IPV6 = "ff00::1";
/** Every host of the link, whatever its subnet (RFC 919 section 7). */
const LIMITED_BROADCAST = "255.255.255.255";
/** Sockets for groups and broadcast addresses at most: hosts of containers have a link for each of them. */
const MAX_GROUP_SOCKETS = 256;
const LINK_LOCAL_GROUP = /^ff[0-9a-f]2:/;

export interface GroupSocketsDeps {
  readonly bind: BindSocket;
  /** Called with each socket that was opened. */
  readonly onOpen: (socket: Socket) => void;
}

export interface GroupSocketsOptions {
  readonly port: number;
  readonly groups: readonly string[];
  /** Receive IPv4 broadcasts on sockets of their own. */
  readonly receivesBroadcasts: boolean;
}

/** A socket for one group, or for one group on one link. */
interface GroupSocket {
  readonly socket: Socket;
  readonly group: string;
  /** Interfaces on which the group was joined; empty for broadcasts. */
  readonly joined: Set<string>;
}

/**
 * Sockets that receive what is sent to multicast groups and to IPv4 broadcast addresses: being bound to these addresses,
 * they get nothing else. Follows the interfaces of the host. A group that cannot be joined on an interface is left out
 * there: a listener on unicast is worth having all the same.
 */
export class GroupSockets {
  readonly #deps: GroupSocketsDeps;
  readonly #options: GroupSocketsOptions;
  readonly #sockets = new Map<string, GroupSocket>();
  #isClosed = false;

  constructor(deps: GroupSocketsDeps, options: GroupSocketsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Whether IPv4 broadcasts arrive here. */
  get hasBroadcasts(): boolean {
    return this.#sockets.has(LIMITED_BROADCAST);
  }

  /** Joins the groups on these interfaces, and leaves them on others. */
  async follow(interfaces: readonly HostInterface[]): Promise<void> {
    const names = new Set(interfaces.map(({ name }) => name));
    for (const [address, { socket, joined }] of this.#sockets) {
      for (const name of joined) if (!names.has(name)) joined.delete(name);
      // The link may come back with another index: the socket would be bound to the old one.
      const zone = address.split("%")[1];
      if (zone === undefined || names.has(zone)) continue;
      this.#sockets.delete(address);
      socket.close();
    }
    for (const group of this.#options.groups) {
      // Link-local groups exist once per link, and so do the sockets for them.
      if (LINK_LOCAL_GROUP.test(group))
        for (const entry of interfaces) await this.#join(`${group}%${entry.name}`, group, [entry]);
      else await this.#join(group, group, interfaces);
    }
    if (this.#options.receivesBroadcasts) await this.#followBroadcasts(interfaces);
  }

  close(): void {
    this.#isClosed = true;
    for (const { socket } of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  async #join(address: string, group: string, interfaces: readonly HostInterface[]): Promise<void> {
    const isNew = !this.#sockets.has(address);
    const isWanted = interfaces.some((entry) => interfaceAddress(group, entry) !== null);
    if (isNew && !isWanted) return;
    const opened = this.#sockets.get(address) ?? (await this.#open(address, group));
    if (opened === null) return;
    for (const entry of interfaces) {
      if (opened.joined.has(entry.name)) continue;
      if (tryMembership(group, entry, (g, i) => opened.socket.addMembership(g, i))) opened.joined.add(entry.name);
    }
    if (!isNew || opened.joined.size > 0) return;
    this.#sockets.delete(address);
    opened.socket.close();
  }

  async #followBroadcasts(interfaces: readonly HostInterface[]): Promise<void> {
    const wanted = new Set(interfaces.flatMap(({ broadcasts }) => broadcasts));
    if (wanted.size > 0) wanted.add(LIMITED_BROADCAST);
    for (const address of wanted) if (!this.#sockets.has(address)) await this.#open(address, LIMITED_BROADCAST);
    for (const [address, { socket, group }] of this.#sockets) {
      if (group !== LIMITED_BROADCAST || wanted.has(address)) continue;
      this.#sockets.delete(address);
      socket.close();
    }
  }

  /** Null when there is no such address family, link or address here, or there are too many sockets. */
  async #open(address: string, group: string): Promise<GroupSocket | null> {
    if (this.#sockets.size >= MAX_GROUP_SOCKETS) return null;
    try {
      const isIpv6 = address.includes(":");
      const socket = await this.#deps.bind(address, this.#options.port, { reuseAddr: true, ipv6Only: isIpv6 });
      if (this.#isClosed) {
        socket.close();
        return null;
      }
      const opened = { socket, group, joined: new Set<string>() };
      this.#sockets.set(address, opened);
      this.#deps.onOpen(socket);
      return opened;
    } catch {
      return null;
    }
  }
}

/**
 * Keeps datagrams to groups away from a socket that is bound to a wildcard address. Linux delivers to it what any socket of the machine
 * has joined, unless the socket is a member for other sources only: so it becomes one, for a source that does not exist.
 */
export function refuseGroups(socket: Socket, groups: readonly string[], interfaces: readonly HostInterface[]): void {
  for (const group of groups) {
    const nobody = group.includes(":") ? NOBODY_IPV6 : NOBODY_IPV4;
    for (const entry of interfaces) {
      tryMembership(group, entry, (g, i) => socket.addSourceSpecificMembership(nobody, g, i));
    }
  }
}

function tryMembership(group: string, entry: HostInterface, join: (group: string, where: string) => void): boolean {
  const where = interfaceAddress(group, entry);
  if (where === null) return false;
  try {
    join(group, where);
    return true;
  } catch {
    return false; // the interface does not do multicast, or the system no source filters
  }
}

/** How multicast calls name the interface for this group; null when it does not speak the group's address family. */
function interfaceAddress(group: string, entry: HostInterface): string | null {
  if (!group.includes(":")) return entry.ipv4;
  return entry.hasIpv6 ? `::%${entry.name}` : null;
}
