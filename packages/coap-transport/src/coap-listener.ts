import { lookup } from "node:dns/promises";
import type { AmplificationGuard } from "./amplification-guard.js";
import { type CoapEndpoint, createCoapEndpoint } from "./coap-endpoint.js";
import { type ParsedCoapUri, parseCoapUri } from "./coap-uri.js";
import { ALL_COAP_NODES } from "./constants.js";
import type { Environment } from "./environment.js";
import { TransportError } from "./errors.js";
import { openUdpSocket } from "./node-udp.js";
import type {
  CoapListener,
  DatagramSocket,
  RequestHandler,
  TableSizes,
  TransmissionParameters,
  TransportCounters,
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
  /** What to bind, e.g. `coap://[::]:5683`, `coap://localhost`; port 0 for any. A name stands for all its addresses. */
  readonly uri: string;
  readonly parameters?: Partial<TransmissionParameters>;
  /** Per bound address. */
  readonly limits?: Partial<TransportLimits>;
  /** Also receive what is sent to "All CoAP Nodes" (RFC 7252 section 8). Default false. */
  readonly multicast?: boolean | MulticastOptions;
  /** Checks source addresses before large answers go out; several listeners may share one. Default none. */
  readonly guard?: AmplificationGuard | undefined;
}

/** A listener with what it counted over all its addresses. */
export interface CoapListenerHandle extends CoapListener {
  readonly counters: TransportCounters;
  /** How much is in each table, summed over its addresses; verified peers are those of the guard. */
  tableSizes(): TableSizes;
}

/** Another port is tried so often when port 0 gave one that is free on some of the addresses only. */
const MAX_PORT_ATTEMPTS = 8;

/**
 * Serve CoAP on every address that the URI stands for, all on one port.
 * @throws {TransportError} BIND_FAILED, BAD_URI.
 */
export async function listenCoap(deps: ListenCoapDeps, options: ListenCoapOptions): Promise<CoapListenerHandle> {
  const uri = parseCoapUri(options.uri);
  if (uri.scheme !== "coap")
    throw new TransportError("BAD_URI", `scheme ${uri.scheme} cannot be served yet: ${options.uri}`);
  const sockets = await openAll(await addressesOf(uri), uri.port, options);
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

function hostText({ host, zone }: ParsedCoapUri): string {
  if (!host.includes(":")) return host;
  return zone === undefined ? `[${host}]` : `[${host}%25${zone}]`;
}

async function addressesOf(uri: ParsedCoapUri): Promise<string[]> {
  if (uri.hostIsLiteral) return [uri.zone === undefined ? uri.host : `${uri.host}%${uri.zone}`];
  // Whatever the resolver is set up to say, this name means loopback, both families (RFC 6761 section 6.3).
  if (uri.host === "localhost") return ["127.0.0.1", "::1"];
  try {
    const found = await lookup(uri.host, { all: true });
    return [...new Set(found.map((entry) => entry.address))];
  } catch (cause) {
    throw new TransportError("BIND_FAILED", `the name ${uri.host} has no address`, { cause });
  }
}

async function openAll(
  addresses: readonly string[],
  port: number,
  options: ListenCoapOptions,
): Promise<DatagramSocket[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openOnce(addresses, port, options);
    } catch (error) {
      if (port !== 0 || addresses.length === 1 || attempt === MAX_PORT_ATTEMPTS) throw error;
    }
  }
}

/** All or nothing, but for addresses of a name that this machine does not have, such as `::1` without IPv6. */
async function openOnce(
  addresses: readonly string[],
  port: number,
  options: ListenCoapOptions,
): Promise<DatagramSocket[]> {
  const sockets: DatagramSocket[] = [];
  let missing: unknown;
  try {
    for (const address of addresses) {
      try {
        sockets.push(await openUdpSocket(address, sockets[0]?.local.port ?? port, multicastFor(address, options)));
      } catch (error) {
        if (!isMissingAddress(error)) throw error;
        missing = error;
      }
    }
    if (sockets.length === 0) throw missing;
    return sockets;
  } catch (error) {
    for (const socket of sockets) socket.close();
    throw error;
  }
}

function isMissingAddress(error: unknown): boolean {
  const cause = error instanceof TransportError ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
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
