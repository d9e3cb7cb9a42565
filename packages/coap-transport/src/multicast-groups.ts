import type { Socket } from "node:dgram";
import { networkInterfaces } from "node:os";
import type { OpenUdpSocketOptions } from "./udp-socket-options.js";

type Bind = (address: string, port: number, options: OpenUdpSocketOptions) => Promise<Socket>;

/** An interface as multicast calls name it. */
interface MulticastInterface {
  readonly name: string;
  readonly ipv4: string | null;
  readonly hasIpv6: boolean;
}

/** Addresses that no datagram can come from. */
const NOBODY_IPV4 = "255.255.255.255";
const NOBODY_IPV6 = "ff00::1";

/**
 * Sockets that receive what is sent to the groups at `port`. A group that cannot be joined on an interface is left out
 * there: a listener on unicast is worth having all the same.
 */
export async function openGroupSockets(
  groups: readonly string[],
  port: number,
  options: OpenUdpSocketOptions,
  bind: Bind,
): Promise<Socket[]> {
  const sockets: Socket[] = [];
  const interfaces = multicastInterfaces(options.multicastInterfaces);
  for (const group of groups) {
    if (group.startsWith("ff02:")) {
      // Link-local groups exist once per link, and so do the sockets for them.
      for (const entry of interfaces) sockets.push(...(await openOne(`${group}%${entry.name}`, port, [entry], bind)));
    } else sockets.push(...(await openOne(group, port, interfaces, bind)));
  }
  return sockets;
}

async function openOne(
  group: string,
  port: number,
  interfaces: readonly MulticastInterface[],
  bind: Bind,
): Promise<Socket[]> {
  let socket: Socket;
  try {
    socket = await bind(group, port, { reuseAddr: true, ipv6Only: group.includes(":") });
  } catch {
    return []; // no such family or link here
  }
  const joined = interfaces.filter((entry) => tryMembership(group, entry, (g, i) => socket.addMembership(g, i)));
  if (joined.length > 0) return [socket];
  socket.close();
  return [];
}

/**
 * Keep the groups' datagrams away from the unicast socket. Linux gives a socket bound to a wildcard address what any
 * socket of the machine has joined, unless it is a member itself, for other sources: so let it be one, for nobody.
 */
export function refuseGroups(socket: Socket, groups: readonly string[], names: readonly string[] | undefined): void {
  for (const group of groups) {
    const nobody = group.includes(":") ? NOBODY_IPV6 : NOBODY_IPV4;
    for (const entry of multicastInterfaces(names)) {
      tryMembership(group, entry, (g, i) => socket.addSourceSpecificMembership(nobody, g, i));
    }
  }
}

function tryMembership(
  group: string,
  entry: MulticastInterface,
  join: (group: string, where: string) => void,
): boolean {
  const isIpv6 = group.includes(":");
  const where = isIpv6 ? `::%${entry.name}` : entry.ipv4;
  if (where === null || (isIpv6 && !entry.hasIpv6)) return false;
  try {
    join(group.replace(/%.*$/, ""), where);
    return true;
  } catch {
    return false; // the interface does not do multicast, or the system no source filters
  }
}

function multicastInterfaces(names: readonly string[] | undefined): MulticastInterface[] {
  const found: MulticastInterface[] = [];
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (names !== undefined && !names.includes(name)) continue;
    const ipv4 = addresses?.find((entry) => entry.family === "IPv4")?.address ?? null;
    found.push({ name, ipv4, hasIpv6: addresses?.some((entry) => entry.family === "IPv6") ?? false });
  }
  return found;
}
