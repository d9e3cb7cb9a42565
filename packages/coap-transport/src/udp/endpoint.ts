import type { Environment } from "@tributary/runtime";
import { Client } from "../client/coap-client.js";
import { type ChooseProtection, withProtection } from "../client/route.js";
import { TransportError } from "../errors.js";
import type { ParsedCoapUri } from "../message/coap-uri.js";
import { DEFAULT_LIMITS, DEFAULT_PARAMETERS } from "../message/codes.js";
import { createCounters } from "../message/counters.js";
import { parseIpAddress } from "../message/ip-address.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import type {
  CoapClient,
  DatagramSocket,
  Peer,
  RequestHandler,
  TableSizes,
  TransmissionParameters,
  TransportCounters,
  TransportLimits,
} from "../types.js";
import { UdpCore } from "./core.js";

/** Collaborators of `createCoapEndpoint`. */
export interface CoapEndpointDeps {
  /** Owned by the endpoint, and closed with it. */
  readonly socket: DatagramSocket;
  readonly env: Environment;
  /** Resolves a name to an address. Default: only IP literals can be requested. */
  readonly resolve?: (host: string) => Promise<string>;
}

/** Settings of `createCoapEndpoint`. */
export interface CoapEndpointOptions {
  /** Scheme that handlers see. Default `coap`. */
  readonly scheme?: string;
  /** Absent: requests are rejected with RST when confirmable and ignored otherwise. */
  readonly handler?: RequestHandler;
  readonly parameters?: Partial<TransmissionParameters>;
  readonly limits?: Partial<TransportLimits>;
  /** Default: counters of its own. */
  readonly counters?: TransportCounters;
  /** Verifies source addresses before large responses are sent (RFC 9175 section 2.4). Default: they are trusted. */
  readonly guard?: AmplificationGuard | undefined;
  /** Decrypts requests that are protected one by one (RFC 8613). Default: they are refused. */
  readonly protection?: ServerProtection | undefined;
  /** Protects requests to some servers one by one (RFC 8613). Default: none. */
  readonly protect?: ChooseProtection | undefined;
  /**
   * Peers that several confirmable messages may be in transit to, under congestion control; others get one at a time (NSTART, RFC 7252
   * section 4.7). Default: none for a server, all for a client alone, which chooses its peers.
   */
  readonly isConfigured?: ((peer: Peer) => boolean) | undefined;
}

/** Client and server on one socket. */
export interface CoapEndpoint extends CoapClient {
  readonly local: { readonly address: string; readonly port: number };
  readonly counters: TransportCounters;
  /** Number of entries in each table of the message layer. */
  tableSizes(): TableSizes;
  /** Aborts its own requests, ignores new ones of others, and waits for those in progress up to `drainMs` (default 0). Idempotent. */
  close(drainMs?: number): Promise<void>;
}

/** CoAP over one datagram socket (RFC 7252), with observation (RFC 7641) and block-wise transfer (RFC 7959). */
export function createCoapEndpoint(deps: CoapEndpointDeps, options: CoapEndpointOptions = {}): CoapEndpoint {
  const { socket, env } = deps;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const parameters = { ...DEFAULT_PARAMETERS, ...options.parameters };
  const counters = options.counters ?? createCounters();
  const isConfigured = options.isConfigured ?? (() => options.handler === undefined);
  const core = new UdpCore(
    {
      socket,
      env,
      counters,
      guard: options.guard,
      protection: options.protection,
      ...(options.handler === undefined ? {} : { handler: options.handler }),
    },
    { scheme: options.scheme ?? "coap", parameters, limits, isConfigured },
  );
  const connect = async (uri: ParsedCoapUri) => ({
    channel: core.channelTo(await addressOf(uri, deps.resolve), uri.port),
  });
  const client = new Client(
    { env, connect: withProtection(connect, options.protect), counters, onClose: () => {} },
    limits,
  );
  let closing: Promise<void> | null = null;
  const close = async (drainMs: number): Promise<void> => {
    core.stopAccepting();
    await client.close();
    await core.whenIdle(drainMs);
    core.close();
  };
  return {
    local: socket.local,
    counters,
    tableSizes: () => core.tableSizes(),
    request: (request, control) => client.request(request, control),
    observe: (request, listener, control) => client.observe(request, listener, control),
    ping: (uri, control) => client.ping(uri, control),
    close(drainMs = 0) {
      closing ??= close(drainMs);
      return closing;
    },
  };
}

/**
 * The address that a URI names, zone included, in the spelling of sockets.
 * @throws {TransportError} BAD_URI when names cannot be resolved here, UNREACHABLE when this one cannot.
 */
async function addressOf(uri: ParsedCoapUri, resolve?: (host: string) => Promise<string>): Promise<string> {
  if (uri.hostIsLiteral) return uri.zone === undefined ? uri.host : `${uri.host}%${uri.zone}`;
  if (resolve === undefined) throw new TransportError("BAD_URI", `no address for the name ${uri.host}`);
  const resolved = await resolve(uri.host).catch((cause: unknown) => {
    throw new TransportError("UNREACHABLE", `the name ${uri.host} could not be resolved`, { cause });
  });
  const literal = parseIpAddress(resolved);
  if (literal === null) throw new TransportError("UNREACHABLE", `${uri.host} did not resolve to an address`);
  return literal.zone === undefined ? literal.address : `${literal.address}%${literal.zone}`;
}
