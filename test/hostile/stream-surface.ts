import { CODE, CONTENT_FORMAT, encodeFrame, METHOD, StreamParser } from "@tributary/coap-transport";
import { createVirtualStreams, type VirtualStream, type VirtualStreams } from "@tributary/coap-transport/testing";
import type { Chance } from "./chance.ts";
import { mutateMessage, writeRough } from "./coap-messages.ts";
import { validMessage } from "./datagram-surface.ts";
import { cuttings, Finding, type Surface, type Target } from "./surface.ts";
import {
  assertAtRest,
  openVirtualNode,
  settled,
  type VirtualNode,
  type WatchedWorld,
  watchedWorld,
} from "./virtual-node.ts";

/** What one of several hostile peers does next with its connection, which is replaced when it has ended. */
export interface HostileStep {
  readonly peer: number;
  readonly bytes: Uint8Array;
  /** Afterwards: go on · read nothing more · read again · end in order · be gone. */
  readonly end: "go-on" | "pause" | "resume" | "end" | "reset";
  readonly waitMs: number;
}

const NODE = { address: "2001:db8::1", port: 5683 };
const PEERS = 6;
const LIMITS = {
  registrations: 200,
  "registration-bytes": 2048,
  observers: 6,
  exchanges: 12,
  transfers: 5,
  "verified-peers": 8,
  connections: 5,
  "connections-per-address": 4,
  "message-bytes": 4096,
  "queue-bytes": 65_536,
  "connection-requests": 3,
};
const CONFIG = JSON.stringify({
  name: "attacked",
  listen: [`coap+tcp://[${NODE.address}]`],
  http: false,
  lookup: { upstreams: [] },
  registration: { replicas: ["any"] },
  limits: LIMITS,
});
/** More than a queue and the answers to the requests of one connection is never waiting. */
const MOST_QUEUED = LIMITS["queue-bytes"] + (LIMITS["connection-requests"] + LIMITS.observers) * 70_000;
const REST: Readonly<Record<string, number>> = {
  connections: 0,
  "verified-peers": 0,
  live: LIMITS.registrations,
};
const REST_MS = 3_600_000;
/** A CSM: 64 KiB, blocks. */
const GREETING = encodeFrame(new Uint8Array(), {
  code: 225,
  options: [
    { number: 2, value: Uint8Array.of(1, 0, 0) },
    { number: 4, value: new Uint8Array() },
  ],
  payload: new Uint8Array(),
});
/** Signals: CSM, Ping, Pong, Release, Abort, unknown. */
const SIGNALS = [225, 225, 225, 226, 226, 227, 228, 229, 230] as const;

export const streamSurface: Surface<HostileStep> = {
  name: "streams",
  share: 20,
  make: makeStep,
  open: () => AttackedNode.open(),
  show: ({ peer, bytes, end, waitMs }) =>
    `${Buffer.from(bytes).toString("hex")} from peer ${peer}, then ${end}, then ${waitMs} ms`,
  *simpler(input) {
    if (input.end !== "go-on") yield { ...input, end: "go-on" };
    if (input.waitMs > 1) yield { ...input, waitMs: 1 };
    const join = (head: Uint8Array, tail: Uint8Array) => Uint8Array.of(...head, ...tail);
    for (const bytes of cuttings(input.bytes, join)) yield { ...input, bytes };
  },
};

function makeStep(chance: Chance): HostileStep {
  return {
    peer: chance.below(PEERS),
    bytes: Uint8Array.from(Buffer.concat(Array.from({ length: 1 + chance.below(3) }, () => makeBytes(chance)))),
    end: chance.is(0.85) ? "go-on" : chance.pick(["pause", "resume", "end", "reset"]),
    waitMs: chance.is(0.97) ? 1 : chance.is(0.9) ? chance.pick([10, 200, 3000]) : 100_000,
  };
}

function makeBytes(chance: Chance): Uint8Array {
  if (chance.is(0.05)) return chance.bytes(chance.below(40));
  if (chance.is(0.2)) return signal(chance);
  const message = chance.is(0.6) ? validMessage(chance) : mutateMessage(chance, validMessage(chance));
  const datagram = writeRough(message);
  const tokenLength = Math.min((datagram[0] ?? 0) & 15, 8);
  const rest = datagram.subarray(4);
  const length = Math.max(0, rest.length - tokenLength);
  // Lengths that lie shift everything behind them.
  const claimedLength = chance.is(0.03) ? chance.below(70_000) : length;
  return Buffer.concat([lengthHeader(claimedLength, tokenLength), Uint8Array.of(datagram[1] ?? 0), rest]);
}

function signal(chance: Chance): Uint8Array {
  const options = chance.is(0.5) ? [{ number: chance.below(6), value: chance.bytes(chance.below(5)) }] : [];
  return encodeFrame(chance.bytes(chance.below(9)), { code: chance.pick(SIGNALS), options, payload: new Uint8Array() });
}

function lengthHeader(length: number, tokenLength: number): Uint8Array {
  if (length < 13) return Uint8Array.of((length << 4) | tokenLength);
  if (length < 269) return Uint8Array.of(0xd0 | tokenLength, length - 13);
  const rest = Math.min(65_535, length - 269);
  return Uint8Array.of(0xe0 | tokenLength, rest >> 8, rest & 255);
}

class AttackedNode implements Target<HostileStep> {
  readonly #world: WatchedWorld;
  readonly #streams: VirtualStreams;
  readonly #node: VirtualNode;
  readonly #peers: (VirtualStream | undefined)[] = [];

  static async open(): Promise<AttackedNode> {
    const world = watchedWorld();
    const streams = createVirtualStreams(world, { windowBytes: 10_000 });
    const node = await openVirtualNode(world, { config: CONFIG, streams, clientAddress: "2001:db8::1c" });
    return new AttackedNode(world, streams, node);
  }

  private constructor(world: WatchedWorld, streams: VirtualStreams, node: VirtualNode) {
    this.#world = world;
    this.#streams = streams;
    this.#node = node;
  }

  async feed({ peer, bytes, end, waitMs }: HostileStep): Promise<void> {
    const socket = await this.#connected(peer, bytes);
    socket.write(bytes);
    await this.#world.clock.advance(2);
    if (end === "pause") socket.pause();
    else if (end === "resume") socket.resume();
    else if (end === "end") socket.end();
    else if (end === "reset") socket.destroy();
    await this.#world.clock.advance(waitMs);
    this.#world.assertNoErrors();
    for (const one of this.#peers) {
      const queued = one?.other.queuedBytes ?? 0;
      if (queued > MOST_QUEUED) throw new Finding(`${queued} bytes wait for a peer`);
    }
    const { connections = 0, observers = 0 } = this.#node.tableSizes();
    if (connections > LIMITS.connections || observers > LIMITS.observers)
      throw new Finding(`${connections} connections, ${observers} observers`);
  }

  /** A friend, for whom there is room once a hostile peer is gone, registers, finds that and removes it. */
  async check(): Promise<void> {
    for (const socket of this.#peers.splice(0)) socket?.destroy();
    await this.#world.clock.advance(10);
    const friend = await this.#open("2001:db8::7", 1);
    const parser = new StreamParser({ maxMessageBytes: 10_000_000 });
    const codes: number[] = [];
    friend.onBytes = (bytes) => {
      parser.push(bytes);
      for (let next = parser.next(); next !== null && typeof next === "object"; next = parser.next())
        if (next.code < 224) codes.push(next.code);
    };
    const text = (number: number, value: string) => ({ number, value: Buffer.from(value) });
    const query = [text(15, "ep=kept"), text(15, "base=coap://h")];
    friend.write(encodeFrame(new Uint8Array(), { code: 225, options: [], payload: new Uint8Array() }));
    const format = { number: 12, value: Uint8Array.of(CONTENT_FORMAT.LINK_FORMAT) };
    const options = [text(11, "rd"), format, ...query];
    friend.write(encodeFrame(Uint8Array.of(1), { code: METHOD.POST, options, payload: Buffer.from("</a>;rt=kept") }));
    const path = [text(11, "rd-lookup"), text(11, "ep"), text(15, "ep=kept")];
    friend.write(encodeFrame(Uint8Array.of(2), { code: METHOD.GET, options: path, payload: new Uint8Array() }));
    await this.#world.clock.advance(100);
    friend.destroy();
    await this.#world.clock.advance(5);
    const isFull = codes[0] === CODE.UNAVAILABLE; // as many registrations as there may be
    if (codes[1] !== CODE.CONTENT || (codes[0] !== CODE.CREATED && !isFull))
      throw new Finding(`a friend is answered ${codes.join(", ")}`);
    this.#world.assertNoErrors();
  }

  async finish(): Promise<void> {
    for (const socket of this.#peers) socket?.pause();
    await this.#world.clock.advance(REST_MS);
    this.#world.assertNoErrors();
    assertAtRest(this.#node, REST);
    await this.check();
  }

  async close(): Promise<void> {
    await settled(this.#world, this.#node.close());
  }

  /** Most begin as they should. */
  async #connected(peer: number, bytes: Uint8Array): Promise<VirtualStream> {
    const known = this.#peers[peer];
    if (known !== undefined && !known.isClosed) return known;
    const socket = await this.#open(`2001:db8::66:${peer % 2}`, 40_000 + peer);
    this.#peers[peer] = socket;
    if ((bytes.at(-1) ?? 0) % 8 !== 0) socket.write(GREETING);
    return socket;
  }

  #open(address: string, port: number): Promise<VirtualStream> {
    return settled(this.#world, this.#streams.connect({ address, port }, NODE));
  }
}
