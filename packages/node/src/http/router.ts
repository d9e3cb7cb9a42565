import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "@tributary/runtime";
import { createHostCheck } from "./host-check.js";

/** A request, as passed to routes. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD";
  readonly query: URLSearchParams;
  /** The query as it was sent, with its question mark; empty without a query. */
  readonly search: string;
  readonly headers: IncomingHttpHeaders;
  /** The client; the address is an IP literal without brackets. */
  readonly remote: { readonly address: string; readonly port: number };
  /** The address that it connected to. */
  readonly local: { readonly address: string };
  /** Aborted when the client closes the connection. */
  readonly signal: AbortSignal;
}

/** A route: the handler of GET and HEAD for one path. */
export interface Route {
  readonly path: string;
  handle(request: HttpRequest, response: ServerResponse): void | Promise<void>;
}

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Longest request target, characters. */
const MAX_TARGET_LENGTH = 4096;
const ALLOWED = "GET, HEAD";
/** Response fields that scripts of other origins may read. */
const EXPOSED = "ETag, Link, Tributary-Partial";
/** Time for which a browser may remember that it may send requests, s. */
const PREFLIGHT_MAX_AGE_S = 600;

/** Settings of `createRouter`. */
export interface RouterOptions {
  /** Names besides IP addresses and `localhost` that a Host field may have. */
  readonly names: readonly string[];
  /** Origins whose scripts may read the responses; `*`: all. */
  readonly origins?: readonly string[];
}

/**
 * Creates a handler that dispatches requests by path. Unknown paths get 404, other methods 405, hosts not in `names` 421 (RFC 9110
 * sections 15.5.6 and 15.5.20), and errors 500, all with a JSON body.
 */
export function createRouter(
  deps: { readonly logger: Logger },
  routes: readonly Route[],
  options: RouterOptions = { names: [] },
): HttpHandler {
  const byPath = new Map(routes.map((route) => [route.path, route]));
  const isForThisNode = createHostCheck(options.names);
  return (request, response) => {
    // No route takes a body; it is read and dropped.
    request.resume();
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Cache-Control", "no-store");
    const isShared = allowOrigin(request, response, options.origins ?? []);
    const target = parseTarget(request.url ?? "");
    const route = target === null ? undefined : byPath.get(target.pathname);
    const { method } = request;
    if (!isForThisNode(request.headers.host))
      sendError(response, 421, "this node has another name; its names are listed under http-names");
    else if (target === null) sendError(response, 400, "the request target is malformed");
    else if (route === undefined) sendError(response, 404, `there is nothing at ${target.pathname}`);
    else if (method === "OPTIONS" && isShared) sendPreflight(response);
    else if (method !== "GET" && method !== "HEAD") {
      response.setHeader("Allow", ALLOWED);
      sendError(response, 405, `use ${ALLOWED} here`);
    } else {
      const { searchParams: query, search } = target;
      const { headers, socket } = request;
      const remote = { address: plainAddress(socket.remoteAddress), port: socket.remotePort ?? 0 };
      const local = { address: plainAddress(socket.localAddress) };
      const signal = closeSignal(response);
      void run(route, { method, query, search, headers, remote, local, signal }, response, deps.logger);
    }
  };
}

/** An IPv4-mapped address as IPv4, any other without its zone; a connection that is closed already has none. */
function plainAddress(address = "::"): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
}

/** Says whether scripts of another origin may read the response (the CORS protocol of the Fetch standard). */
function allowOrigin(request: IncomingMessage, response: ServerResponse, origins: readonly string[]): boolean {
  if (origins.length === 0) return false;
  const { origin } = request.headers;
  const isAny = origins.includes("*");
  if (!isAny) response.setHeader("Vary", "Origin");
  if (origin === undefined || !(isAny || origins.includes(origin))) return false;
  response.setHeader("Access-Control-Allow-Origin", isAny ? "*" : origin);
  response.setHeader("Access-Control-Expose-Headers", EXPOSED);
  return true;
}

function sendPreflight(response: ServerResponse): void {
  response.setHeader("Access-Control-Allow-Methods", ALLOWED);
  response.setHeader("Access-Control-Allow-Headers", "If-None-Match");
  response.setHeader("Access-Control-Max-Age", PREFLIGHT_MAX_AGE_S);
  response.writeHead(204).end();
}

function parseTarget(target: string): URL | null {
  if (!target.startsWith("/") || target.length > MAX_TARGET_LENGTH) return null;
  const text = `http://node${target}`;
  return URL.canParse(text) ? new URL(text) : null;
}

function closeSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => controller.abort());
  return controller.signal;
}

async function run(route: Route, request: HttpRequest, response: ServerResponse, logger: Logger): Promise<void> {
  try {
    await route.handle(request, response);
  } catch (error) {
    if (request.signal.aborted) return;
    logger.error("HTTP request failed", { path: route.path, error });
    // A body that has begun can only be marked as incomplete by closing the connection.
    if (response.headersSent) response.destroy();
    else sendError(response, 500, "internal error; see the log of the node");
  }
}

/** Sends a JSON value. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, "application/json; charset=utf-8", `${JSON.stringify(value, null, 2)}\n`);
}

/** Sends an error message as a JSON object. */
export function sendError(response: ServerResponse, status: number, message: string): void {
  sendJson(response, status, { error: message });
}

/** Sends a text of the given media type. Node omits the body for HEAD. */
export function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}
