import { isIP } from "node:net";
import { parseCoapUri } from "@tributary/coap-transport";
import { firstValue, isAbsoluteUri, type Link, resolveReference, valuesOf } from "@tributary/link-model";
import type { OscoreUri } from "./oscore-uri.js";

/** What a host can speak. */
export interface HostAbilities {
  /** URI schemes, the preferred one first. */
  readonly schemes: readonly string[];
  /** Address families with which it reaches others, and itself. */
  readonly families: { readonly ipv4: boolean; readonly ipv6: boolean };
}

/** An address of an endpoint that this host cannot use. */
export interface Unusable {
  readonly uri: string;
  readonly reason: string;
}

/** Where an `oscore` URI leads. */
export interface Alternatives {
  /** Concrete URIs, the preferred one first. */
  readonly uris: readonly string[];
  readonly unusable: readonly Unusable[];
  /** Registrations of the name in the result. */
  readonly registrations: number;
}

/** Addresses of one result that are looked at. */
const MAX_ALTERNATIVES = 64;
const LOOPBACK = /^(?:127\.|::1$)/;

/**
 * Turns an `oscore` URI into URIs of concrete transports (RD-assisted protocol negotiation, draft 6.3): the addresses in `base` and
 * `at` of the registrations of its name, in the order of the schemes that this host prefers; where schemes are equal, in that of the RD.
 * `links` are the result of an endpoint lookup. Pure.
 */
export function alternativesOf(uri: OscoreUri, links: readonly Link[], abilities: HostAbilities): Alternatives {
  // A name that ends in a star was taken for a prefix.
  const named = links.filter((link) => firstValue(link, "ep") === uri.name);
  const bases = named.flatMap((link) => [
    ...valuesOf(link, "base").flatMap((base) => base ?? []),
    ...valuesOf(link, "at").flatMap((value) => (value ?? "").split(" ").filter((one) => one !== "")),
  ]);
  const usable: { readonly uri: string; readonly rank: number }[] = [];
  const unusable: Unusable[] = [];
  for (const base of [...new Set(bases)].slice(0, MAX_ALTERNATIVES)) {
    const reason = reasonAgainst(base, abilities);
    if (reason !== undefined) unusable.push({ uri: base, reason });
    else
      usable.push({
        uri: resolveReference(base, uri.reference),
        rank: abilities.schemes.indexOf(parseCoapUri(base).scheme),
      });
  }
  const uris = usable.sort((one, other) => one.rank - other.rank).map((one) => one.uri);
  return { uris: [...new Set(uris)], unusable, registrations: named.length };
}

function reasonAgainst(base: string, { schemes, families }: HostAbilities): string | undefined {
  if (!isAbsoluteUri(base)) return "it is not a URI";
  let parsed: ReturnType<typeof parseCoapUri>;
  try {
    parsed = parseCoapUri(base);
  } catch {
    return "it is not a URI of CoAP";
  }
  if (!schemes.includes(parsed.scheme)) return `this host does not speak ${parsed.scheme}`;
  const address = parsed.host.split("%")[0] ?? "";
  const family = isIP(address);
  if (LOOPBACK.test(address)) return undefined;
  if (family === 4 && !families.ipv4) return "this host has no IPv4 address";
  if (family === 6 && !families.ipv6) return "this host has no IPv6 address";
  return undefined;
}
