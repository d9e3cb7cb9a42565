import { type Attribute, isAbsoluteUri, RELATION_ATTRIBUTES } from "@tributary/link-model";
import {
  ATTRIBUTE_SLOT_BYTES,
  COMMON_ATTRIBUTES,
  INDEX_ENTRY_BYTES,
  INDEX_NAME_BYTES,
  LINK_SLOT_BYTES,
  RECORD_BYTES,
  TEXT_HEADER_BYTES,
} from "./constants.js";
import type { Registration } from "./types.js";

/** Matches a character that makes the engine store two bytes for each character of the text. */
const IS_WIDE = /[^\u0000-\u00ff]/;
/** In shorter texts the header weighs more than a second byte per character. */
const MIN_LOOKED_AT = 16;

/** Returns the approximate heap size of a text in bytes. Pure. */
export function textWeight(text: string): number {
  const { length } = text;
  return TEXT_HEADER_BYTES + (length >= MIN_LOOKED_AT && IS_WIDE.test(text) ? 2 * length : length);
}

/**
 * Returns the approximate heap size of a registration in a directory, bytes: the record, its packed links and attributes, and its
 * entries in the index. Texts that it shares with others count in full, so that the weight does not depend on others.
 * `record-weight.test.ts` compares the measure with the heap. Pure.
 */
export function recordWeight(registration: Omit<Registration, "renewedAtMs" | "expiresAtMs" | "expiry">): number {
  const { href, ep, base, attributes, links, via = [] } = registration;
  const names = new Set<string>();
  let weight = RECORD_BYTES + textWeight(href) + textWeight(ep) + textWeight(base) + 2 * INDEX_ENTRY_BYTES;
  weight += attributesWeight(attributes, names);
  for (const { target, attributes: own } of links) {
    weight += LINK_SLOT_BYTES + textWeight(target) + (isAbsoluteUri(target) ? INDEX_ENTRY_BYTES : 0);
    weight += attributesWeight(own, names);
  }
  for (const node of via) weight += ATTRIBUTE_SLOT_BYTES + textWeight(node);
  return weight;
}

/** `names`: attribute names that were counted before. */
function attributesWeight(attributes: readonly Attribute[], names: Set<string>): number {
  let weight = 0;
  for (const [name, value] of attributes) {
    const isNewName = !names.has(name);
    if (isNewName) names.add(name);
    if (isNewName && !COMMON_ATTRIBUTES.has(name)) weight += INDEX_NAME_BYTES + textWeight(name);
    weight += ATTRIBUTE_SLOT_BYTES;
    if (value !== null) weight += INDEX_ENTRY_BYTES + textWeight(value);
    else if (isNewName) weight += INDEX_ENTRY_BYTES;
    if (value === null) continue;
    if (RELATION_ATTRIBUTES.has(name) && value.includes(" ")) weight += wordsWeight(value);
  }
  return weight;
}

/** Each relation type or resource type of a list is indexed by itself. */
function wordsWeight(list: string): number {
  let words = 1;
  for (let at = list.indexOf(" "); at >= 0; at = list.indexOf(" ", at + 1)) words++;
  return words * (INDEX_ENTRY_BYTES + TEXT_HEADER_BYTES) + list.length;
}
