import { splitUri } from "./uri.js";

/** Largest port number that UDP and TCP have. */
const MAX_PORT = 65_535;
/** Characters that every component of a URI allows (RFC 3986 appendix A). */
const COMMON = "A-Za-z0-9\\-._~!$&'()*+,;=";
/** Characters that IRIs allow and URIs do not (RFC 3987 section 2.2): no controls, no unpaired surrogates. */
const BEYOND_ASCII = "\\u{a0}-\\u{d7ff}\\u{e000}-\\u{fdcf}\\u{fdf0}-\\u{ffef}\\u{10000}-\\u{efffd}";

/** Matches each component that has only the characters and percent-encoded octets of its grammar. */
interface Grammar {
  readonly userinfo: RegExp;
  readonly name: RegExp;
  readonly path: RegExp;
  readonly query: RegExp;
}

const URI: Grammar = grammar("");
const IRI: Grammar = grammar(BEYOND_ASCII);

function grammar(more: string): Grammar {
  const component = (others: string): RegExp => new RegExp(`^(?:[${COMMON}${others}${more}]|%[0-9A-Fa-f]{2})*$`, "u");
  return { userinfo: component(":"), name: component(""), path: component(":@/"), query: component(":@/?") };
}

/**
 * Checks a URI or a relative reference against the grammar of RFC 3986. Returns the problem as a clause, such as "its port is
 * larger than 65535", or undefined. Pure.
 */
export function checkUriReference(reference: string): string | undefined {
  return check(reference, URI);
}

/** Does the same for the references of links, which may be IRIs with characters beyond ASCII (RFC 3987). Pure. */
export function checkIriReference(reference: string): string | undefined {
  return check(reference, IRI);
}

/** Fast path: most references are plain ASCII paths without an authority. */
const PLAIN_PATH = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@/]*)?$/;

function check(reference: string, { userinfo, name, path, query }: Grammar): string | undefined {
  if (PLAIN_PATH.test(reference)) return undefined;
  const parts = splitUri(reference);
  if (!path.test(parts.path)) return "its path contains a character or a percent sign that a URI cannot have";
  if (parts.query !== undefined && !query.test(parts.query))
    return "its query contains a character or a percent sign that a URI cannot have";
  if (parts.fragment !== undefined && !query.test(parts.fragment))
    return "its fragment contains a character or a percent sign that a URI cannot have";
  return parts.authority === undefined ? undefined : checkAuthority(parts.authority, userinfo, name);
}

/** RFC 3986 section 3.2. */
function checkAuthority(authority: string, userinfo: RegExp, name: RegExp): string | undefined {
  const at = authority.lastIndexOf("@");
  if (at >= 0 && !userinfo.test(authority.slice(0, at)))
    return "its user information contains a character that a URI cannot have";
  const [, literal, host, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([0-9]*))?$/.exec(authority.slice(at + 1)) ?? [];
  if (literal === undefined && host === undefined) return "its host or port cannot be read";
  if (port !== undefined && Number(port) > MAX_PORT) return `its port is larger than ${MAX_PORT}`;
  if (literal !== undefined) return checkLiteral(literal);
  return name.test(host ?? "") ? undefined : "its host contains a character or a percent sign that a URI cannot have";
}

function checkLiteral(literal: string): string | undefined {
  if (literal.includes("%")) return "it has a zone identifier";
  const isFuture = /^[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+$/.test(literal);
  return isFuture || isIpv6Address(literal) ? undefined : "its host is not an IP address";
}

const [COLON, DOT] = [0x3a, 0x2e];

/** Whether `text` is an IPv6 address without zone (RFC 3986 section 3.2.2). Pure. */
export function isIpv6Address(text: string): boolean {
  let groups = 0;
  let hasGap = false;
  let at = 0;
  if (text.startsWith("::")) {
    hasGap = true;
    at = 2;
  }
  while (at < text.length) {
    const end = endOfDigits(text, at);
    // The last 32 bits may be written as an IPv4 address, at the very end only.
    if (text.charCodeAt(end) === DOT) return isIpv4Address(text.slice(at)) && isWhole(groups + 2, hasGap);
    if (end === at || end - at > 4) return false;
    groups++;
    if (end === text.length) break;
    if (text.charCodeAt(end) !== COLON) return false;
    at = end + 1;
    if (text.charCodeAt(at) === COLON) {
      if (hasGap) return false;
      hasGap = true;
      at++;
    } else if (at === text.length) return false;
  }
  return isWhole(groups, hasGap);
}

/** `::` stands for at least one group of the eight. */
function isWhole(groups: number, hasGap: boolean): boolean {
  return hasGap ? groups <= 7 : groups === 8;
}

/** Where the hexadecimal digits that begin at `at` end. */
function endOfDigits(text: string, at: number): number {
  let end = at;
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end) | 0x20;
    const isDigit = (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);
    if (!isDigit || text.charCodeAt(end) < 0x30) break;
  }
  return end;
}

function isIpv4Address(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255);
}
