import { isAbsoluteUri, type Link } from "@tributary/link-model";
import { PATCH_ROOM_BYTES } from "./constants.js";
import { linksEntryText } from "./feed-entry.js";
import { type ByteLimit, maxPatchBytes } from "./patch-bounds.js";
import { utf8Length } from "./patch-builder.js";

/** Most bytes of JSON for one byte of link format: a control character, or the name of an attribute without a value. */
const JSON_BYTES_PER_BYTE = 6;
/** Most that a base adds to a relative reference (RFC 7252 section 5.10: a Uri-Query option), and JSON to a link. */
const RESOLVED_BYTES = 255;
const LINK_OVERHEAD_BYTES = 16;

/**
 * Whether the entry of the resource feed with these links, as an endpoint wrote them in `payloadBytes`, fits a patch that
 * readers with the same limits accept, whatever its base. Pure.
 */
export function fitsPatch(links: readonly Link[], payloadBytes: number, limits: ByteLimit): boolean {
  const most = maxPatchBytes(limits) - PATCH_ROOM_BYTES;
  let references = 0;
  for (const { target, attributes } of links) {
    if (!isAbsoluteUri(target)) references++;
    for (const [name, value] of attributes) if (name === "anchor" && !isAbsoluteUri(value ?? "")) references++;
  }
  const resolvedBytes = references * RESOLVED_BYTES;
  // Nearly all registrations are far below the limit and need not be written out.
  if (payloadBytes * JSON_BYTES_PER_BYTE + links.length * LINK_OVERHEAD_BYTES + resolvedBytes <= most) return true;
  return utf8Length(linksEntryText({ links })) + resolvedBytes <= most;
}
