import type { Attribute, Link } from "./types.js";
import { isAbsoluteUri, isPathAbsolute, resolveReference, splitUri } from "./uri.js";

/**
 * A link as lookups show it (RFC 9176 section 6.1): a relative target is resolved against the base, a full URI stays
 * untouched to the byte; an anchor that is there likewise, one that is not is never added. Pure.
 */
export function resolveLink(base: string, link: Link): Link {
  const target = isAbsoluteUri(link.target) ? link.target : resolveReference(base, link.target);
  const attributes = link.attributes.some(isRelativeAnchor)
    ? link.attributes.map(
        (attribute): Attribute =>
          isRelativeAnchor(attribute) ? ["anchor", resolveReference(base, attribute[1] ?? "")] : attribute,
      )
    : link.attributes;
  return { target, attributes };
}

function isRelativeAnchor([name, value]: Attribute): boolean {
  return name === "anchor" && !isAbsoluteUri(value ?? "");
}

/**
 * Check the Limited Link Format of RFC 9176 appendix C: targets and anchors are full URIs or absolute paths.
 * Returns a diagnostic that names the link, or undefined. Pure.
 */
export function checkLimitedLinkFormat(links: readonly Link[]): string | undefined {
  for (const link of links) {
    if (!isLimited(link.target)) return `target <${link.target}> is neither a full URI nor an absolute path`;
    for (const [name, value] of link.attributes) {
      if (name === "anchor" && !isLimited(value ?? ""))
        return `anchor "${value ?? ""}" of <${link.target}> is neither a full URI nor an absolute path`;
    }
  }
  return undefined;
}

function isLimited(reference: string): boolean {
  return isPathAbsolute(reference) || isAbsoluteUri(reference);
}

/**
 * Check a registration base URI (RFC 9176 section 5): absolute, with a host, without query, fragment or zone identifier.
 * Returns a diagnostic or undefined. Pure.
 */
export function checkBase(base: string): string | undefined {
  if (!isAbsoluteUri(base)) return "base has no scheme";
  if (/[\s<>"\u0000-\u001f\u007f]/.test(base)) return "base holds a character that no URI can have";
  const { authority, query, fragment } = splitUri(base);
  if (authority === undefined || authority === "") return "base has no host";
  if (query !== undefined) return "base must not have a query";
  if (fragment !== undefined) return "base must not have a fragment";
  return checkAuthority(authority);
}

function checkAuthority(authority: string): string | undefined {
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  const literal = host.startsWith("[") ? /^\[([^\]]*)\](?::\d{0,5})?$/.exec(host) : null;
  if (literal !== null) {
    if (literal[1]?.includes("%")) return "base must not have a zone identifier";
    return /^(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\..+)$/.test(literal[1] ?? "")
      ? undefined
      : "base has a host that is not an address";
  }
  if (/[[\]]/.test(host)) return "base has a host that is not an address";
  return /^[^:]+(?::\d{0,5})?$/.test(host) ? undefined : "base has a host or port that cannot be read";
}
