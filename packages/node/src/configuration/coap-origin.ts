import { defaultPortOf, formatAuthority, parseCoapUri, TransportError } from "@tributary/coap-transport";

/** The origin of a configured CoAP server. */
export interface CoapOrigin {
  /** `scheme://host[:port]` in canonical form: lower case, addresses as in RFC 5952, no default port. */
  readonly uri: string;
  /** The part after `//`. */
  readonly authority: string;
}

export type OriginResult =
  | { readonly ok: true; readonly origin: CoapOrigin }
  | { readonly ok: false; readonly message: string };

/** Schemes that are implemented (RFC 7252 section 6.1, RFC 8323 sections 8.1 and 8.2). */
const AVAILABLE_SCHEMES: ReadonlySet<string> = new Set(["coap", "coap+tcp", "coaps+tcp"]);
/** A scheme that is specified (RFC 7252 section 6.2) but not implemented, with its alternative. */
const PLANNED_SCHEMES: ReadonlyMap<string, string> = new Map([["coaps", "coaps+tcp"]]);
const EXAMPLE = "coap://[2001:db8::1]:5683";

/** Parses a URI that names a CoAP server, without path and query. The message has the mistake and a correction. Pure. */
export function parseCoapOrigin(text: string): OriginResult {
  const shown = JSON.stringify(text);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return refuse(`${shown} is not a URI; write ${EXAMPLE}`);
  const instead = PLANNED_SCHEMES.get(scheme);
  if (instead !== undefined) return refuse(`${shown}: ${scheme} is not available yet; write ${instead}://`);
  if (!AVAILABLE_SCHEMES.has(scheme)) return refuse(`${shown}: ${scheme} is not CoAP; write coap://`);
  try {
    const { host, hostIsLiteral, zone, port, path, query } = parseCoapUri(text);
    if (path.length > 0 || query.length > 0 || text.includes("?")) {
      return refuse(`${shown} has a path or query; write scheme, host and port alone: paths are found by discovery`);
    }
    const address = hostIsLiteral && zone !== undefined ? `${host}%${zone}` : host;
    const authority = formatAuthority(address, port, defaultPortOf(scheme));
    return { ok: true, origin: { uri: `${scheme}://${authority}`, authority } };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    return refuse(`${shown}: ${error.message.replace(`: ${text}`, "")}; write ${EXAMPLE}`);
  }
}

function refuse(message: string): OriginResult {
  return { ok: false, message };
}
