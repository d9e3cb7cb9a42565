import { type ClientResponse, CODE, CONTENT_FORMAT, leadsAstray } from "@tributary/coap-transport";
import { firstValue, type Link, parseLinkFormat, resolveReference, valuesOf } from "@tributary/link-model";
import { MAX_LINKS } from "../constants.js";

/** What an RD has of a name. */
export interface RdResult {
  /** Its registrations, with absolute references; empty: it has none. */
  readonly links: readonly Link[];
  readonly maxAgeS: number;
}

/**
 * Reads the response of the RD at `uri` to an endpoint lookup of `name`. Registrations of other names are left out, and those that would
 * lead a client to services of its own host or link. null: it is no response to such a lookup. Pure.
 */
export function readRdResponse(
  response: ClientResponse,
  { uri, name }: { uri: string; name: string },
): RdResult | null {
  const { code, contentFormat, payload, maxAgeS } = response;
  if (code !== CODE.CONTENT || (contentFormat ?? CONTENT_FORMAT.LINK_FORMAT) !== CONTENT_FORMAT.LINK_FORMAT)
    return null;
  const parsed = parseLinkFormat(payload);
  if (!parsed.ok) return null;
  const links = parsed.links
    .filter((link) => firstValue(link, "ep") === name)
    .slice(0, MAX_LINKS)
    .map((link) => ({ ...link, target: resolveReference(uri, link.target) }))
    .filter((link) => isFollowable(link, uri));
  return links.length === 0 && parsed.links.length > 0 ? null : { links, maxAgeS };
}

function isFollowable(link: Link, uri: string): boolean {
  const bases = valuesOf(link, "base");
  if (bases.length !== 1) return false;
  const alternatives = valuesOf(link, "at").flatMap((value) => (value ?? "").split(" "));
  return [link.target, bases[0] ?? "", ...alternatives].every(
    (one) => !/^coap/i.test(one) || leadsAstray(uri, one) === null,
  );
}
