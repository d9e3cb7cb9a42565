import { type SharedLimit, textWeight } from "@tributary/merge-engine";
import {
  ADDRESS_BYTES,
  ATTRIBUTE_BYTES,
  CROWDED_SHARE,
  KEPT_BYTES,
  LEAST_LINK_BYTES,
  NEWCOMER_SHARE,
  PREFIX_GROUPS,
} from "../constants.js";
import type { StoredRegistration } from "../stored-registration.js";

/**
 * Bytes of heap that an RD needs for a registration besides its record in the directory, about: what the endpoint sent, its
 * entry in the registry, and its place in the history of the feed. Pure.
 */
export function keptWeight({
  base,
  attributes,
  links,
}: Pick<StoredRegistration, "base" | "attributes" | "links">): number {
  let weight = KEPT_BYTES + textWeight(base) + textWeight(links);
  for (const [name, value] of attributes) weight += ATTRIBUTE_BYTES + textWeight(name) + textWeight(value ?? "");
  return weight;
}

const [QUOTE, BACKSLASH, LESS_THAN] = [0x22, 0x5c, 0x3c];

/**
 * Bytes of heap that a registration with this payload takes at least, found without reading its links. Looks no further once that is
 * more than `enough`. Pure.
 */
export function leastWeight(payload: Uint8Array, enough = Number.POSITIVE_INFINITY): number {
  // Each byte is kept as it came, and makes a byte in the directory at least.
  const ofBytes = 2 * payload.length;
  const enoughLinks = (enough - ofBytes) / LEAST_LINK_BYTES;
  let links = 0;
  let isQuoted = false;
  for (let at = 0; at < payload.length && links <= enoughLinks; at++) {
    const byte = payload[at];
    if (byte === QUOTE) isQuoted = !isQuoted;
    else if (byte === BACKSLASH && isQuoted) at++;
    else if (byte === LESS_THAN && !isQuoted) links++;
  }
  return ofBytes + LEAST_LINK_BYTES * links;
}

/** No link makes more than so many bytes for each of its payload. */
const MOST_PER_BYTE = 64;

/** Bytes of heap that a registration with this payload may take. Pure. */
export function mostWeight(payload: Uint8Array): number {
  return MOST_PER_BYTE * payload.length;
}

/** Whom the memory of registrations counts for: the IPv4 address, or the /64 prefix of the IPv6 address. Pure. */
export function registrantOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail === undefined) return groups.slice(0, PREFIX_GROUPS).join(":");
  const behind = tail === "" ? 0 : tail.split(":").length + (tail.includes(".") ? 1 : 0);
  while (groups.length + behind < 8) groups.push("0");
  return [...groups, ...tail.split(":")].slice(0, PREFIX_GROUPS).join(":");
}

const ADDRESS_IN_URI = /^[a-z][a-z0-9+.-]*:\/\/(?:\[([0-9a-f:.]+)[^\]]*\]|([0-9.]+)(?:[:/]|$))/i;

/** Whom a registration counts for that was kept on disk: what its base says, for nobody remembers who sent it. Pure. */
export function registrantOfBase(base: string): string {
  const [, ipv6, ipv4] = ADDRESS_IN_URI.exec(base) ?? [];
  return registrantOf(ipv6 ?? ipv4 ?? "");
}

/**
 * The memory of own registrations: what they take of the limit of the node, and who registered them. While more than a quarter
 * of the memory is free, an address may take what it needs. The last quarter is for those that hold little: an address
 * may hold up to a quarter of what is free.
 */
export class OwnMemory {
  readonly #limit: SharedLimit;
  readonly #account: string;
  readonly #byRegistrant = new Map<string, number>();

  constructor(limit: SharedLimit, account: string) {
    this.#limit = limit;
    this.#account = account;
  }

  /** Addresses that hold registrations. */
  get registrants(): number {
    return this.#byRegistrant.size;
  }

  /**
   * Returns why `registrant` may not take `growth` more bytes; undefined: it may. A request that takes no more memory than before is
   * never refused. `registrant` is null for a registration that was acknowledged before: it is only limited by what is free.
   */
  refusal(registrant: string | null, growth: number): string | undefined {
    if (growth <= 0) return undefined;
    const room = this.#limit.room(this.#account);
    if (growth > room) return `no memory: the registration needs ${growth} bytes more, ${Math.floor(room)} are free`;
    if (registrant === null) return undefined;
    const isCrowded = room - growth < CROWDED_SHARE * (this.#limit.used(this.#account) + room);
    const held = this.#byRegistrant.get(registrant) ?? 0;
    if (!isCrowded || held + growth <= NEWCOMER_SHARE * room) return undefined;
    return `memory is short, and your address holds ${held} bytes of it; the rest is for others`;
  }

  /** No growth above this is taken from `registrant`, even if `extra` bytes more were free. */
  most(registrant: string | null, extra = 0): number {
    const room = this.#limit.room(this.#account);
    const free = room + extra;
    if (registrant === null) return free;
    const held = Math.max(0, (this.#byRegistrant.get(registrant) ?? 0) - extra);
    const uncrowded = free - CROWDED_SHARE * (this.#limit.used(this.#account) + room);
    return Math.min(free, Math.max(0, uncrowded, NEWCOMER_SHARE * free - held));
  }

  /** Bytes that own registrations may still take, independent of the registrant. */
  get room(): number {
    return this.#limit.room(this.#account);
  }

  /** `counted` bytes are taken by what is kept here; `elsewhere` counts for the limit in the directory, and here for the address only. */
  take(registrant: string, counted: number, elsewhere = 0): void {
    this.#limit.add(this.#account, counted);
    const known = this.#byRegistrant.get(registrant);
    const held = (known ?? 0) + counted + elsewhere;
    if (held > 0) this.#byRegistrant.set(registrant, held);
    else this.#byRegistrant.delete(registrant);
    if (known === undefined && held > 0) this.#limit.add(this.#account, ADDRESS_BYTES);
    else if (known !== undefined && held <= 0) this.#limit.add(this.#account, -ADDRESS_BYTES);
  }

  give(registrant: string, counted: number, elsewhere = 0): void {
    this.take(registrant, -counted, -elsewhere);
  }
}
