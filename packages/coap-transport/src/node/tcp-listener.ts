import type { Environment } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import type { ParsedCoapUri } from "../message/coap-uri.js";
import { DEFAULT_LIMITS } from "../message/codes.js";
import { createCounters } from "../message/counters.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import { listenTcp } from "../streams/tcp-socket.js";
import { TlsServer, type TlsServerDeps } from "../streams/tls-server.js";
import { DEFAULT_STREAM_LIMITS, type StreamLimits } from "../tcp/limits.js";
import { TcpServer } from "../tcp/server.js";
import type { SharedConnections } from "../tcp/shared-connections.js";
import type { StreamSocket } from "../tcp/stream-socket.js";
import type { CoapListenerHandle, RequestHandler, TlsServerCredentials, TransportLimits } from "../types.js";
import { hostText, openOnAll } from "./bound-addresses.js";
import { HostInterfaces, type ListInterfaces } from "./host-interfaces.js";

export interface TcpListenerOptions {
  readonly limits?: Partial<TransportLimits>;
  readonly streamLimits?: Partial<StreamLimits>;
  readonly guard?: AmplificationGuard | undefined;
  readonly protection?: ServerProtection | undefined;
  readonly tls?: TlsServerCredentials | undefined;
  /** See `ListenCoapOptions`. */
  readonly sharedConnections?: SharedConnections | undefined;
}

/**
 * Serve CoAP over TCP, or TLS over TCP, on all `addresses`, on one port. Limits hold for all of them together.
 * @throws {TransportError} BIND_FAILED, BAD_ARGUMENT
 */
export async function listenCoapTcp(
  deps: {
    readonly env: Environment;
    readonly handler: RequestHandler;
    readonly listInterfaces?: ListInterfaces | undefined;
  },
  uri: ParsedCoapUri,
  addresses: readonly string[],
  options: TcpListenerOptions,
): Promise<CoapListenerHandle> {
  const counters = createCounters();
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const streamLimits = { ...DEFAULT_STREAM_LIMITS, ...options.streamLimits };
  const interfaces = new HostInterfaces(deps.env.clock, deps.listInterfaces);
  const isWildcard = addresses.some((address) => address === "::" || address === "0.0.0.0");
  const isAlso = (address: string): boolean => interfaces.hasAddress(address);
  const server = new TcpServer(
    { ...deps, counters, guard: options.guard, protection: options.protection },
    {
      ...{ scheme: uri.scheme, limits, streamLimits, ...(isWildcard ? { isAlso } : {}) },
      sharedConnections: options.sharedConnections,
    },
  );
  const accept = (socket: StreamSocket): void => server.accept(socket);
  const tls =
    uri.scheme === "coaps+tcp" ? tlsServer({ env: deps.env, counters, accept }, options.tls, streamLimits) : null;
  const open = (address: string, port: number) =>
    tls === null ? listenTcp(address, port, accept) : tls.listen(address, port);
  const listeners = await openOnAll(addresses, uri.port, open);
  const close = async (drainMs: number): Promise<void> => {
    server.stopAccepting();
    tls?.close();
    for (const listener of listeners) listener.close();
    await server.whenIdle(drainMs);
    server.close();
  };
  let closing: Promise<void> | null = null;
  return {
    uri: `${uri.scheme}://${hostText(uri)}:${listeners[0]?.local.port ?? uri.port}`,
    counters,
    tableSizes: () => ({ ...server.tableSizes(), ...(tls === null ? {} : { handshakes: tls.size }) }),
    ...(tls === null ? {} : { replaceTls: (credentials) => tls.replace(credentials) }),
    close(drainMs = 0) {
      closing ??= close(drainMs);
      return closing;
    },
  };
}

function tlsServer(
  deps: TlsServerDeps,
  credentials: TlsServerCredentials | undefined,
  limits: StreamLimits,
): TlsServer {
  if (credentials === undefined)
    throw new TransportError("BAD_ARGUMENT", "coaps+tcp needs a certificate or pre-shared keys");
  return new TlsServer(deps, credentials, limits);
}
