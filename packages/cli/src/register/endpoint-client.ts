import type { Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { type ParsedCoapUri, parseCoapUri, TransportError } from "@tributary/coap-transport";
import { Agent, type CoapRequestParams, type IncomingMessage, type OutgoingMessage } from "coap";
import { AddressesInUse } from "./addresses-in-use.js";
import type { EndpointRequest, EndpointResponse } from "./endpoint-exchange.js";
import { EndpointError } from "./errors.js";
import type { Address, Control } from "./first-answer.js";
import { GuardedSocket } from "./guarded-socket.js";
import { createStreamRequests, type StreamRequests } from "./stream-requests.js";

/** An answer to a multicast request, and where it came from. */
export interface GroupResponse extends EndpointResponse {
  /** Origin of the host that answered, e.g. `coap://192.0.2.7`. */
  readonly address: string;
  readonly port: number;
}

export interface GroupControl {
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** The interface to send from, as `setMulticastInterface` of sockets wants it. Default: the system decides. */
  readonly via?: string;
  /** Called with each answer as it comes. */
  readonly onAnswer?: (answer: GroupResponse) => void;
}

/** Requests as a small endpoint makes them, all from one socket per address family. */
export interface EndpointClient {
  /**
   * One request to the address of the host that is in use; at first, and after that has failed, to whichever of its addresses
   * answers first. An Echo challenge (RFC 9175 section 2.3) is answered.
   * @throws {EndpointError}
   */
  request(
    request: EndpointRequest,
    control: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<EndpointResponse>;
  /** GET from a multicast group; every answer that came within `waitMs`, in order. Empty when sending is impossible. */
  requestGroup(uri: string, control: GroupControl): Promise<GroupResponse[]>;
  close(): void;
}

interface Channel {
  readonly socket: GuardedSocket;
  readonly agent: Agent;
}

const LINK_FORMAT = 40;
const ECHO = 252;
/** Payloads beyond this go in blocks of this size (RFC 7959). */
const BLOCK_BYTES = 1024;
const BLOCK_SIZE_EXPONENT = 6;
/** Addresses of one name that are asked. */
const MAX_ADDRESSES = 16;
/** Answers to one multicast request that are kept. */
const MAX_GROUP_ANSWERS = 32;

export function createEndpointClient(): EndpointClient {
  const channels = new Map<number, Promise<Channel>>();
  const inUse = new AddressesInUse(addressesOf);
  let streams: StreamRequests | null = null;
  const channelFor = (family: number): Promise<Channel> => {
    const known = channels.get(family) ?? openChannel(family);
    channels.set(family, known);
    return known;
  };
  return {
    async request(request, control) {
      const uri = parseUri(request.uri);
      const ask = async (address: Address, each: Control): Promise<EndpointResponse> => {
        if (uri.scheme === "coap+tcp") {
          streams ??= createStreamRequests();
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
      // The agent counts every answer as a request that is done: afterwards it is good for nothing else.
      const channel = await openChannel(uri.host.includes(":") ? 6 : 4, control.via);
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

async function openChannel(family: number, via?: string): Promise<Channel> {
  try {
    const socket = await GuardedSocket.open(family === 6 ? "udp6" : "udp4", via);
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
    if (uri.scheme !== "coap" && uri.scheme !== "coap+tcp")
      throw new EndpointError("BAD_URI", `${uri.scheme} is not available yet: ${text}`);
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

/** One request and its response on one channel, cleaned up whatever happens. */
function exchange(
  { agent, socket }: Channel,
  uri: ParsedCoapUri,
  { address }: Address,
  request: EndpointRequest,
  { timeoutMs, signal }: Control,
  echo?: Buffer,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new EndpointError("ABORTED", "given up"));
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
      signal.removeEventListener("abort", giveUp);
      release();
      finish();
    };
    const fail = (error: EndpointError): void =>
      settle(() => {
        // Ends the retransmissions, which would go on for 247 s.
        agent.abort(message);
        reject(error);
      });
    const giveUp = (): void => fail(new EndpointError("ABORTED", "given up"));
    const timer = setTimeout(
      () => fail(new EndpointError("TIMEOUT", `no answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    signal.addEventListener("abort", giveUp, { once: true });
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
  // RFC 7252 section 6.4: a name goes along, an address does not.
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
  { waitMs, signal, onAnswer }: GroupControl,
): Promise<GroupResponse[]> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve([]);
    const answers: GroupResponse[] = [];
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
      resolve(answers);
    };
    const timer = setTimeout(finish, waitMs);
    signal.addEventListener("abort", finish, { once: true });
    message.on("error", finish);
    message.on("response", (response: IncomingMessage) => {
      if (answers.length >= MAX_GROUP_ANSWERS || response.code === "0.00") return;
      const { address, port } = response.rsinfo;
      const answer = { ...readResponse(response), address, port };
      answers.push(answer);
      onAnswer?.(answer);
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

/** Options of one name as text; `coap` has decoded them already. */
function optionTexts(response: IncomingMessage, name: string): string[] {
  return (response._packet.options ?? []).filter((option) => option.name === name).map(({ value }) => String(value));
}

function optionValue(response: IncomingMessage, number: number): Buffer | undefined {
  const value = response._packet.options?.find(({ name }) => String(name) === String(number))?.value as unknown;
  return Buffer.isBuffer(value) ? value : undefined;
}
