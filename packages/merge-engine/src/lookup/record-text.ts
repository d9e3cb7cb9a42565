import { writeAttribute, writeTarget } from "@tributary/link-model";
import { AGE_ATTRIBUTES, ENDPOINT_RESOURCE_TYPE } from "../constants.js";
import type { PackedLinks } from "../records/packed-links.js";
import type { StoredRecord } from "../records/stored-record.js";
import { nextLink } from "./packed-matching.js";

/*
 * Links of lookups in link format, written from stored records without objects in between: the text of `endpointLink` and
 * `resourceLink`. All of these throw a `LinkModelError` for what link format cannot express.
 */

/** Writes a record as a link of the endpoint lookup (RFC 9176 section 6.4). @throws {LinkModelError} */
export function endpointText(record: StoredRecord): string {
  const { key, base, attributes } = record;
  let text = `${writeTarget(record.shownHref)};${writeAttribute("ep", key.ep)}`;
  if (key.d !== undefined) text += `;${writeAttribute("d", key.d)}`;
  text += `;${writeAttribute("base", base)};rt="${ENDPOINT_RESOURCE_TYPE}"`;
  for (let at = 0; at < attributes.length; at += 2) {
    const name = attributes[at] as string;
    if (name !== "provenance" && !AGE_ATTRIBUTES.has(name))
      text += `;${writeAttribute(name, attributes[at + 1] as string | null)}`;
  }
  return text;
}

/** Writes the link at `at` of a record as a link of the resource lookup. @throws {LinkModelError} */
export function resourceText(record: StoredRecord, at: number, showProvenance: boolean): string {
  const links: PackedLinks = record.links;
  const end = nextLink(links, at);
  let text = writeTarget(links[at] as string);
  for (let pair = at + 2; pair < end; pair += 2) {
    const name = links[pair] as string;
    if (name !== "provenance") text += `;${writeAttribute(name, links[pair + 1] as string | null)}`;
  }
  return showProvenance ? `${text};${writeAttribute("provenance", record.shownHref)}` : text;
}
