import { TransportError } from "../errors.js";
import { DEFAULT_PORT, DEFAULT_SECURE_PORT } from "./codes.js";
import { parseIpAddress } from "./ip-address.js";

/** The decoded components of a `coap` URI (RFC 7252 section 6.4). */
export interface ParsedCoapUri {
  readonly scheme: string;
  /** Lower-case name, or IP literal without brackets and zone in the spelling of RFC 5952. */
  readonly host: string;
  /** True when `host` is an IP literal, so that no Uri-Host option is sent. */
  readonly hostIsLiteral: boolean;
  /** Zone of a link-local address; means something on this machine only. */
  readonly zone?: string;
  /** 0 is accepted, as "any port" for listeners. */
  readonly port: number;
  readonly path: readonly string[];
  readonly query: readonly string[];
}

const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ["coap", DEFAULT_PORT],
  ["coap+tcp", DEFAULT_PORT],
  ["coaps", DEFAULT_SECURE_PORT],
  ["coaps+tcp", DEFAULT_SECURE_PORT],
]);

/** Longest Uri-Host, Uri-Path and Uri-Query value (RFC 7252 section 5.10). */
const MAX_COMPONENT_BYTES = 255;
const URI = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/;
const FORBIDDEN = /[\u0000-\u0020\u007f"<>\\^`{|}]/;

/**
 * Take a URI apart into what the options of a request are made of (RFC 7252 section 6.4). Pure.
 * @throws {TransportError} BAD_URI when it is not absolute, has a fragment or user information, an unknown scheme,
 * bad percent-encoding, or a component that does not fit its option.
 */
export function parseCoapUri(uri: string): ParsedCoapUri {
  const match = FORBIDDEN.test(uri) ? null : URI.exec(uri);
  if (match === null) throw badUri(uri, "not an absolute URI without fragment");
  const scheme = (match[1] ?? "").toLowerCase();
  const defaultPort = DEFAULT_PORTS.get(scheme);
  if (defaultPort === undefined)
    throw badUri(uri, `scheme ${scheme} is not one of ${[...DEFAULT_PORTS.keys()].join(", ")}`);
  const authority = parseAuthority(uri, match[2] ?? "");
  return {
    scheme,
    ...authority.host,
    port: authority.port ?? defaultPort,
    path: parsePath(uri, match[3] ?? ""),
    query: match[4] === undefined ? [] : match[4].split("&").map((item) => decodeComponent(uri, item)),
  };
}

/** The port of URIs with this scheme that have none; 5683 for schemes that are not CoAP's. Pure. */
export function defaultPortOf(scheme: string): number {
  return DEFAULT_PORTS.get(scheme) ?? DEFAULT_PORT;
}

/** The authority part of a URI: brackets around IPv6, the port only when it is not `defaultPort`. Pure. */
export function formatAuthority(address: string, port: number, defaultPort: number = DEFAULT_PORT): string {
  const host = address.includes(":") ? `[${address.replace("%", "%25")}]` : address;
  return port === defaultPort ? host : `${host}:${port}`;
}

type Host = Pick<ParsedCoapUri, "host" | "hostIsLiteral" | "zone">;

function parseAuthority(uri: string, authority: string): { host: Host; port: number | undefined } {
  const match = /^(\[[^\]]*\]|[^:@[\]]*)(?::([0-9]*))?$/.exec(authority);
  const hostText = match?.[1] ?? "";
  if (match === null && parseIpAddress(authority) !== null && authority.includes(":"))
    throw badUri(uri, `the IPv6 address ${authority} has no brackets`);
  if (match === null || hostText === "") throw badUri(uri, "the host is missing or malformed");
  const port = match[2] === undefined || match[2] === "" ? undefined : Number(match[2]);
  if (port !== undefined && port > 65_535) throw badUri(uri, "the port is larger than 65535");
  return { host: hostText.startsWith("[") ? parseLiteral(uri, hostText.slice(1, -1)) : parseName(uri, hostText), port };
}

function parseLiteral(uri: string, text: string): Host {
  // RFC 6874 writes the zone after "%25"; people also write a bare "%".
  const literal = text.includes(":") ? parseIpAddress(text.replace("%25", "%")) : null;
  if (literal === null) throw badUri(uri, "the address in brackets is malformed");
  const host = { host: literal.address, hostIsLiteral: true };
  return literal.zone === undefined ? host : { ...host, zone: literal.zone };
}

function parseName(uri: string, text: string): Host {
  if (parseIpAddress(text) !== null) return { host: text, hostIsLiteral: true };
  return { host: decodeComponent(uri, text).toLowerCase(), hostIsLiteral: false };
}

function parsePath(uri: string, text: string): string[] {
  if (text === "" || text === "/") return [];
  const segments = removeDotSegments(text.slice(1).split("/")).map((segment) => decodeComponent(uri, segment));
  // RFC 7252 section 5.10.1: a Uri-Path value must not be "." or "..", however it was encoded.
  if (segments.some((segment) => segment === "." || segment === "..")) throw badUri(uri, "encoded dot segments");
  return segments.length === 1 && segments[0] === "" ? [] : segments;
}

/** RFC 3986 section 5.2.4 on the segments of an absolute path. */
function removeDotSegments(segments: readonly string[]): string[] {
  const kept: string[] = [];
  for (const [index, segment] of segments.entries()) {
    const isDots = segment === "." || segment === "..";
    if (segment === "..") kept.pop();
    if (!isDots) kept.push(segment);
    else if (index === segments.length - 1) kept.push("");
  }
  return kept;
}

function decodeComponent(uri: string, text: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
    encodeURIComponent(decoded); // throws on lone surrogates, which have no UTF-8
  } catch (error) {
    throw badUri(uri, "bad percent-encoding or not Unicode", error);
  }
  if (Buffer.byteLength(decoded) > MAX_COMPONENT_BYTES) throw badUri(uri, "a component is longer than 255 bytes");
  return decoded;
}

function badUri(uri: string, why: string, cause?: unknown): TransportError {
  const shown = uri.length > 200 ? `${uri.slice(0, 200)}…` : uri;
  return new TransportError("BAD_URI", `${why}: ${shown}`, cause === undefined ? undefined : { cause });
}
