import type { Environment } from "@tributary/runtime";
import { drain } from "@tributary/runtime";
import { createClient } from "../client/coap-client.js";
import { type ChooseProtection, withProtection } from "../client/route.js";
import { TransportError } from "../errors.js";
import type { ParsedCoapUri } from "../message/coap-uri.js";
import { DEFAULT_LIMITS, DEFAULT_PARAMETERS } from "../message/codes.js";
import { parseIpAddress } from "../message/ip-address.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import type {
  CoapClient,
  DatagramSocket,
  RequestHandler,
  TableSizes,
  TransmissionParameters,
  TransportCounters,
  TransportLimits,
} from "../types.js";
import { createCounters, createUdpCore } from "./core.js";

/** Collaborators of `createCoapEndpoint`. */
export interface CoapEndpointDeps {
  /** Taken over: closed with the endpoint. */
  readonly socket: DatagramSocket;
  readonly env: Environment;
  /** The address of a name; without it only IP literals can be asked. */
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
  /** Counters to count into; default: own ones. */
  readonly counters?: TransportCounters;
  /** Checks source addresses before large answers go out (RFC 9175 section 2.4); default: they are taken for true. */
  readonly guard?: AmplificationGuard | undefined;
  /** Decrypts requests that are protected one by one (RFC 8613); default: they are refused. */
  readonly protection?: ServerProtection | undefined;
  /** Protects requests to some servers one by one (RFC 8613). Default: none. */
  readonly protect?: ChooseProtection | undefined;
}

/** Client and server on one socket. */
export interface CoapEndpoint extends CoapClient {
  readonly local: { readonly address: string; readonly port: number };
  readonly counters: TransportCounters;
  /** How much is in each table of the message layer. */
  tableSizes(): TableSizes;
  /** End requests of ours, take no more of others, wait for running ones up to `drainMs` (default 0). Idempotent. */
  close(drainMs?: number): Promise<void>;
}

/** CoAP over one datagram socket (RFC 7252), with observation (RFC 7641) and block-wise transfer (RFC 7959). */
export function createCoapEndpoint(deps: CoapEndpointDeps, options: CoapEndpointOptions = {}): CoapEndpoint {
  const { socket, env } = deps;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const parameters = { ...DEFAULT_PARAMETERS, ...options.parameters };
  const counters = options.counters ?? createCounters();
  const core = createUdpCore(
    {
      socket,
      env,
      counters,
      guard: options.guard,
      protection: options.protection,
      ...(options.handler === undefined ? {} : { handler: options.handler }),
    },
    { scheme: options.scheme ?? "coap", parameters, limits },
  );
  const connect = async (uri: ParsedCoapUri) => ({
    channel: core.channelTo(await addressOf(uri, deps.resolve), uri.port),
  });
  const client = createClient({ env, connect: withProtection(connect, options.protect), onClose: () => {} }, limits);
  let closing: Promise<void> | null = null;
  const close = async (drainMs: number): Promise<void> => {
    core.stopAccepting();
    await client.close();
    await drain(env, () => core.isServerIdle, drainMs);
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
