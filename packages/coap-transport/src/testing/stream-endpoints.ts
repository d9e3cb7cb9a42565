import type { Environment } from "@tributary/runtime";
import { Client } from "../client/coap-client.js";
import { TransportError } from "../errors.js";
import type { ParsedCoapUri } from "../message/coap-uri.js";
import { DEFAULT_LIMITS } from "../message/codes.js";
import { createCounters } from "../message/counters.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import { TcpPeers } from "../tcp/client.js";
import { DEFAULT_STREAM_LIMITS, type StreamLimits } from "../tcp/limits.js";
import { TcpServer } from "../tcp/server.js";
import type { SharedConnections } from "../tcp/shared-connections.js";
import type { CoapClient, CoapListenerHandle, RequestHandler, TransportCounters, TransportLimits } from "../types.js";
import type { VirtualStreams } from "./virtual-streams.js";

export interface StreamEndpointDeps {
  readonly env: Environment;
  readonly streams: VirtualStreams;
}

export interface StreamEndpointOptions {
  readonly limits?: Partial<TransportLimits>;
  readonly streamLimits?: Partial<StreamLimits>;
  readonly guard?: AmplificationGuard;
  readonly sharedConnections?: SharedConnections;
  /** Of a client: serves what its peers ask. */
  readonly handler?: RequestHandler;
}

/** Serve CoAP over virtual streams, as `listenCoap` does over those of the system. */
export function serveStreamsAt(
  deps: StreamEndpointDeps & { readonly handler: RequestHandler },
  at: { readonly address: string; readonly port: number },
  options: StreamEndpointOptions = {},
): CoapListenerHandle & { readonly server: TcpServer; stopListening(): void } {
  const { env, handler, streams } = deps;
  const { guard, sharedConnections } = options;
  const counters = createCounters();
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const streamLimits = { ...DEFAULT_STREAM_LIMITS, ...options.streamLimits };
  const server = new TcpServer(
    { env, handler, counters, guard },
    { scheme: "coap+tcp", limits, streamLimits, sharedConnections },
  );
  const stopListening = streams.listen(at, (socket) => server.accept(socket));
  return {
    uri: `coap+tcp://[${at.address}]:${at.port}`,
    server,
    stopListening,
    counters,
    tableSizes: () => server.tableSizes(),
    async close() {
      stopListening();
      server.close();
    },
  };
}

/** A client for `coap+tcp` over virtual streams; port 0 takes another port for each connection. */
export function openStreamClient(
  { env, streams }: StreamEndpointDeps,
  from: { readonly address: string; readonly port: number },
  options: StreamEndpointOptions = {},
): CoapClient & { readonly counters: TransportCounters } {
  const counters = createCounters();
  const connectStream = (address: string, port: number) =>
    streams.connect(from, { address, port }).catch((cause: unknown) => {
      throw new TransportError("UNREACHABLE", `the peer cannot be reached: ${cause}`, { cause });
    });
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const streamLimits = { ...DEFAULT_STREAM_LIMITS, ...options.streamLimits };
  const { handler } = options;
  const service = handler === undefined ? {} : { service: { handler, limits } };
  const peers = new TcpPeers({ env, counters, connectStream, ...service }, streamLimits);
  const connect = async (uri: ParsedCoapUri) => ({ channel: await peers.channelTo(uri.host, uri.port) });
  const client = new Client({ env, connect, schemes: ["coap+tcp"], onClose: () => peers.close() }, limits);
  return Object.assign(client, { counters });
}
