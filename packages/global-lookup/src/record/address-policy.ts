import { BlockList, isIP } from "node:net";
import { parseCoapUri } from "@tributary/coap-transport";
import { createReplicaPolicy } from "@tributary/lookup-interface";

/** Whether requests may go to an address that stood in a record, `scheme://address[:port]` in canonical form. */
export type AddressPolicy = (uri: string) => boolean;

/**
 * Blocks that are no addresses of servers in the Internet (RFC 6890): this host, its links, private networks, groups. Translated and
 * tunnelled ones (RFC 6052, RFC 3056, RFC 4380) lead to IPv4 addresses that would not be looked at.
 */
const SPECIAL_BLOCKS = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
  ["::", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
] as const;

/**
 * Creates the policy for addresses out of records: those of the Internet, and those that `allowed` names (`loopback`, `private`, `any`, or
 * CIDR blocks).
 */
export function createAddressPolicy(allowed: readonly string[]): AddressPolicy {
  const special = new BlockList();
  for (const [address, prefix] of SPECIAL_BLOCKS) special.addSubnet(address, prefix, familyOf(address));
  const isAllowed = createReplicaPolicy(allowed);
  return (uri) => {
    const { host, port } = parseCoapUri(uri);
    if (isIP(host) === 0) return false;
    return (
      !special.check(host, familyOf(host)) ||
      (isAllowed({ address: host, port, key: uri, transport: "udp" }) && !isGroup(host))
    );
  };
}

/** Groups, and the address that stands for any, are no servers whatever is configured. */
function isGroup(host: string): boolean {
  return isIP(host) === 6 ? host.startsWith("ff") || host === "::" : /^(?:0|22[4-9]|23\d|24\d|25\d)\./.test(host);
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 4 ? "ipv4" : "ipv6";
}
