import { formatAuthority, parseCoapUri } from "@tributary/coap-transport";
import type { Random } from "@tributary/runtime";
import type { ProxyNaming, ProxyTransport } from "../proxy-types.js";
import type { RegistrationContent } from "../registrar/registrar.js";

/** Default port of `coap` and `coap+tcp` (RFC 7252 section 6.1, RFC 8323 section 8.1). */
const DEFAULT_PORT = 5683;
const LABEL_LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
const LABEL_LENGTH = 12;

/** The URIs under which an endpoint is announced. */
export interface AnnouncedUris {
  readonly base: string;
  /** The same over further transports. */
  readonly at: readonly string[];
}

/** A port or a label that belongs to one endpoint. */
export type EndpointPlace = { readonly port: number } | { readonly label: string };

/** The URIs of a place. `address`: where the endpoint connected to, an IP literal. Pure. */
export function announcedUris(naming: ProxyNaming, place: EndpointPlace, address: string): AnnouncedUris {
  const uris =
    naming.kind === "ports"
      ? naming.schemes.map((scheme) =>
          uriOf(naming.host ?? address, { scheme, port: "port" in place ? place.port : 0 }),
        )
      : naming.transports.map((at) => uriOf(`${"label" in place ? place.label : ""}.${naming.domain}`, at));
  const [base = "", ...at] = uris;
  return { base, at };
}

function uriOf(host: string, { scheme, port }: ProxyTransport): string {
  return `${scheme}://${formatAuthority(host, port, DEFAULT_PORT)}`;
}

/** The place that an announced base belongs to; null: it is none of these places. Pure. */
export function placeOfBase(naming: ProxyNaming, base: string): EndpointPlace | null {
  let uri: ReturnType<typeof parseCoapUri>;
  try {
    uri = parseCoapUri(base);
  } catch {
    return null;
  }
  if (naming.kind === "ports") return uri.port >= naming.from && uri.port <= naming.to ? { port: uri.port } : null;
  const label = labelOf(naming.domain, uri.host);
  return label === null ? null : { label };
}

/** The label of a name in `domain`, in lower case; null: the host is not of this domain. Pure. */
export function labelOf(domain: string, host: string): string | null {
  const name = host.toLowerCase().replace(/\.$/, "");
  return name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : null;
}

/** A label that nobody can guess from another. */
export function randomLabel(random: Random): string {
  let label = "";
  while (label.length < LABEL_LENGTH) label += LABEL_LETTERS[Math.floor(random() * LABEL_LETTERS.length)];
  return label;
}

/** A registration whose base is announced by the RD; undefined: as it is. Pure. */
export function withAnnounced(content: RegistrationContent, announced: AnnouncedUris | undefined): RegistrationContent {
  if (announced === undefined) return content;
  const { zone: _, ...rest } = content;
  const attributes = content.attributes.filter(([name]) => name !== "at");
  const at = announced.at.map((uri) => ["at", uri] as const);
  return { ...rest, base: announced.base, isBaseExplicit: false, isProxied: true, attributes: [...attributes, ...at] };
}
