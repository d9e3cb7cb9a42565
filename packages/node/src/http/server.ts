import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "@tributary/runtime";
import { HttpBindError } from "./errors.js";
import type { HttpHandler } from "./router.js";

/** A running HTTP server. */
export interface HttpServer {
  /** With the actual port, e.g. `http://127.0.0.1:8683`. */
  readonly uri: string;
  /** Stops accepting, waits up to `drainMs` for pending responses, then closes all connections. Idempotent. */
  close(drainMs: number): Promise<void>;
}

/** Bytes of the request line and header fields together. */
const MAX_HEADER_BYTES = 8192;
const HEADERS_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_TIMEOUT_MS = 5000;
/** Interval at which the two time-outs of requests are enforced; the default of Node is 30 s. */
const TIMEOUT_CHECK_INTERVAL_MS = 1000;
/** Time-out of a connection without traffic, such as one whose client does not read the response. */
const SILENCE_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 512;

/** Binds and starts an HTTP server. @throws {HttpBindError} when the address cannot be bound. */
export async function startHttpServer(
  deps: { readonly handler: HttpHandler; readonly logger: Logger },
  options: { readonly host: string; readonly port: number },
): Promise<HttpServer> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
    },
    deps.handler,
  );
  server.setTimeout(SILENCE_TIMEOUT_MS);
  server.maxConnections = MAX_CONNECTIONS;
  await bind(server, options);
  server.on("error", (error) => deps.logger.error("HTTP server failed", { error }));
  const { address, port } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    uri: `http://${address.includes(":") ? `[${address}]` : address}:${port}`,
    close(drainMs) {
      closing ??= closeServer(server, drainMs);
      return closing;
    },
  };
}

function bind(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => reject(new HttpBindError(host, port, cause));
    server.once("error", fail);
    server.listen({ host, port }, () => {
      server.off("error", fail);
      resolve();
    });
  });
}

function closeServer(server: Server, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), drainMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
