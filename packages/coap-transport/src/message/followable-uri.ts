import { TransportError } from "../errors.js";
import { parseCoapUri } from "./coap-uri.js";
import { isMulticastAddress } from "./ip-address.js";

const LOCAL_NAME = /(?:^|\.)localhost\.?$/;
/** What resolvers take for an address that is written in other ways, such as `2130706433` or `0x7f.1` (inet_aton). */
const NUMBER_NAME = /^(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?$/;

/** How far away a host is from this one: an address of this host, of its link, of anywhere else. */
type Reach = "loopback" | "link-local" | "elsewhere";

/**
 * Why a URI that the server of `from` names must not be followed, or null when it may be: it leads from a server that was asked over TLS
 * to one without, from somewhere else to a service of this host or its link, where the server itself could not go, or to no single
 * host at all. Names are not
 * resolved; of them only `localhost` is known (RFC 6761 section 6.3), and numbers that resolvers take for addresses. `from` is a CoAP URI. Pure.
 */
export function leadsAstray(from: string, to: string): string | null {
  let target: ReturnType<typeof parseCoapUri>;
  try {
    target = parseCoapUri(to);
  } catch (error) {
    if (error instanceof TransportError) return error.message;
    throw error;
  }
  const { host, hostIsLiteral } = target;
  if (hostIsLiteral && isMulticastAddress(host)) return `${to} is at a multicast address`;
  if (hostIsLiteral && (host === "::" || host.startsWith("0."))) return `${to} is at no address`;
  const reach = reachOf(target);
  const source = parseCoapUri(from);
  if (isSecure(source.scheme) && !isSecure(target.scheme)) return `${to} is not secured, as ${from} is`;
  const fromReach = reachOf(source);
  if (reach === "loopback" && fromReach !== "loopback") return `${to} is at the loopback address of this host`;
  const isOtherLink = fromReach === "elsewhere" || (fromReach === "link-local" && source.zone !== target.zone);
  if (reach === "link-local" && isOtherLink) return `${to} is at a link-local address`;
  return null;
}

/** Whether requests with this scheme are protected by TLS or DTLS (RFC 7252 section 6.2, RFC 8323 section 8.2). Pure. */
export function isSecure(scheme: string): boolean {
  return scheme.startsWith("coaps");
}

function reachOf({ host, hostIsLiteral }: ReturnType<typeof parseCoapUri>): Reach {
  if (!hostIsLiteral) return LOCAL_NAME.test(host) || NUMBER_NAME.test(host) ? "loopback" : "elsewhere";
  if (host === "::1" || host.startsWith("127.")) return "loopback";
  return /^fe[89ab][0-9a-f]:/i.test(host) || host.startsWith("169.254.") ? "link-local" : "elsewhere";
}
