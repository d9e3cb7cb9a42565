import type { Environment } from "@tributary/runtime";
import type { ParsedCoapUri } from "../message/coap-uri.js";
import { DEFAULT_LIMITS } from "../message/codes.js";
import { createCounters } from "../message/counters.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import { DEFAULT_STREAM_LIMITS, type StreamLimits } from "../tcp/limits.js";
import { TcpServer } from "../tcp/server.js";
import type { CoapListenerHandle, RequestHandler, TransportLimits } from "../types.js";
import { hostText, openOnAll } from "./bound-addresses.js";
import { HostInterfaces, type ListInterfaces } from "./host-interfaces.js";
import { listenTcp } from "./tcp-socket.js";

export interface TcpListenerOptions {
  readonly limits?: Partial<TransportLimits>;
  readonly streamLimits?: Partial<StreamLimits>;
  readonly guard?: AmplificationGuard | undefined;
  readonly protection?: ServerProtection | undefined;
}

/**
 * Serve CoAP over TCP on all `addresses`, on one port. Limits hold for all of them together.
 * @throws {TransportError} BIND_FAILED
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
    { scheme: "coap+tcp", limits, streamLimits, ...(isWildcard ? { isAlso } : {}) },
  );
  const open = (address: string, port: number) => listenTcp(address, port, (socket) => server.accept(socket));
  const listeners = await openOnAll(addresses, uri.port, open);
  const close = async (drainMs: number): Promise<void> => {
    server.stopAccepting();
    for (const listener of listeners) listener.close();
    await server.whenIdle(drainMs);
    server.close();
  };
  let closing: Promise<void> | null = null;
  return {
    uri: `coap+tcp://${hostText(uri)}:${listeners[0]?.local.port ?? uri.port}`,
    counters,
    tableSizes: () => server.tableSizes(),
    close(drainMs = 0) {
      closing ??= close(drainMs);
      return closing;
    },
  };
}
