import { isForbiddenInQuotes, isForbiddenInTarget, isNameCharacter, isTokenCharacter } from "./characters.js";
import { LinkModelError } from "./errors.js";
import type { Link } from "./types.js";

/**
 * Writes a link in strict link format (RFC 6690 section 2), without blanks outside quotes. Pure.
 * @throws {LinkModelError} when link format cannot express the link.
 */
export function serialiseLink(link: Link): string {
  let text = writeTarget(link.target);
  for (const [name, value] of link.attributes) text += `;${writeAttribute(name, value)}`;
  return text;
}

/** Writes the target of a link, with `<` and `>`. Pure. @throws {LinkModelError} */
export function writeTarget(target: string): string {
  for (let at = 0; at < target.length; at++) {
    if (isForbiddenInTarget(target.charCodeAt(at)))
      throw new LinkModelError("BAD_TARGET", `not a URI reference: ${JSON.stringify(target)}`);
  }
  return `<${target}>`;
}

/** Writes links in strict link format, separated by commas; no links give the empty string. @throws {LinkModelError} */
export function serialiseLinks(links: Iterable<Link>): string {
  let text = "";
  for (const link of links) text += text === "" ? serialiseLink(link) : `,${serialiseLink(link)}`;
  return text;
}

/** Writes an attribute of a link, without the semicolon. Pure. @throws {LinkModelError} */
export function writeAttribute(name: string, value: string | null): string {
  assertName(name);
  if (value === null) return name;
  return isUnquoted(name, value) ? `${name}=${value}` : `${name}="${quote(value)}"`;
}

/** `sz` is a bare cardinal, `name*` a bare ext-value; `ct` is quoted only as a list (RFC 7252 section 7.2.1). */
function isUnquoted(name: string, value: string): boolean {
  if (name === "sz" || name === "ct") return /^(0|[1-9][0-9]*)$/.test(value);
  return name.endsWith("*") && isToken(value);
}

function isToken(value: string): boolean {
  for (let at = 0; at < value.length; at++) if (!isTokenCharacter(value.charCodeAt(at))) return false;
  return value !== "";
}

function quote(value: string): string {
  let needsEscape = false;
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (isForbiddenInQuotes(code))
      throw new LinkModelError("CONTROL_CHARACTER", "a value contains a control character");
    if (code === 0x22 || code === 0x5c) needsEscape = true;
  }
  return needsEscape ? value.replace(/["\\]/g, "\\$&") : value;
}

function assertName(name: string): void {
  const end = name.endsWith("*") ? name.length - 1 : name.length;
  for (let at = 0; at < end; at++) {
    if (!isNameCharacter(name.charCodeAt(at)))
      throw new LinkModelError("BAD_ATTRIBUTE_NAME", `not an attribute name: ${JSON.stringify(name)}`);
  }
  if (end === 0) throw new LinkModelError("BAD_ATTRIBUTE_NAME", "an attribute has no name");
}
