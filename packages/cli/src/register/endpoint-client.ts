import type { Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { type ParsedCoapUri, parseCoapUri, type RequestHandler, TransportError } from "@tributary/coap-transport";
import { type Logger, silentLogger } from "@tributary/runtime";
import { Agent, type CoapRequestParams, type IncomingMessage, type OutgoingMessage } from "coap";
import { AddressesInUse } from "./addresses-in-use.js";
import type { EndpointRequest, EndpointResponse } from "./endpoint-exchange.js";
import { EndpointError } from "./errors.js";
import type { Address, Control } from "./first-response.js";
import { GuardedSocket } from "./guarded-socket.js";
import { SCHEMES } from "./registration-schemes.js";
import { createStreamRequests, type EndpointAccess, type StreamRequests } from "./stream-requests.js";

/** A response to a multicast request, with its source. */
export interface GroupResponse extends EndpointResponse {
  /** IP address of the host that responded. */
  readonly address: string;
  readonly port: number;
}

/** Control of a multicast request. */
export interface GroupControl {
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** The interface to send from, as for `setMulticastInterface`. Default: the system decides. */
  readonly via?: string;
  /** Called with each response when it arrives. */
  readonly onResponse?: (response: GroupResponse) => void;
}

/** The CoAP client of an endpoint, with one socket per address family. */
export interface EndpointClient {
  /**
   * Sends a request to the address of the host that is in use; at first, and after that has failed, to the address that responds
   * first. Repeats the request with the Echo value when the server asks for one (RFC 9175 section 2.3).
   * @throws {EndpointError}
   */
  request(
    request: EndpointRequest,
    control: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<EndpointResponse>;
  /** Sends a GET to a multicast group. Returns the responses of `waitMs` in order; none when sending is impossible. */
  requestGroup(uri: string, control: GroupControl): Promise<GroupResponse[]>;
  /** Closes the sockets. */
  close(): void;
}

interface Channel {
  readonly socket: GuardedSocket;
  readonly agent: Agent;
}

const LINK_FORMAT = 40;
const ECHO = 252;
/** Larger payloads are sent in blocks of this size (RFC 7959). */
const BLOCK_BYTES = 1024;
const BLOCK_SIZE_EXPONENT = 6;
/** Addresses of one name that are tried. */
const MAX_ADDRESSES = 16;
/** Responses to one multicast request that are returned. */
const MAX_GROUP_RESPONSES = 32;

/**
 * Creates a client; sockets are opened when they are needed. `logger` is for packets; `handler` has the requests that come over
 * connections; `access` has the protection of requests.
 */
export function createEndpointClient(
  logger: Logger = silentLogger,
  handler?: RequestHandler,
  access: EndpointAccess = {},
): EndpointClient {
  const channels = new Map<number, Promise<Channel>>();
  const inUse = new AddressesInUse(addressesOf);
  let streams: StreamRequests | null = null;
  const channelFor = (family: number): Promise<Channel> => {
    const known = channels.get(family) ?? openChannel(family, logger);
    channels.set(family, known);
    return known;
  };
  return {
    async request(request, control) {
      const uri = parseUri(request.uri);
      const ask = async (address: Address, each: Control): Promise<EndpointResponse> => {
        if (uri.scheme !== "coap" || access.protect !== undefined) {
          streams ??= createStreamRequests(logger, handler, access);
          return await streams.request(request, address, each);
        }
        const channel = await channelFor(address.family);
        const response = await exchange(channel, uri, address, request, each);
        const echo = response.code === "4.01" ? optionValue(response, ECHO) : undefined;
        const last = echo === undefined ? response : await exchange(channel, uri, address, request, each, echo);
        return readResponse(last);
      };
      return await inUse.request(uri, request, control, ask);
    },
    async requestGroup(text, control) {
      const uri = parseUri(text);
      // The agent counts every response as a finished request, so it cannot be used again.
      const channel = await openChannel(uri.host.includes(":") ? 6 : 4, logger, control.via);
      try {
        return await exchangeWithGroup(channel, uri, control);
      } finally {
        channel.socket.close();
      }
    },
    close() {
      for (const opening of channels.values())
        opening.then(
          ({ socket }) => socket.close(),
          () => {},
        );
      channels.clear();
      streams?.close();
    },
  };
}

async function openChannel(family: number, logger: Logger, via?: string): Promise<Channel> {
  try {
    const socket = await GuardedSocket.open(family === 6 ? "udp6" : "udp4", logger, via);
    const agent = new Agent({ socket: socket as unknown as Socket });
    // Errors of sending reach the request; without a listener they would end the process.
    agent.on("error", () => {});
    return { socket, agent };
  } catch (cause) {
    throw new EndpointError("UNREACHABLE", `no IPv${family} socket`, { cause });
  }
}

function parseUri(text: string): ParsedCoapUri {
  try {
    const uri = parseCoapUri(text);
    if (!SCHEMES.has(uri.scheme)) throw new EndpointError("BAD_URI", `${uri.scheme} is not available yet: ${text}`);
    return uri;
  } catch (error) {
    if (error instanceof TransportError) throw new EndpointError("BAD_URI", error.message, { cause: error });
    throw error;
  }
}

async function addressesOf(uri: ParsedCoapUri): Promise<Address[]> {
  if (uri.hostIsLiteral) {
    const zone = uri.zone === undefined ? "" : `%${uri.zone}`;
    return [{ address: uri.host + zone, family: uri.host.includes(":") ? 6 : 4 }];
  }
  try {
    return (await lookup(uri.host, { all: true })).slice(0, MAX_ADDRESSES);
  } catch (cause) {
    throw new EndpointError("UNREACHABLE", `the name ${uri.host} has no address`, { cause });
  }
}

/** Performs one exchange on a channel, and cleans up in every case. */
function exchange(
  { agent, socket }: Channel,
  uri: ParsedCoapUri,
  { address }: Address,
  request: EndpointRequest,
  { timeoutMs, signal }: Control,
  echo?: Buffer,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new EndpointError("ABORTED", "aborted"));
    const message = agent.request({
      hostname: address,
      port: uri.port,
      method: request.method,
      confirmable: true,
    } satisfies CoapRequestParams);
    const release = socket.expect(address, uri.port);
    let isOver = false;
    const settle = (finish: () => void): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      release();
      finish();
    };
    const fail = (error: EndpointError): void =>
      settle(() => {
        // Stops the retransmissions, which would continue for 247 s.
        agent.abort(message);
        reject(error);
      });
    const abort = (): void => fail(new EndpointError("ABORTED", "aborted"));
    const timer = setTimeout(
      () => fail(new EndpointError("TIMEOUT", `no response within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    signal.addEventListener("abort", abort, { once: true });
    message.on("error", (cause: Error) => fail(new EndpointError("UNREACHABLE", cause.message, { cause })));
    message.on("response", (response: IncomingMessage) => {
      if (response.code === "0.00") settle(() => reject(new EndpointError("RESET", "the message was rejected")));
      else settle(() => resolve(response));
    });
    send(message, uri, request, echo);
  });
}

function send(
  message: OutgoingMessage,
  uri: ParsedCoapUri,
  { query = [], payload, method }: EndpointRequest,
  echo?: Buffer,
): void {
  // RFC 7252 section 6.4: Uri-Host is sent for a name, not for an address.
  if (!uri.hostIsLiteral) message.setOption("Uri-Host", Buffer.from(uri.host));
  if (uri.path.length > 0)
    message.setOption(
      "Uri-Path",
      uri.path.map((segment) => Buffer.from(segment)),
    );
  const items = [...uri.query, ...query];
  if (items.length > 0)
    message.setOption(
      "Uri-Query",
      items.map((item) => Buffer.from(item)),
    );
  if (method === "GET") message.setOption("Accept", LINK_FORMAT);
  if (echo !== undefined) message.setOption(String(ECHO), echo);
  if (payload === undefined || payload === "") {
    message.end();
    return;
  }
  message.setOption("Content-Format", LINK_FORMAT);
  const body = Buffer.from(payload);
  if (body.length > BLOCK_BYTES) message.setOption("Block1", Buffer.of(BLOCK_SIZE_EXPONENT));
  message.end(body);
}

function exchangeWithGroup(
  { agent, socket }: Channel,
  uri: ParsedCoapUri,
  { waitMs, signal, onResponse }: GroupControl,
): Promise<GroupResponse[]> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve([]);
    const responses: GroupResponse[] = [];
    const message = agent.request({
      hostname: uri.host,
      port: uri.port,
      method: "GET",
      multicast: true,
      multicastTimeout: waitMs,
    });
    const release = socket.expectAnybody();
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      release();
      agent.abort(message);
      resolve(responses);
    };
    const timer = setTimeout(finish, waitMs);
    signal.addEventListener("abort", finish, { once: true });
    message.on("error", finish);
    message.on("response", (response: IncomingMessage) => {
      if (responses.length >= MAX_GROUP_RESPONSES || response.code === "0.00") return;
      const { address, port } = response.rsinfo;
      const received = { ...readResponse(response), address, port };
      responses.push(received);
      onResponse?.(received);
    });
    send(message, uri, { method: "GET", uri: "" });
  });
}

function readResponse(response: IncomingMessage): EndpointResponse {
  return {
    code: response.code,
    payload: response.payload,
    locationPath: optionTexts(response, "Location-Path"),
    locationQuery: optionTexts(response, "Location-Query"),
  };
}

/** Returns the options of one name as text; `coap` has decoded them already. */
function optionTexts(response: IncomingMessage, name: string): string[] {
  return (response._packet.options ?? []).filter((option) => option.name === name).map(({ value }) => String(value));
}

function optionValue(response: IncomingMessage, number: number): Buffer | undefined {
  const value = response._packet.options?.find(({ name }) => String(name) === String(number))?.value as unknown;
  return Buffer.isBuffer(value) ? value : undefined;
}
