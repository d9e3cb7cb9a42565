import { isForbiddenInQuotes, isForbiddenInTarget, isNameCharacter } from "./characters.js";
import type { Attribute, Link } from "./types.js";
import { originOf } from "./uri.js";

/** Longest base that a registration can have, bytes: the limit of a Uri-Query option (RFC 7252 section 5.10). */
const MAX_BASE_BYTES = 255;

/**
 * Returns the smallest number of bytes that an endpoint can have sent for a link that is known in resolved form, or undefined when
 * link format cannot express the link. The endpoint may have left out the origin of references and the quotes of values, so a
 * registration within a limit of bytes is always within that limit by this measure. Pure.
 */
export function leastLinkBytes({ target, attributes }: Link): number | undefined {
  const targetBytes = utf8LengthWithout(target, isForbiddenInTarget);
  if (targetBytes === undefined) return undefined;
  let bytes = "<>".length + targetBytes - impliedBytes(target);
  for (const attribute of attributes) {
    const attributeBytes = leastAttributeBytes(attribute);
    if (attributeBytes === undefined) return undefined;
    bytes += attributeBytes;
  }
  return bytes;
}

/** Returns the same for one attribute, including its semicolon. Pure. */
export function leastAttributeBytes([name, value]: Attribute): number | undefined {
  if (!isName(name)) return undefined;
  const nameBytes = ";".length + name.length;
  if (value === null) return nameBytes;
  const valueBytes = utf8LengthWithout(value, isForbiddenInQuotes);
  if (valueBytes === undefined) return undefined;
  return nameBytes + "=".length + valueBytes - (name === "anchor" ? impliedBytes(value) : 0);
}

/** Bytes of a reference that may come from the base. */
function impliedBytes(reference: string): number {
  return Math.min(originOf(reference)?.length ?? 0, MAX_BASE_BYTES);
}

function isName(name: string): boolean {
  const end = name.endsWith("*") ? name.length - 1 : name.length;
  for (let at = 0; at < end; at++) if (!isNameCharacter(name.charCodeAt(at))) return false;
  return end > 0;
}

/** Bytes of `text` in UTF-8; undefined when it contains a forbidden character or an unpaired surrogate. */
function utf8LengthWithout(text: string, isForbidden: (code: number) => boolean): number | undefined {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) {
      if (isForbidden(unit)) return undefined;
    } else if (unit < 0x800) bytes += 1;
    else if ((unit & 0xf800) !== 0xd800) bytes += 2;
    else {
      const next = text.charCodeAt(++at);
      if (unit >= 0xdc00 || (next & 0xfc00) !== 0xdc00) return undefined;
      // Four bytes for two units.
      bytes += 2;
    }
  }
  return bytes;
}
