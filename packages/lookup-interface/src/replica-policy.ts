import { BlockList, isIP } from "node:net";
import type { Peer } from "@tributary/coap-transport";
import { LookupInterfaceError } from "./errors.js";
import type { ReplicaPolicy } from "./types.js";

/** Address blocks behind the words of `registration.replicas`. */
const WORDS: ReadonlyMap<string, readonly string[]> = new Map([
  ["loopback", ["127.0.0.0/8", "::1/128"]],
  // RFC 1918, RFC 4193, link-local, and this machine.
  ["private", ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10", "127.0.0.0/8", "::1/128"]],
  ["any", ["0.0.0.0/0", "::/0"]],
]);

/**
 * Who may read the feed and ages (draft 5.2): peers in any of the blocks. `words` are `loopback`, `private`, `any`,
 * addresses or CIDR blocks.
 * @throws {LookupInterfaceError} `BAD_OPTIONS` when a word is none of these.
 */
export function createReplicaPolicy(words: readonly string[]): ReplicaPolicy {
  const list = new BlockList();
  for (const word of words) for (const block of WORDS.get(word) ?? [word]) addBlock(list, block);
  return ({ address }: Peer) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 4 ? "ipv4" : "ipv6");
  };
}

function addBlock(list: BlockList, block: string): void {
  const slash = block.indexOf("/");
  const address = slash < 0 ? block : block.slice(0, slash);
  const family = isIP(address);
  const maxPrefix = family === 4 ? 32 : 128;
  const prefixText = slash < 0 ? String(maxPrefix) : block.slice(slash + 1);
  const prefix = /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : Number.NaN;
  if (family === 0 || address.includes("%") || !(prefix <= maxPrefix)) {
    throw new LookupInterfaceError("BAD_OPTIONS", `"${block}" is neither loopback, private, any, nor an address block`);
  }
  list.addSubnet(address, prefix, family === 4 ? "ipv4" : "ipv6");
}
