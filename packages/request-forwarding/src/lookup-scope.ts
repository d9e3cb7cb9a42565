import { CONTENT_FORMAT, type ServerRequest } from "@tributary/coap-transport";
import { pathReference } from "@tributary/resource-directory";
import { registrationPathOf } from "./routing-table.js";

/** The last hop: a request that may not go on is answered with what is here. */
const NO_FURTHER = 1;

/**
 * Whether a lookup asks for what is registered at this very node, so that it must not be answered by another: the feed and
 * `href=/*` or `provenance=/*` (draft 4.4.2), a registration of this node, or a Hop-Limit of 1, by which proxies ask an RD
 * without being asked back. Ages are shown to those only who may see them (draft 5.2); a peer would see this node ask. Pure.
 */
export function isAboutThisNode(
  { accept, hopLimit, query }: Pick<ServerRequest, "accept" | "hopLimit" | "query">,
  name: string,
): boolean {
  if (accept === CONTENT_FORMAT.JSON_PATCH || hopLimit === NO_FURTHER) return true;
  const own = `${pathReference(registrationPathOf(name))}/`;
  return query.some((item) => {
    const [, value] = /^(?:href|provenance)=(.*)$/s.exec(item) ?? [];
    return value === "/*" || value?.startsWith(own) === true || isAboutAges(item);
  });
}

function isAboutAges(item: string): boolean {
  return item === "lt-age" || item.startsWith("lt-age=");
}
