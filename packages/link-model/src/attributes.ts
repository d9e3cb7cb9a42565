import type { Link } from "./types.js";

/**
 * Returns the first value of an attribute, which is the valid one where only one is allowed (rel, title, type, media, anchor:
 * RFC 8288 section 3; rt, if: RFC 6690 section 3). `null`: no value; undefined: no such attribute. Pure.
 */
export function firstValue(link: Link, name: string): string | null | undefined {
  for (const attribute of link.attributes) if (attribute[0] === name) return attribute[1];
  return undefined;
}

/** Returns the last value, which is the valid one for `provenance` (draft 5.1). Pure. */
export function lastValue(link: Link, name: string): string | null | undefined {
  for (let index = link.attributes.length - 1; index >= 0; index--) {
    const attribute = link.attributes[index];
    if (attribute !== undefined && attribute[0] === name) return attribute[1];
  }
  return undefined;
}

/** Returns the resource types of a link: every value of `rt`, split at blanks (RFC 6690 section 3.1). Pure. */
export function resourceTypesOf(link: Link): string[] {
  return valuesOf(link, "rt").flatMap((value) => (value ?? "").split(" "));
}

/** Returns every value in order, for attributes that may be repeated (et, hreflang). Pure. */
export function valuesOf(link: Link, name: string): (string | null)[] {
  return link.attributes.filter((attribute) => attribute[0] === name).map((attribute) => attribute[1]);
}
