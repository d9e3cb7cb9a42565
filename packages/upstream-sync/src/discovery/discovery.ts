import {
  type ClientResponse,
  CODE,
  CONTENT_FORMAT,
  type CoapClient,
  formatCode,
  isSecure,
  leadsAstray,
  METHOD,
  OPTION,
  TransportError,
} from "@tributary/coap-transport";
import { firstValue, type Link, originOf, parseLinkFormatTolerantly, resolveReference } from "@tributary/link-model";
import { type FeedScope, feedSelector } from "@tributary/replication";
import {
  FEED_RESOURCE_TYPES,
  LONGEST_RETRY_AFTER_MS,
  MAX_DOCUMENT_BYTES,
  NODE_ATTRIBUTE,
  TCP_ATTRIBUTE,
  TIER_ATTRIBUTE,
} from "../constants.js";
import { UpstreamError } from "../errors.js";

/** What discovery found at an upstream (RFC 9176 section 4.3). URIs are absolute, paths exactly as advertised. */
export interface Discovered {
  readonly endpointLookup: string;
  readonly resourceLookup: string;
  readonly registration?: string;
  /** Origin against which its path-absolute hrefs stand. */
  readonly authority: string;
  /** It offers format 51 on its lookups. */
  readonly hasFeed: boolean;
  /** It is a Tributary node. */
  readonly isTributary: boolean;
  /** Identity of the running process, if it is a Tributary node. */
  readonly node?: string;
  /** It serves the same by CoAP over TCP, at the same port number. */
  readonly hasTcp: boolean;
  /** A lookup proxy that is followed as such: its feed and its lookups are about all that it knows. */
  readonly isTier: boolean;
}

/** What discovery of an upstream led to. */
export type DiscoveryResult =
  | { readonly kind: "found"; readonly found: Discovered }
  | { readonly kind: "refused"; readonly reason: string }
  /** Its lookups are at a place where they are not followed. */
  | { readonly kind: "elsewhere"; readonly reason: string }
  | { readonly kind: "nothing" };

/** Where discovery of one upstream may lead, and what is known of it. */
export interface DiscoveryRules {
  readonly nodeId: string;
  /** A lookup proxy will do. */
  readonly isTier?: boolean;
  /** Origins that are other names of the RD: what is there is asked at the configured one. */
  readonly authorities?: readonly string[];
  /** Lookups at hosts and ports that nobody configured are followed. */
  readonly elsewhere?: boolean;
  /** Whether an origin is that of a configured upstream. */
  readonly isConfigured?: (origin: string) => boolean;
}

interface Candidate {
  readonly uri: string;
  readonly link: Link;
}

/** Read the links of `/.well-known/core` of `uri`. Pure, as far as `rules` are. */
export function readDiscovery(links: readonly Link[], uri: string, rules: DiscoveryRules): DiscoveryResult {
  const { nodeId, isTier = false, authorities = [] } = rules;
  const origin = normalOrigin(uri);
  const base = `${originOf(uri) ?? uri}/.well-known/core`;
  const otherNames = new Set(authorities.map(normalOrigin));
  const resolve = (target: string): string => {
    const resolved = resolveReference(base, target);
    const isOtherName = otherNames.has(normalOrigin(resolved));
    return isOtherName ? `${originOf(uri) ?? uri}${resolved.slice(originOf(resolved)?.length ?? 0)}` : resolved;
  };
  const refusals: string[] = [];
  const pick = (...types: string[]): Candidate | undefined => {
    const all = links
      .filter((link) => (firstValue(link, "rt") ?? "").split(" ").some((type) => types.includes(type)))
      .map((link) => ({ uri: resolve(link.target), link }))
      .filter((one) => {
        const refusal = refusalOf(one.uri, uri, rules);
        if (refusal !== null) refusals.push(refusal);
        return refusal === null;
      });
    // Its own lookups before somebody else's (draft 4.4.2): those of others are followed only when there are no own.
    return all.find((one) => normalOrigin(one.uri) === origin) ?? all[0];
  };
  const ep = preferOwn(pick(FEED_RESOURCE_TYPES.ep), pick("core.rd-lookup-ep"), origin);
  const res = preferOwn(pick(FEED_RESOURCE_TYPES.res), pick("core.rd-lookup-res"), origin);
  if (ep === undefined || res === undefined) {
    const [reason] = refusals;
    return reason === undefined ? { kind: "nothing" } : { kind: "elsewhere", reason };
  }
  const node = firstValue(ep.link, NODE_ATTRIBUTE);
  const isProxy = isTier && [ep, res].every(({ link }) => firstValue(link, TIER_ATTRIBUTE) !== undefined);
  const hasFeed = isProxy || (offersFeed(ep.link) && offersFeed(res.link));
  if (typeof node === "string" && node === nodeId) return { kind: "refused", reason: "it is this node itself" };
  if (typeof node === "string" && !hasFeed) {
    return {
      kind: "refused",
      reason: "it is a lookup proxy without registrations of its own; list its RDs instead, or write tier: true",
    };
  }
  const registration = registrationOf(links, resolve, origin);
  const own = normalOrigin(ep.uri) === origin;
  return {
    kind: "found",
    found: {
      endpointLookup: ep.uri,
      resourceLookup: res.uri,
      ...(registration === undefined ? {} : { registration }),
      authority: (own ? originOf(uri) : originOf(ep.uri)) ?? uri,
      hasFeed,
      isTributary: typeof node === "string",
      ...(typeof node === "string" ? { node } : {}),
      hasTcp: [ep, res].every(({ link }) => firstValue(link, TCP_ATTRIBUTE) !== undefined),
      isTier: isProxy,
    },
  };
}

/** The registration interface is only reported, wherever it is: this node registers nothing. */
function registrationOf(
  links: readonly Link[],
  resolve: (target: string) => string,
  origin: string,
): string | undefined {
  const all = links
    .filter((link) => (firstValue(link, "rt") ?? "").split(" ").includes("core.rd"))
    .map(({ target }) => resolve(target));
  return all.find((one) => normalOrigin(one) === origin) ?? all[0];
}

/** Why a lookup that is advertised by `from` is not followed; null when it is. */
function refusalOf(lookup: string, from: string, { elsewhere = false, isConfigured }: DiscoveryRules): string | null {
  const origin = originOf(lookup) ?? lookup;
  if (isSecure(from) && !isSecure(lookup)) return `its lookups are at ${origin}, without TLS, where it must not lead`;
  if (isSameServer(lookup, from) || isConfigured?.(origin) === true) return null;
  if (elsewhere) {
    const reason = leadsAstray(from, lookup);
    return reason === null ? null : `its lookup ${reason}, where it must not lead`;
  }
  return `its lookups are at ${origin}, which is not configured; list that as an upstream, or write elsewhere: true`;
}

/** Same host and port, by UDP or TCP. */
function isSameServer(one: string, other: string): boolean {
  const withoutTransport = (uri: string) => normalOrigin(uri).replace(/^coap\+tcp:/, "coap:");
  return withoutTransport(one) === withoutTransport(other);
}

function preferOwn(one: Candidate | undefined, other: Candidate | undefined, origin: string): Candidate | undefined {
  const isOwn = (candidate: Candidate | undefined) => candidate !== undefined && normalOrigin(candidate.uri) === origin;
  return isOwn(other) || one === undefined ? other : one;
}

function offersFeed(link: Link): boolean {
  return (firstValue(link, "ct") ?? "").split(" ").includes(String(CONTENT_FORMAT.JSON_PATCH));
}

/** Origin in a form that can be compared: lower case, without the default port. Pure. */
export function normalOrigin(uri: string): string {
  const origin = (originOf(uri) ?? uri).toLowerCase();
  return origin.replace(/^(coap(?:\+tcp)?:\/\/.*):5683$/, "$1").replace(/^(coaps(?:\+tcp)?:\/\/.*):5684$/, "$1");
}

export interface DiscoveryOptions extends DiscoveryRules {
  readonly uri: string;
  readonly timeoutMs: number;
}

/**
 * Discover an upstream: by resource type, then by the types of RDs that send clients elsewhere, then unfiltered, because
 * not every RD filters. @throws {UpstreamError}
 */
export async function discover(
  client: CoapClient,
  options: DiscoveryOptions,
  signal: AbortSignal,
): Promise<DiscoveryResult> {
  let elsewhere: DiscoveryResult = { kind: "nothing" };
  for (const query of [["rt=core.rd*"], ["rt=tributary.feed*"], []]) {
    const links = await askForLinks(client, options, query, signal);
    if (links === null) continue;
    const result = readDiscovery(links, options.uri, options);
    if (result.kind === "refused") return result;
    if (result.kind === "found" && normalOrigin(result.found.endpointLookup) === normalOrigin(options.uri))
      return result;
    if (result.kind === "found" || (result.kind === "elsewhere" && elsewhere.kind === "nothing")) elsewhere = result;
  }
  return elsewhere;
}

/** The links of `/.well-known/core`; null when it does not like the query, because it may like the next one. */
async function askForLinks(
  client: CoapClient,
  { uri, timeoutMs }: DiscoveryOptions,
  query: readonly string[],
  signal: AbortSignal,
): Promise<readonly Link[] | null> {
  try {
    const response = await get(client, `${originOf(uri) ?? uri}/.well-known/core`, query, timeoutMs, signal);
    assertContent(response);
    return parseLinkFormatTolerantly(response.payload).links;
  } catch (error) {
    // Only an unfiltered refusal is final, and a request to come later.
    if (query.length > 0 && isMereRefusal(error)) return null;
    throw error;
  }
}

/** Codes of a resource that is not there, or is another one than it was taken for (RFC 7252 section 5.9). */
const DENYING_CODES: readonly number[] = [CODE.NOT_FOUND, CODE.METHOD_NOT_ALLOWED, CODE.NOT_IMPLEMENTED];

/** Whether a response to a GET denies that the resource is the lookup as which it was advertised. Pure. */
export function deniesLookup(code: number): boolean {
  return DENYING_CODES.includes(code);
}

export function lookupUri(found: Pick<Discovered, "endpointLookup" | "resourceLookup">, kind: "ep" | "res"): string {
  return kind === "ep" ? found.endpointLookup : found.resourceLookup;
}

/** The error of a lookup that is not where discovery found it: reason to discover again (RFC 9176 section 4.3). Pure. */
export function lookupGone(kind: "ep" | "res", code: number): UpstreamError {
  const name = kind === "ep" ? "endpoint" : "resource";
  return new UpstreamError(
    "UPSTREAM_LOOKUP_GONE",
    `its ${name} lookup, which it advertised, answers ${formatCode(code)}`,
  );
}

/** One query was turned down, by an error code or by RST: that says nothing about the RD as a whole (design section 4). */
export function isMereRefusal(error: unknown): boolean {
  return error instanceof UpstreamError && error.code === "UPSTREAM_REFUSED" && error.retryAfterMs === undefined;
}

/** One GET for link format. @throws {UpstreamError} when there is no answer; error codes are answers. */
export async function get(
  client: CoapClient,
  uri: string,
  query: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
  maxBodyBytes = MAX_DOCUMENT_BYTES,
): Promise<ClientResponse> {
  try {
    return await client.request(
      { method: METHOD.GET, uri, query, accept: CONTENT_FORMAT.LINK_FORMAT },
      { timeoutMs, signal, maxBodyBytes },
    );
  } catch (error) {
    throw toUpstreamError(error);
  }
}

/** @throws {UpstreamError} `UPSTREAM_REFUSED` with the diagnostic, unless the response is 2.05. */
export function assertContent(response: ClientResponse): void {
  if (response.code === CODE.CONTENT) return;
  const diagnostic = new TextDecoder().decode(response.payload.subarray(0, 200));
  throw new UpstreamError(
    "UPSTREAM_REFUSED",
    `${formatCode(response.code)} ${diagnostic}`.trim(),
    retryAfter(response),
  );
}

/** The pause that a 5.03 asks for (RFC 7252 section 5.9.3.4), within reason, when it does; a farewell of a server that ends asks for none. */
export function retryAfter(response: ClientResponse): { retryAfterMs?: number } {
  const isReported = response.options.some(({ number }) => number === OPTION.MAX_AGE);
  return response.code === CODE.UNAVAILABLE && isReported
    ? { retryAfterMs: Math.min(response.maxAgeS * 1000, LONGEST_RETRY_AFTER_MS) }
    : {};
}

export function toUpstreamError(error: unknown): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof TransportError)) return new UpstreamError("UPSTREAM_UNREACHABLE", message, { cause: error });
  const code =
    error.code === "TIMEOUT" || error.code === "ABORTED"
      ? "UPSTREAM_TIMEOUT"
      : error.code === "RESET"
        ? "UPSTREAM_REFUSED"
        : error.code === "TOO_LARGE"
          ? "UPSTREAM_TOO_LARGE"
          : error.code === "MALFORMED"
            ? "UPSTREAM_UNREADABLE"
            : "UPSTREAM_UNREACHABLE";
  return new UpstreamError(code, message, { cause: error });
}

/** What the feed of an upstream is asked for. */
export function feedScope({ isTier }: Pick<Discovered, "isTier">): FeedScope {
  return isTier ? "all" : "own";
}

/** Whether an RD that offers its feed gives it to this peer: asked for nothing, it has nothing to send. @throws {TransportError} */
export async function isFeedGiven(
  client: CoapClient,
  found: Discovered,
  control: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<boolean> {
  const { endpointLookup: uri } = found;
  const request = {
    method: METHOD.GET,
    uri,
    query: [feedSelector("ep", feedScope(found)), "ep="],
    accept: CONTENT_FORMAT.JSON_PATCH,
  };
  const { code, contentFormat } = await client.request(request, control);
  return code === CODE.CONTENT && contentFormat === CONTENT_FORMAT.JSON_PATCH;
}
