import { CONTENT_FORMAT, type ServerRequest } from "@tributary/coap-transport";
import { type LookupScope, LT_AGE } from "@tributary/lookup-interface";

/**
 * Whether a lookup may be forwarded to a peer. Lookups of this node's own registrations and feed requests are served here, and so
 * are requests for ages: only some clients may see them (draft 5.2), and the peer would take this node for the client. Pure.
 */
export function isForwardable({ accept, query }: Pick<ServerRequest, "accept" | "query">, scope: LookupScope): boolean {
  return scope !== "here" && accept !== CONTENT_FORMAT.JSON_PATCH && !query.some(isAboutAges);
}

function isAboutAges(item: string): boolean {
  return item === LT_AGE || item.startsWith(`${LT_AGE}=`);
}
