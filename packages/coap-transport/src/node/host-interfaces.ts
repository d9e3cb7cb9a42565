import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import type { Clock } from "@tributary/runtime";
import { parseIpAddress } from "../message/ip-address.js";

/** Lists the interfaces of this host that are up; `os.networkInterfaces` in production. */
export type ListInterfaces = () => Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** A network interface that is up. */
export interface HostInterface {
  readonly name: string;
  /** Unicast addresses as sockets name them: link-local IPv6 addresses have their zone. */
  readonly addresses: readonly string[];
  /** The first IPv4 address, by which IPv4 multicast names the interface. */
  readonly ipv4: string | null;
  readonly hasIpv6: boolean;
  /** IPv4 addresses that reach every host of a subnet of this interface. */
  readonly broadcasts: readonly string[];
}

/** Time for which a list of interfaces is used, ms. */
const MAX_AGE_MS = 2000;
/** Beyond this prefix length a subnet has no broadcast address (RFC 3021). */
const LONGEST_BROADCAST_PREFIX = 30;

/** The interfaces of this host, listed at most every two seconds. */
export class HostInterfaces {
  readonly #clock: Clock;
  readonly #list: ListInterfaces;
  #interfaces: readonly HostInterface[] = [];
  #addresses: ReadonlySet<string> = new Set();
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, list: ListInterfaces = networkInterfaces) {
    this.#clock = clock;
    this.#list = list;
  }

  /** Returns the network interfaces of this host. */
  list(): readonly HostInterface[] {
    if (this.#clock.nowMs() - this.#readAtMs >= MAX_AGE_MS) this.refresh();
    return this.#interfaces;
  }

  /** The list as it is now. */
  refresh(): readonly HostInterface[] {
    this.#readAtMs = this.#clock.nowMs();
    this.#interfaces = hostInterfaces(this.#list());
    this.#addresses = new Set(this.#interfaces.flatMap(({ addresses }) => addresses.map(withoutZone)));
    return this.#interfaces;
  }

  /** Whether `address`, an IP literal without zone, is one of this host. */
  hasAddress(address: string): boolean {
    this.list();
    return this.#addresses.has(address);
  }
}

/** Pure. */
export function hostInterfaces(listed: ReturnType<ListInterfaces>): HostInterface[] {
  return Object.entries(listed).map(([name, entries = []]) => ({
    name,
    addresses: entries.map(({ address }) => socketAddress(name, address)),
    ipv4: entries.find(({ family }) => family === "IPv4")?.address ?? null,
    hasIpv6: entries.some(({ family }) => family === "IPv6"),
    broadcasts: entries.flatMap((entry) => broadcastOf(entry) ?? []),
  }));
}

/** Sockets want to know the link of a link-local address (RFC 4007 section 6). */
function socketAddress(name: string, listed: string): string {
  const address = parseIpAddress(listed.replace(/%.*$/, ""))?.address ?? listed;
  return /^fe[89ab]/.test(address) ? `${address}%${name}` : address;
}

/** The address with all bits behind the prefix set (RFC 919 section 7). */
function broadcastOf({ family, cidr, internal }: NetworkInterfaceInfo): string | null {
  const match = family === "IPv4" && !internal ? /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr ?? "") : null;
  if (match === null) return null;
  const [first = 0, second = 0, third = 0, fourth = 0, prefix = 32] = match.slice(1).map(Number);
  if (prefix > LONGEST_BROADCAST_PREFIX) return null;
  const address = ((first << 24) | (second << 16) | (third << 8) | fourth) >>> 0;
  const broadcast = (address | (0xffffffff >>> prefix)) >>> 0;
  return [broadcast >>> 24, (broadcast >>> 16) & 255, (broadcast >>> 8) & 255, broadcast & 255].join(".");
}

function withoutZone(address: string): string {
  return address.replace(/%.*$/, "");
}
