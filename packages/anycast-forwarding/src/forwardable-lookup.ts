import { CONTENT_FORMAT, type ServerRequest } from "@tributary/coap-transport";
import { AGE_ITEM, type LookupScope } from "@tributary/lookup-interface";

/**
 * Whether a lookup may be forwarded to a peer. What asks for the registrations of this very node is answered here, and so is
 * the feed. Ages are shown to those only who may see them (draft 5.2); a peer would see this node ask. Pure.
 */
export function isForwardable({ accept, query }: Pick<ServerRequest, "accept" | "query">, scope: LookupScope): boolean {
  return scope !== "here" && accept !== CONTENT_FORMAT.JSON_PATCH && !query.some(isAboutAges);
}

function isAboutAges(item: string): boolean {
  return item === AGE_ITEM || item.startsWith(`${AGE_ITEM}=`);
}
