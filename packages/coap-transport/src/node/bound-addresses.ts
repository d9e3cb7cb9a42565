import { lookup } from "node:dns/promises";
import { TransportError } from "../errors.js";
import type { ParsedCoapUri } from "../message/coap-uri.js";

/** Another port is tried so often when port 0 gave one that is free on some of the addresses only. */
const MAX_PORT_ATTEMPTS = 8;

/** The host as a URI has it. */
export function hostText({ host, zone }: ParsedCoapUri): string {
  if (!host.includes(":")) return host;
  return zone === undefined ? `[${host}]` : `[${host}%25${zone}]`;
}

/**
 * The addresses that a URI stands for.
 * @throws {TransportError} BIND_FAILED
 */
export async function addressesOf(uri: ParsedCoapUri): Promise<string[]> {
  if (uri.hostIsLiteral) return [uri.zone === undefined ? uri.host : `${uri.host}%${uri.zone}`];
  // This name means loopback, in both families, however the resolver is configured (RFC 6761 section 6.3).
  if (uri.host === "localhost") return ["127.0.0.1", "::1"];
  try {
    const found = await lookup(uri.host, { all: true });
    return [...new Set(found.map((entry) => entry.address))];
  } catch (cause) {
    throw new TransportError("BIND_FAILED", `the name ${uri.host} has no address`, { cause });
  }
}

/** A socket or listener that is bound to an address. */
interface Bound {
  readonly local: { readonly port: number };
  close(): void;
}

/**
 * Bind every address to one port.
 * @throws {TransportError} BIND_FAILED
 */
export async function openOnAll<T extends Bound>(
  addresses: readonly string[],
  port: number,
  open: (address: string, port: number) => Promise<T>,
): Promise<T[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openOnce(addresses, port, open);
    } catch (error) {
      if (port !== 0 || addresses.length === 1 || attempt === MAX_PORT_ATTEMPTS) throw error;
    }
  }
}

/** All or nothing, but for addresses of a name that this machine does not have, such as `::1` without IPv6. */
async function openOnce<T extends Bound>(
  addresses: readonly string[],
  port: number,
  open: (address: string, port: number) => Promise<T>,
): Promise<T[]> {
  const opened: T[] = [];
  let missing: unknown;
  try {
    for (const address of addresses) {
      try {
        opened.push(await open(address, opened[0]?.local.port ?? port));
      } catch (error) {
        if (!isMissingAddress(error)) throw error;
        missing = error;
      }
    }
    if (opened.length === 0) throw missing;
    return opened;
  } catch (error) {
    for (const bound of opened) bound.close();
    throw error;
  }
}

function isMissingAddress(error: unknown): boolean {
  const cause = error instanceof TransportError ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
}
