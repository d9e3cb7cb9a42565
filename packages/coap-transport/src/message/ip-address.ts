/** An IP literal taken apart. `address` is in the one spelling that sockets report. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly zone?: string;
}

const OCTET = /^(?:0|[1-9][0-9]{0,2})$/;
const GROUP = /^[0-9a-f]{1,4}$/i;
/** 64:ff9b::/96 (RFC 6052 section 2.1), group by group. */
const TRANSLATED_PREFIX = [0x64, 0xff9b, 0, 0, 0, 0].join();
const ZONE = /^[A-Za-z0-9._~-]+$/;

/**
 * Read an IP literal without brackets, e.g. `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`. IPv6 comes back in the
 * spelling of RFC 5952, IPv4-mapped addresses as IPv4. Null when the text is not an IP literal. Pure.
 */
export function parseIpAddress(text: string): IpAddress | null {
  if (!text.includes(":")) return parseIpv4(text) === null ? null : { family: 4, address: text };
  const percent = text.indexOf("%");
  const zone = percent < 0 ? undefined : text.slice(percent + 1);
  if (zone !== undefined && !ZONE.test(zone)) return null;
  const groups = parseIpv6(percent < 0 ? text : text.slice(0, percent));
  if (groups === null) return null;
  const mapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  if (mapped) return { family: 4, address: dotted(groups) };
  const address = formatIpv6(groups);
  return zone === undefined ? { family: 6, address } : { family: 6, address, zone };
}

/** Is this (an IP literal as from `parseIpAddress`) a multicast address? Pure. */
export function isMulticastAddress(address: string): boolean {
  if (address.includes(":")) return address.startsWith("ff") && address.indexOf(":") === 4;
  const first = Number.parseInt(address, 10);
  return first >= 224 && first <= 239;
}

/**
 * Returns the client that an address counts for where something is shared or limited: each IPv4 address by itself, all IPv6 addresses
 * of one /64 together, as a host with one of them has all (RFC 4291 section 2.5.4), link-local ones of one link together. IPv6
 * addresses that stand for IPv4 ones (RFC 6052 section 2.1) count as these. Pure.
 */
export function addressHolder({ address, zone }: { readonly address: string; readonly zone?: string }): string {
  const groups = address.includes(":") ? parseIpv6(address) : null;
  if (groups === null) return address;
  if (groups.slice(0, 6).join() === TRANSLATED_PREFIX) return dotted(groups);
  const prefix = `${formatIpv6([...groups.slice(0, 4), 0, 0, 0, 0])}/64`;
  return zone === undefined ? prefix : `${prefix}%${zone}`;
}

function parseIpv4(text: string): number[] | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const octets: number[] = [];
  for (const part of parts) {
    const octet = OCTET.test(part) ? Number(part) : 256;
    if (octet > 255) return null;
    octets.push(octet);
  }
  return octets;
}

function parseIpv6(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 1 ? [] : parseGroups(halves[1] ?? "", true);
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  if (parts.length > 8) return null;
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const octets = mayEndInIpv4 && index === parts.length - 1 ? parseIpv4(part) : null;
    if (octets === null) return null;
    groups.push(((octets[0] ?? 0) << 8) | (octets[1] ?? 0), ((octets[2] ?? 0) << 8) | (octets[3] ?? 0));
  }
  return groups;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups shortened. */
function formatIpv6(groups: readonly number[]): string {
  const run = longestZeroRun(groups);
  // As inet_ntop does: an IPv4-compatible address keeps its dotted end.
  if (run.start === 0 && run.length === 6) return `::${dotted(groups)}`;
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(":");
  return `${hex.slice(0, run.start).join(":")}::${hex.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 };
  let start = 0;
  for (let index = 0; index <= groups.length; index++) {
    if (groups[index] === 0) continue;
    if (index - start > best.length) best = { start, length: index - start };
    start = index + 1;
  }
  return best;
}

function dotted(groups: readonly number[]): string {
  const high = groups[6] ?? 0;
  const low = groups[7] ?? 0;
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
