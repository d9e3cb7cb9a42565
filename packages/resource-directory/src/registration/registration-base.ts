import { formatAuthority, type Peer, parseCoapUri, type ServerRequest } from "@tributary/coap-transport";
import { checkBase, splitUri } from "@tributary/link-model";
import { accepted, type Result, refused } from "../refusal.js";

/** Where the links of a registration are resolved, and on which link that means something. */
export interface RegistrationBase {
  readonly base: string;
  readonly isBaseExplicit: boolean;
  /** Zone of a link-local base. Empty when the socket does not tell zones: then nobody is known to be on that link. */
  readonly zone?: string;
}

/**
 * Name of the query item by which a node that forwards a request tells where that came from, as the base that the RD would have
 * taken from the source address (draft 6.2.2). A client that may give a `base` may give this one.
 */
export const FORWARDED_BASE = "implicit-base";
/** The item up to its value. */
export const FORWARDED_BASE_ITEM = `${FORWARDED_BASE}=`;

const LINK_LOCAL = /^fe[89ab][0-9a-f]:/i;
/** No other URI has to be taken apart to know that its host is not such an address, in whatever spelling. */
const MAY_BE_LINK_LOCAL = /\[fe[89ab]/i;

/** `scheme://address[:port]` of the sender (RFC 9176 section 5): default port left out, no zone. Pure. */
export function implicitBase({ scheme, peer }: Pick<ServerRequest, "scheme" | "peer">): RegistrationBase {
  const defaultPort = scheme.startsWith("coaps") ? 5684 : 5683;
  const base = `${scheme}://${formatAuthority(peer.address, peer.port, defaultPort)}`;
  return { base, isBaseExplicit: false, ...(LINK_LOCAL.test(peer.address) ? { zone: peer.zone ?? "" } : {}) };
}

/**
 * A base given by the endpoint (RFC 9176 section 5). A link-local one means something on one link only, so it must be
 * the very address that the request came from (REG-18). Pure.
 */
export function explicitBase(base: string, peer: Peer): Result<RegistrationBase> {
  const problem = checkBase(base);
  if (problem !== undefined) return refused("bad-request", problem);
  const literal = MAY_BE_LINK_LOCAL.test(base) ? addressLiteral(base) : null;
  if (literal === null || !LINK_LOCAL.test(literal)) return accepted({ base, isBaseExplicit: true });
  if (literal !== peer.address) return refused("bad-request", "base is an address of another link");
  return accepted({ base, isBaseExplicit: true, zone: peer.zone ?? "" });
}

/** The base of a registration that names none: where the request came from, at this node or at the one that forwarded it. Pure. */
export function addressBase(
  request: Pick<ServerRequest, "scheme" | "peer">,
  forwarded: string | undefined,
): Result<RegistrationBase> {
  if (forwarded === undefined) return accepted(implicitBase(request));
  // A link-local address means nothing here: the endpoint has to name a base that others can reach.
  const base = explicitBase(forwarded, request.peer);
  return base.ok ? accepted({ ...base.value, isBaseExplicit: false }) : base;
}

/** The IPv6 literal of a URI in the spelling that sockets report, or null. */
function addressLiteral(uri: string): string | null {
  const bracketed = /\[[^\]]*\]/.exec(splitUri(uri).authority ?? "");
  if (bracketed === null) return null;
  try {
    return parseCoapUri(`coap://${bracketed[0]}`).host;
  } catch {
    return null;
  }
}
