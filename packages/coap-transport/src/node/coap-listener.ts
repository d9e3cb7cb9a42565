import type { Environment } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { parseCoapUri } from "../message/coap-uri.js";
import { ALL_COAP_NODES, ALL_HOSTS, ALL_RESOURCE_DIRECTORIES } from "../message/codes.js";
import { createCounters } from "../message/counters.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import type { StreamLimits } from "../tcp/limits.js";
import type { SharedConnections } from "../tcp/shared-connections.js";
import type {
  CoapListenerHandle,
  DatagramSocket,
  Peer,
  RequestHandler,
  TableSizes,
  TlsServerCredentials,
  TransmissionParameters,
  TransportLimits,
} from "../types.js";
import { type CoapEndpoint, createCoapEndpoint } from "../udp/endpoint.js";
import { addressesOf, hostText, openOnAll } from "./bound-addresses.js";
import { HostInterfaces, type ListInterfaces } from "./host-interfaces.js";
import { listenCoapTcp } from "./tcp-listener.js";
import { openHostSocket, openUdpSocket } from "./udp-socket.js";

/** Collaborators of `listenCoap`. */
export interface ListenCoapDeps {
  readonly env: Environment;
  readonly handler: RequestHandler;
  /** Lists the interfaces of this host. Default: the system does. */
  readonly listInterfaces?: ListInterfaces;
}

/** Which interfaces to receive multicast on; default all. */
export interface MulticastOptions {
  readonly interface?: string;
}

/** Settings of `listenCoap`. */
export interface ListenCoapOptions {
  /** What to bind, e.g. `coap://[::]:5683`, `coap+tcp://localhost`, `coaps+tcp://[::]`; port 0 for any. A name stands for all its addresses. */
  readonly uri: string;
  readonly parameters?: Partial<TransmissionParameters>;
  /** Per bound address. */
  readonly limits?: Partial<TransportLimits>;
  /** Also receive what is sent to all CoAP nodes and all RDs (RFC 7252 section 8, RFC 9176 section 9.5). Default false. */
  readonly multicast?: boolean | MulticastOptions;
  /** Verifies source addresses before large responses are sent; listeners may share it. Default: none. */
  readonly guard?: AmplificationGuard | undefined;
  /** Decrypts requests that are protected one by one (RFC 8613). Default: they are refused, or relayed. */
  readonly protection?: ServerProtection | undefined;
  /** See `CoapEndpointOptions`. */
  readonly isConfigured?: (peer: Peer) => boolean;
  /** Bounds and times of `coap+tcp` and `coaps+tcp`. */
  readonly streamLimits?: Partial<StreamLimits>;
  /** Places that connections take beside those of this listener; listeners may share it. Default: none. */
  readonly sharedConnections?: SharedConnections | undefined;
  /** Credentials of `coaps+tcp`, which cannot be served without. */
  readonly tls?: TlsServerCredentials | undefined;
}

/**
 * Serve CoAP on every address that the URI stands for, all on one port.
 * @throws {TransportError} BIND_FAILED, BAD_URI, BAD_ARGUMENT.
 */
export async function listenCoap(deps: ListenCoapDeps, options: ListenCoapOptions): Promise<CoapListenerHandle> {
  const uri = parseCoapUri(options.uri);
  if (uri.scheme === "coap+tcp" || uri.scheme === "coaps+tcp")
    return await listenCoapTcp(deps, uri, await addressesOf(uri), options);
  if (uri.scheme !== "coap")
    throw new TransportError("BAD_URI", `scheme ${uri.scheme} cannot be served yet: ${options.uri}`);
  const interfaces = new HostInterfaces(deps.env.clock, deps.listInterfaces);
  const open = (address: string, port: number): Promise<DatagramSocket> => {
    const groups = groupsFor(address, options);
    return groups === null
      ? openUdpSocket(address, port)
      : openHostSocket({ env: deps.env, interfaces }, address, port, groups);
  };
  const sockets = await openOnAll(await addressesOf(uri), uri.port, open);
  const counters = createCounters();
  const { parameters = {}, limits = {}, guard, protection, isConfigured } = options;
  const endpoints: CoapEndpoint[] = sockets.map((socket) =>
    createCoapEndpoint(
      { socket, env: deps.env },
      { handler: deps.handler, parameters, limits, counters, guard, protection, isConfigured },
    ),
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

/** The groups that a listener on this address belongs to, and those that are no concern of its unicast socket; null: none. */
function groupsFor(address: string, options: ListenCoapOptions) {
  const { multicast = false } = options;
  const isWildcard = address === "::" || address === "0.0.0.0";
  if (multicast === false && !isWildcard) return null;
  const isReachable = (group: string): boolean => address === "::" || group.includes(":") === address.includes(":");
  const discovery = [...ALL_COAP_NODES, ...ALL_RESOURCE_DIRECTORIES].filter(isReachable);
  const hosts = isWildcard ? ALL_HOSTS.filter(isReachable) : [];
  const name = multicast === true || multicast === false ? undefined : multicast.interface;
  return {
    groups: multicast === false ? hosts : [...discovery, ...hosts],
    refusedGroups: isWildcard ? [...discovery, ...hosts] : [],
    multicastInterfaces: name === undefined ? undefined : [name],
  };
}
