import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "@tributary/runtime";
import { createHostCheck } from "./host-check.js";

/** A request, as passed to routes. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD";
  readonly query: URLSearchParams;
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

/**
 * Creates a handler that dispatches requests by path. Unknown paths get 404, other methods 405, hosts not in `names` 421 (RFC 9110
 * sections 15.5.6 and 15.5.20), and errors 500, all with a JSON body.
 */
export function createRouter(
  deps: { readonly logger: Logger },
  routes: readonly Route[],
  options: { readonly names: readonly string[] } = { names: [] },
): HttpHandler {
  const byPath = new Map(routes.map((route) => [route.path, route]));
  const isForThisNode = createHostCheck(options.names);
  return (request, response) => {
    // No route takes a body; it is read and dropped.
    request.resume();
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Cache-Control", "no-store");
    const target = parseTarget(request.url ?? "");
    const route = target === null ? undefined : byPath.get(target.pathname);
    const { method } = request;
    if (!isForThisNode(request.headers.host))
      sendError(response, 421, "this node has another name; its names are listed under http-names");
    else if (target === null) sendError(response, 400, "the request target is malformed");
    else if (route === undefined) sendError(response, 404, `there is nothing at ${target.pathname}`);
    else if (method !== "GET" && method !== "HEAD") {
      response.setHeader("Allow", ALLOWED);
      sendError(response, 405, `use ${ALLOWED} here`);
    } else
      void run(route, { method, query: target.searchParams, signal: closeSignal(response) }, response, deps.logger);
  };
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
