import type { ServerResponse as HttpResponse } from "node:http";
import { CODE, type ServerResponse } from "@tributary/coap-transport";
import Negotiator from "negotiator";
import pLimit from "p-limit";
import { GATEWAY_FORMAT, type GatewayLookups, GatewayRequest } from "../composition/gateway-lookups.js";
import { isHeld } from "./entity-tags.js";
import { ownAuthority } from "./own-authority.js";
import { type HttpRequest, type Route, sendError } from "./router.js";

/** Collaborators of the routes for lookups. */
export interface LookupRoutesDeps {
  readonly lookups: GatewayLookups;
  /** URIs of the CoAP listeners, with their real ports. */
  readonly listening: () => readonly string[];
}

/** Lookups without `count`, or with a large one, that are written at once: each may take as much memory as a whole directory. */
const BROAD_LOOKUPS = 4;
/** Largest `count` of a lookup that does not wait for others. */
const SMALL_PAGE = 1000;
/** Max-Age of a CoAP response without that option, s (RFC 7252 section 5.10.5). */
const DEFAULT_MAX_AGE_S = 60;

/** Media types in the order in which they are offered, and what they are made of. */
const MEDIA_TYPES: ReadonlyMap<string, number> = new Map<string, number>([
  ["application/link-format", GATEWAY_FORMAT.LINK_FORMAT],
  // RFC 9264 section 4.1: the same syntax in UTF-8.
  ["application/linkset", GATEWAY_FORMAT.LINK_FORMAT],
  ["application/linkset+json", GATEWAY_FORMAT.LINKSET_JSON],
  ["application/json", GATEWAY_FORMAT.JSON],
]);

/** HTTP status codes of responses that have another one than their class has (RFC 8075 section 7). */
const STATUS: ReadonlyMap<number, number> = new Map<number, number>([
  [CODE.FORBIDDEN, 403],
  [CODE.NOT_FOUND, 404],
  [CODE.NOT_ACCEPTABLE, 406],
  [CODE.UNAVAILABLE, 503],
  [CODE.GATEWAY_TIMEOUT, 504],
]);

/** Creates the routes of endpoint and resource lookups, at the paths that they have over CoAP. */
export function lookupRoutes(deps: LookupRoutesDeps): Route[] {
  const broad = pLimit(BROAD_LOOKUPS);
  return (["ep", "res"] as const).map((kind) => ({
    path: `/rd-lookup/${kind}`,
    async handle(request, response) {
      response.appendHeader("Vary", "Accept");
      const type = new Negotiator({ headers: { accept: request.headers.accept } }).mediaType([...MEDIA_TYPES.keys()]);
      const format = MEDIA_TYPES.get(type ?? "");
      const query = queryItems(request.search);
      if (type === undefined || format === undefined)
        sendError(response, 406, `lookups are offered as ${[...MEDIA_TYPES.keys()].join(", ")}`);
      else if (query === null) sendError(response, 400, "the query has a malformed percent-encoding");
      else {
        const asked = gatewayRequest(request, query, format, deps.listening());
        const perform = async (): Promise<void> => {
          if (request.signal.aborted) return;
          sendResult(request, response, { asked, type, found: await deps.lookups[kind](asked) });
        };
        await (isSmallPage(query) ? perform() : broad(perform));
      }
    },
  }));
}

/** Percent-decoded query items; null where one is malformed. A plus sign is a plus sign, as in CoAP (RFC 7252 section 6.4). */
function queryItems(search: string): string[] | null {
  try {
    return search
      .slice(1)
      .split("&")
      .filter((item) => item !== "")
      .map(decodeURIComponent);
  } catch {
    return null;
  }
}

function countOf(query: readonly string[]): number | undefined {
  const text = query.find((item) => item.startsWith("count="))?.slice("count=".length);
  return text === undefined ? undefined : Number(text);
}

function isSmallPage(query: readonly string[]): boolean {
  return (countOf(query) ?? Number.POSITIVE_INFINITY) <= SMALL_PAGE;
}

function gatewayRequest(
  { remote, local }: HttpRequest,
  query: readonly string[],
  accept: number,
  listening: readonly string[],
): GatewayRequest {
  const peer = { key: `http ${remote.address} ${remote.port}`, transport: "tcp", ...remote } as const;
  const own = ownAuthority(listening, local.address);
  return new GatewayRequest({ query, accept, peer, authority: own.authority }, own.local);
}

interface Found {
  readonly asked: GatewayRequest;
  readonly type: string;
  readonly found: ServerResponse;
}

function sendResult(request: HttpRequest, response: HttpResponse, { asked, type, found }: Found): void {
  const { code, etag, maxAgeS = DEFAULT_MAX_AGE_S, payload = new Uint8Array() } = found;
  if (code !== CODE.CONTENT) {
    if (code === CODE.UNAVAILABLE) response.setHeader("Retry-After", maxAgeS);
    response.setHeader("Cache-Control", "no-store");
    sendError(response, STATUS.get(code) ?? (code >> 5 === 4 ? 400 : 500), Buffer.from(payload).toString());
    return;
  }
  const tag = `"${Buffer.from(etag ?? []).toString("hex")}"`;
  response.setHeader("ETag", tag);
  response.setHeader("Cache-Control", `max-age=${maxAgeS}`);
  if (asked.missing.length > 0) response.setHeader("Tributary-Partial", asked.missing.map(quoted).join(", "));
  const links = pageLinks(asked);
  if (links.length > 0) response.setHeader("Link", links.join(", "));
  if (isHeld(request.headers["if-none-match"], tag)) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, { "Content-Type": type, "Content-Length": payload.length });
  response.end(payload);
}

/** A string of a structured field (RFC 9651 section 3.3.3). Other characters than ASCII do not fit and are written as "?". */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "\\$&")}"`;
}

/** Neighbouring pages (RFC 8288). Whether a full page is the last one is known only once the next one is asked for. */
function pageLinks({ query, links }: GatewayRequest): string[] {
  const count = countOf(query);
  if (count === undefined) return [];
  const page = Number(query.find((item) => item.startsWith("page="))?.slice("page=".length) ?? 0);
  const others = query.filter((item) => !item.startsWith("page="));
  const at = (number: number, relation: string): string =>
    `<?${[...others, `page=${number}`].map(encodeItem).join("&")}>; rel="${relation}"`;
  return [
    ...(page > 0 ? [at(0, "first"), at(page - 1, "prev")] : []),
    ...(count > 0 && links >= count ? [at(page + 1, "next")] : []),
  ];
}

/** The first equals sign separates, all others are part of the value. */
function encodeItem(item: string): string {
  return encodeURIComponent(item).replace("%3D", "=");
}
