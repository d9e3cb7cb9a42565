import type { Attribute, Link } from "@tributary/link-model";
import { ownText, type StringPool } from "./string-pool.js";

/** Attributes as name, value, name, value… */
export type PackedAttributes = readonly (string | null)[];
/** Links as target, number of attributes, name, value, name, value…, next target… */
export type PackedLinks = readonly (string | number | null)[];

const NOTHING: readonly never[] = [];

/**
 * Packs links into one flat array instead of a tree of small ones: about a third of the memory, and faster to unpack than text
 * is to parse.
 */
export function packLinks(links: readonly Link[], pool: StringPool): PackedLinks {
  if (links.length === 0) return NOTHING;
  let length = 0;
  for (const { attributes } of links) length += 2 + 2 * attributes.length;
  const packed = new Array<string | number | null>(length);
  let at = 0;
  for (const { target, attributes } of links) {
    packed[at++] = ownText(target);
    packed[at++] = attributes.length;
    for (const [name, value] of attributes) {
      packed[at++] = pool.keep(name);
      packed[at++] = value === null ? null : pool.keep(value);
    }
  }
  return packed;
}

export function packAttributes(attributes: readonly Attribute[], pool: StringPool): PackedAttributes {
  if (attributes.length === 0) return NOTHING;
  const packed = new Array<string | null>(2 * attributes.length);
  let at = 0;
  for (const [name, value] of attributes) {
    packed[at++] = pool.keep(name);
    packed[at++] = value === null ? null : pool.keep(value);
  }
  return packed;
}

export function unpackLinks(packed: PackedLinks): Link[] {
  const links: Link[] = [];
  for (let at = 0; at < packed.length; ) {
    const target = packed[at++] as string;
    const count = packed[at++] as number;
    links.push({ target, attributes: unpackPairs(packed, at, count) });
    at += 2 * count;
  }
  return links;
}

/** Unpacks the link whose target is at `at`. */
export function unpackLink(packed: PackedLinks, at: number): Link {
  return { target: packed[at] as string, attributes: unpackPairs(packed, at + 2, packed[at + 1] as number) };
}

export function unpackAttributes(packed: PackedAttributes): Attribute[] {
  return unpackPairs(packed, 0, packed.length / 2);
}

function unpackPairs(packed: PackedLinks, from: number, count: number): Attribute[] {
  const attributes: Attribute[] = [];
  for (let at = from; at < from + 2 * count; at += 2) {
    attributes.push([packed[at] as string, packed[at + 1] as string | null]);
  }
  return attributes;
}

/** Whether the links are those that were packed, in the same order, without unpacking them. */
export function isSameLinks(packed: PackedLinks, links: readonly Link[]): boolean {
  let at = 0;
  for (const { target, attributes } of links) {
    if (packed[at++] !== target || packed[at++] !== attributes.length) return false;
    if (!isSamePairs(packed, at, attributes)) return false;
    at += 2 * attributes.length;
  }
  return at === packed.length;
}

export function isSameAttributes(packed: PackedAttributes, attributes: readonly Attribute[]): boolean {
  return packed.length === 2 * attributes.length && isSamePairs(packed, 0, attributes);
}

function isSamePairs(packed: PackedLinks, from: number, attributes: readonly Attribute[]): boolean {
  let at = from;
  for (const [name, value] of attributes) {
    if (packed[at++] !== name || packed[at++] !== value) return false;
  }
  return true;
}

/** Visits the target and then the attributes of each link. */
export function visitPackedLinks(
  packed: PackedLinks,
  visitTarget: (target: string) => void,
  visitAttribute: (name: string, value: string | null) => void,
): void {
  for (let at = 0; at < packed.length; ) {
    visitTarget(packed[at++] as string);
    const end = at + 1 + 2 * (packed[at] as number);
    for (at++; at < end; at += 2) visitAttribute(packed[at] as string, packed[at + 1] as string | null);
  }
}
