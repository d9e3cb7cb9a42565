import type { Attribute, Link } from "./types.js";
import { isAbsoluteUri, isPathAbsolute, resolveReference, splitUri } from "./uri.js";
import { checkIriReference, checkUriReference } from "./uri-grammar.js";

/**
 * Resolves a link for lookups (RFC 9176 section 6.1): a relative target or anchor is resolved against the base, a full URI
 * stays as it is, byte for byte. A missing anchor is not added. Pure.
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
 * Checks the Limited Link Format of RFC 9176 appendix C: targets and anchors are full URIs or absolute paths. Returns a
 * diagnostic that names the link, or undefined. Pure.
 */
export function checkLimitedLinkFormat(links: readonly Link[]): string | undefined {
  for (const link of links) {
    const problem = limitedProblem(link.target);
    if (problem !== undefined) return `target <${link.target}> ${problem}`;
    for (const [name, value] of link.attributes) {
      const anchorProblem = name === "anchor" ? limitedProblem(value ?? "") : undefined;
      if (anchorProblem !== undefined) return `anchor "${value ?? ""}" of <${link.target}> ${anchorProblem}`;
    }
  }
  return undefined;
}

function limitedProblem(reference: string): string | undefined {
  if (!isPathAbsolute(reference) && !isAbsoluteUri(reference)) return "is neither a full URI nor an absolute path";
  const problem = checkIriReference(reference);
  return problem === undefined ? undefined : `is not a URI reference: ${problem}`;
}

/**
 * Checks a registration base (RFC 9176 section 5): a URI (RFC 3986) with a host, without query, fragment or zone identifier.
 * Returns a diagnostic or undefined. Pure.
 */
export function checkBase(base: string): string | undefined {
  if (!isAbsoluteUri(base)) return "base has no scheme";
  const { authority, query, fragment } = splitUri(base);
  if (authority === undefined || hostOf(authority) === "") return "base has no host";
  if (query !== undefined) return "base must not have a query";
  if (fragment !== undefined) return "base must not have a fragment";
  const problem = checkUriReference(base);
  return problem === undefined ? undefined : `base is not a URI: ${problem}`;
}

function hostOf(authority: string): string {
  return authority.slice(authority.lastIndexOf("@") + 1).replace(/:[0-9]*$/, "");
}
