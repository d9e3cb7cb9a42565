import type { AmplificationGuard } from "./amplification-guard.js";
import { addressesOf, hostText, openOnAll } from "./bound-addresses.js";
import { type CoapEndpoint, createCoapEndpoint } from "./coap-endpoint.js";
import { parseCoapUri } from "./coap-uri.js";
import { ALL_COAP_NODES } from "./constants.js";
import type { Environment } from "./environment.js";
import { TransportError } from "./errors.js";
import { openUdpSocket } from "./node-udp.js";
import { listenCoapTcp } from "./tcp-listener.js";
import type { StreamLimits } from "./tcp-options.js";
import type {
  CoapListenerHandle,
  DatagramSocket,
  RequestHandler,
  TableSizes,
  TransmissionParameters,
  TransportLimits,
} from "./types.js";
import { createCounters } from "./udp-core.js";

export interface ListenCoapDeps {
  readonly env: Environment;
  readonly handler: RequestHandler;
}

/** Which interfaces to receive multicast on; default all. */
export interface MulticastOptions {
  readonly interface?: string;
}

export interface ListenCoapOptions {
  /** What to bind, e.g. `coap://[::]:5683`, `coap+tcp://localhost`; port 0 for any. A name stands for all its addresses. */
  readonly uri: string;
  readonly parameters?: Partial<TransmissionParameters>;
  /** Per bound address. */
  readonly limits?: Partial<TransportLimits>;
  /** Also receive what is sent to "All CoAP Nodes" (RFC 7252 section 8). Default false. */
  readonly multicast?: boolean | MulticastOptions;
  /** Checks source addresses before large answers go out; several listeners may share one. Default none. */
  readonly guard?: AmplificationGuard | undefined;
  /** Bounds and times of `coap+tcp`. */
  readonly streamLimits?: Partial<StreamLimits>;
}

/**
 * Serve CoAP on every address that the URI stands for, all on one port.
 * @throws {TransportError} BIND_FAILED, BAD_URI.
 */
export async function listenCoap(deps: ListenCoapDeps, options: ListenCoapOptions): Promise<CoapListenerHandle> {
  const uri = parseCoapUri(options.uri);
  if (uri.scheme === "coap+tcp") return await listenCoapTcp(deps, uri, await addressesOf(uri), options);
  if (uri.scheme !== "coap")
    throw new TransportError("BAD_URI", `scheme ${uri.scheme} cannot be served yet: ${options.uri}`);
  const open = (address: string, port: number): Promise<DatagramSocket> =>
    openUdpSocket(address, port, multicastFor(address, options));
  const sockets = await openOnAll(await addressesOf(uri), uri.port, open);
  const counters = createCounters();
  const { parameters = {}, limits = {}, guard } = options;
  const endpoints: CoapEndpoint[] = sockets.map((socket) =>
    createCoapEndpoint({ socket, env: deps.env }, { handler: deps.handler, parameters, limits, counters, guard }),
  );
  return {
    uri: `coap://${hostText(uri)}:${sockets[0]?.local.port ?? uri.port}`,
    counters,
    tableSizes: () => ({
      ...sumOfTables(endpoints.map((endpoint) => endpoint.tableSizes())),
      "verified-peers": guard?.size ?? 0,
    }),
    async close(drainMs = 0) {
      await Promise.all(endpoints.map((endpoint) => endpoint.close(drainMs)));
    },
  };
}

function sumOfTables(parts: readonly TableSizes[]): TableSizes {
  const sum: Record<string, number> = {};
  for (const part of parts) {
    for (const [table, size] of Object.entries(part)) sum[table] = (sum[table] ?? 0) + size;
  }
  return sum;
}

/** The groups that a socket on this address can answer for. */
function multicastFor(address: string, options: ListenCoapOptions) {
  const { multicast = false } = options;
  if (multicast === false) return {};
  const isDual = address === "::";
  const groups = ALL_COAP_NODES.filter((group) => isDual || group.includes(":") === address.includes(":"));
  const name = multicast === true ? undefined : multicast.interface;
  return name === undefined ? { multicastGroups: groups } : { multicastGroups: groups, multicastInterfaces: [name] };
}
