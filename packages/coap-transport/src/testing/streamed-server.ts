import type { Message, OutgoingMessage } from "../message/message.js";
import { encodeFrame, StreamParser } from "../tcp/framing.js";
import type { StreamLimits } from "../tcp/limits.js";
import type { CoapClient, RequestHandler, TransportCounters, TransportLimits } from "../types.js";
import { openStreamClient, serveStreamsAt } from "./stream-endpoints.js";
import { createVirtualStreams, type VirtualStream, type VirtualStreamsOptions } from "./virtual-streams.js";
import { createVirtualWorld } from "./virtual-world.js";

const AT = { address: "2001:db8::1", port: 5683 };
export const STREAM_URI = "coap+tcp://[2001:db8::1]";

export interface StreamedServerOptions extends VirtualStreamsOptions {
  readonly seed?: number;
  readonly limits?: Partial<TransportLimits>;
  readonly streamLimits?: Partial<StreamLimits>;
  /** Time that the server takes for each message that it receives, ms. Default 0. */
  readonly messageMs?: number;
}

/** A server over virtual streams, with clients and peers that speak by hand. */
export function serveStreams(handler: RequestHandler, options: StreamedServerOptions = {}) {
  const errors: unknown[] = [];
  const world = createVirtualWorld({ seed: options.seed ?? 1 });
  const logger = { ...world.env.logger, error: (text: string, fields?: object) => errors.push([text, fields]) };
  const env = { ...world.env, logger };
  const { messageMs = 0 } = options;
  let spentMs = 0;
  const trace = (_text: string, fields?: { dir?: unknown }) => {
    if (fields?.dir === "in") spentMs += messageMs;
  };
  const busyEnv = {
    ...env,
    clock: { ...world.clock, nowMs: () => world.clock.nowMs() + spentMs },
    logger: { ...logger, trace },
  };
  const streams = createVirtualStreams(world, options);
  const served = serveStreamsAt({ env: messageMs === 0 ? env : busyEnv, streams, handler }, AT, options);
  let ports = 40_000;

  /** `serve`: what the client serves itself. */
  function openClient(
    own: Partial<StreamLimits> = {},
    serve?: RequestHandler,
  ): { client: CoapClient; counters: TransportCounters } {
    const client = openStreamClient(
      { env, streams },
      { address: "2001:db8::c", port: 0 },
      { ...options, streamLimits: own, ...(serve === undefined ? {} : { handler: serve }) },
    );
    return { client, counters: client.counters };
  }

  return {
    ...world,
    env,
    errors,
    streams,
    server: served.server,
    counters: served.counters,
    openClient,
    stop: served.stopListening,
    rawPeer: () => rawPeer(streams, ++ports),
  };
}

/** A peer whose messages are written by hand. */
export interface RawStreamPeer {
  readonly socket: VirtualStream;
  /** What came so far; `take` removes it. */
  take(): Message[];
  send(token: Uint8Array, message: Partial<OutgoingMessage>): void;
}

async function rawPeer(streams: ReturnType<typeof createVirtualStreams>, port: number): Promise<RawStreamPeer> {
  const socket = await streams.connect({ address: "2001:db8::66", port }, AT);
  const parser = new StreamParser({ maxMessageBytes: 10_000_000 });
  const inbox: Message[] = [];
  socket.onBytes = (bytes) => {
    parser.push(bytes);
    for (let next = parser.next(); next !== null && typeof next === "object"; next = parser.next()) {
      inbox.push({ ...next, token: Uint8Array.from(next.token) });
    }
  };
  return {
    socket,
    take: () => inbox.splice(0),
    send: (token, message) =>
      socket.write(encodeFrame(token, { code: 0, options: [], payload: new Uint8Array(), ...message })),
  };
}
