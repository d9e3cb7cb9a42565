import {
  CODE,
  CONTENT_FORMAT,
  type CoapEndpoint,
  createCoapEndpoint,
  type DatagramSocket,
  formatCode,
  METHOD,
  OPTION,
  parseDatagram,
} from "@tributary/coap-transport";
import { parseLinkFormat } from "@tributary/link-model";
import type { Chance } from "./chance.ts";
import {
  mutateMessage,
  type RoughMessage,
  simplerMessages,
  wellFormed,
  withOption,
  writeRough,
} from "./coap-messages.ts";
import { DOCUMENTS, ITEMS, PATHS } from "./corpus.ts";
import { Finding, type Surface, type Target } from "./surface.ts";
import {
  assertAtRest,
  openVirtualNode,
  settled,
  type VirtualNode,
  type WatchedWorld,
  watchedWorld,
} from "./virtual-node.ts";

/** A datagram and where it comes from. */
export interface HostileDatagram {
  readonly message: RoughMessage;
  /** Index into SOURCES. */
  readonly source: number;
  readonly isMulticast: boolean;
  /** With the Echo value that came last. */
  readonly hasEcho: boolean;
  /** Virtual time that passes afterwards. */
  readonly waitMs: number;
}

const NODE = { address: "2001:db8::1", port: 5683 };
const GROUP = { address: "ff02::fd", port: 5683 };
/** Trusted and not, one with many ports. */
const SOURCES = [
  { address: "fd00::66", port: 5683 },
  { address: "2001:db8::66", port: 5683 },
  { address: "2001:db8::66", port: 7 },
  { address: "2001:db8::67", port: 40_000 },
  { address: "fe80::66", port: 5683 },
  { address: "192.0.2.66", port: 1 },
] as const;

const LIMITS = {
  registrations: 200,
  "registration-bytes": 2048,
  observers: 6,
  exchanges: 12,
  transfers: 5,
  "verified-peers": 8,
};
const CONFIG = JSON.stringify({
  name: "attacked",
  listen: [`coap://[${NODE.address}]`],
  http: false,
  lookup: { upstreams: [] },
  registration: { replicas: ["private"] },
  // Nobody is there, and one that answers with nonsense (draft 6.2.2).
  anycast: {
    peers: [
      { name: "gone", uri: "coap://[2001:db8::99]" },
      { name: "mad", uri: `coap://[${SOURCES[3].address}]:${SOURCES[3].port}` },
    ],
    concurrency: 6,
  },
  limits: LIMITS,
});
/** Largest number of entries of each table once everything had time to end. */
const REST: Readonly<Record<string, number>> = {
  "delayed-answers": 0,
  unacknowledged: 0,
  timers: 0,
  "verified-peers": LIMITS["verified-peers"],
  live: LIMITS.registrations,
  peers: 1024,
  deduplication: 500,
  answers: 32_768,
};
/** Observers to whom nothing has to be said are looked after once a day; all else ends sooner. */
const REST_MS = 26 * 3_600_000;
/** Registrations of a friend, who comes back for them. */
const KEPT = ["one", "two", "three"] as const;
const LARGEST_LT = 4_294_967_295;

export const datagramSurface: Surface<HostileDatagram> = {
  name: "datagrams",
  share: 50,
  make: makeDatagram,
  open: () => AttackedNode.open(),
  show: ({ message, source, isMulticast, hasEcho, waitMs }) =>
    `${Buffer.from(writeRough(message)).toString("hex")} from ${JSON.stringify(SOURCES[source])}` +
    `${isMulticast ? " by multicast" : ""}${hasEcho ? " with Echo" : ""}, then ${waitMs} ms`,
  *simpler(input) {
    if (input.isMulticast) yield { ...input, isMulticast: false };
    if (input.hasEcho) yield { ...input, hasEcho: false };
    if (input.waitMs > 1) yield { ...input, waitMs: 1 };
    for (const message of simplerMessages(input.message)) yield { ...input, message };
  },
};

function makeDatagram(chance: Chance): HostileDatagram {
  return {
    message: mutateMessage(chance, validMessage(chance)),
    source: chance.below(SOURCES.length),
    isMulticast: chance.is(0.03),
    hasEcho: chance.is(0.4),
    waitMs: chance.is(0.97) ? 1 : chance.is(0.9) ? chance.pick([10, 200, 3000]) : 100_000,
  };
}

/** What a well-behaved client might send. */
export function validMessage(chance: Chance): RoughMessage {
  const messageId = chance.is(0.7) ? chance.below(65_536) : chance.below(8);
  const token = chance.bytes(chance.pick([0, 1, 1, 4, 8]));
  const type = chance.pick([0, 0, 0, 0, 0, 0, 1, 1, 2, 3]);
  const head = { type, messageId, token };
  const queries = Array.from({ length: chance.below(4) }, () => [OPTION.URI_QUERY, chance.pick(ITEMS)] as const);
  const path = (text: string) => text.split("/").map((segment) => [OPTION.URI_PATH, segment] as const);
  const block = () => chance.below(chance.is(0.8) ? 4 : 1_048_576) * 16 + chance.below(16);
  const blocks = (number: number) => (chance.is(0.4) ? [[number, block()] as const] : []);
  const observe = chance.is(0.4) ? [[OPTION.OBSERVE, chance.below(3)] as const] : [];
  const hops = chance.is(0.2) ? [[OPTION.HOP_LIMIT, chance.below(4)] as const] : [];
  const document = chance.pick(DOCUMENTS);
  switch (chance.below(10)) {
    case 0:
    case 1:
      return wellFormed({ ...head, code: METHOD.POST, payload: document }, [
        ...path("rd"),
        [OPTION.URI_QUERY, `ep=hostile${chance.below(300)}`],
        ...queries,
        [OPTION.CONTENT_FORMAT, CONTENT_FORMAT.LINK_FORMAT],
        ...blocks(OPTION.BLOCK1),
      ]);
    case 2:
      return wellFormed({ ...head, code: METHOD.POST }, [
        ...path(".well-known/rd"),
        [OPTION.URI_QUERY, `ep=simple${chance.below(20)}`],
        ...queries,
      ]);
    case 3:
      return wellFormed({ ...head, code: chance.pick([METHOD.POST, METHOD.DELETE, METHOD.GET, METHOD.FETCH]) }, [
        ...observe,
        ...path(`reg/${chance.pick(["attacked/1", "attacked/42", "mad/1", "mad/..", "gone/1", "nobody/1", "x", ""])}`),
        ...queries,
        ...hops,
        ...blocks(OPTION.BLOCK2),
      ]);
    case 4:
      return wellFormed({ ...head, code: METHOD.GET }, [
        ...observe,
        ...path("rd-lookup/ep"),
        [OPTION.URI_QUERY, chance.pick(["href=/*", "ep=*"])],
        [OPTION.ACCEPT, CONTENT_FORMAT.JSON_PATCH],
        [OPTION.ETAG, chance.bytes(8)],
      ]);
    case 5:
      return wellFormed({ ...head, code: 0, token: new Uint8Array(0) }, []);
    case 6:
      return wellFormed({ ...head, code: METHOD.GET }, [[OPTION.ECHO, chance.bytes(20)], ...path(chance.pick(PATHS))]);
    default:
      return wellFormed({ ...head, code: METHOD.GET }, [
        ...observe,
        ...path(chance.pick(PATHS)),
        ...queries,
        ...blocks(OPTION.BLOCK2),
      ]);
  }
}

class AttackedNode implements Target<HostileDatagram> {
  readonly #world: WatchedWorld;
  readonly #node: VirtualNode;
  readonly #friend: CoapEndpoint;
  readonly #sockets: readonly HostileSocket[];

  static async open(): Promise<AttackedNode> {
    const world = watchedWorld();
    const limits = { maxDeduplication: 500, maxRetainedBytes: 1_000_000 };
    const node = await openVirtualNode(world, { config: CONFIG, limits, clientAddress: "2001:db8::1c" });
    const target = new AttackedNode(world, node);
    for (const name of KEPT) await target.#keep(name);
    return target;
  }

  private constructor(world: WatchedWorld, node: VirtualNode) {
    this.#world = world;
    this.#node = node;
    this.#friend = createCoapEndpoint({ socket: world.network.open("fd00::7", 5683), env: world.env });
    this.#sockets = SOURCES.map(({ address, port }) => openHostileSocket(world, address, port));
  }

  async feed({ message, source, isMulticast, hasEcho, waitMs }: HostileDatagram): Promise<void> {
    const hostile = this.#sockets[source];
    const echo = hasEcho ? hostile?.echo : undefined;
    const sent = echo === undefined ? message : withOption(message, OPTION.ECHO, echo);
    hostile?.socket.send(writeRough(sent), isMulticast ? GROUP : NODE);
    await this.#world.clock.advance(waitMs + 1);
    this.#world.assertNoErrors();
  }

  /** A friend finds what it registered, as it registered it, and the numbers add up. */
  async check(): Promise<void> {
    for (const [kind, count] of [
      ["ep", 1],
      ["res", 2],
    ] as const) {
      for (const name of KEPT) {
        const links = await this.#lookup(kind, [`ep=kept-${name}`]);
        if (links.length !== count) throw new Finding(`${kind} lookup of kept-${name} gives ${links.length} links`);
      }
    }
    const { visible, superseded } = this.#node.directory.counts();
    const all = await this.#lookup("ep", ["count=100000"]);
    const hrefs = new Set(all.map(({ target }) => target));
    // Link-local registrations are shown on their link only.
    if (hrefs.size !== all.length || all.length > visible || visible + superseded > LIMITS.registrations) {
      throw new Finding(
        `${all.length} endpoints listed, ${hrefs.size} different, ${visible} visible, ${superseded} not`,
      );
    }
    this.#world.assertNoErrors();
  }

  async finish(): Promise<void> {
    for (const { socket } of this.#sockets) socket.onDatagram = null;
    await this.#world.clock.advance(REST_MS);
    this.#world.assertNoErrors();
    assertAtRest(this.#node, REST);
    await this.check();
  }

  async close(): Promise<void> {
    await settled(this.#world, this.#friend.close());
    await settled(this.#world, this.#node.close());
  }

  async #keep(name: string): Promise<void> {
    const query = [`ep=kept-${name}`, "d=kept", `lt=${LARGEST_LT}`, "base=coap://kept.example"];
    const payload = Buffer.from("</a>;rt=kept,</b>;rt=kept");
    const uri = `coap://[${NODE.address}]/rd`;
    const { code } = await settled(
      this.#world,
      this.#friend.request({ method: METHOD.POST, uri, query, payload, contentFormat: CONTENT_FORMAT.LINK_FORMAT }),
    );
    if (code !== CODE.CREATED) throw new Finding(`a registration is answered ${formatCode(code)}`);
  }

  async #lookup(kind: "ep" | "res", query: readonly string[]) {
    const uri = `coap://[${NODE.address}]/rd-lookup/${kind}`;
    const { code, payload } = await settled(this.#world, this.#friend.request({ method: METHOD.GET, uri, query }));
    if (code !== CODE.CONTENT) throw new Finding(`a lookup is answered ${formatCode(code)}`);
    const parsed = parseLinkFormat(payload);
    if (!parsed.ok) throw new Finding(`a lookup is answered with what cannot be read: ${parsed.error.message}`);
    return parsed.links;
  }
}

interface HostileSocket {
  readonly socket: DatagramSocket;
  /** The Echo value that came last. */
  echo?: Uint8Array;
}

/** Answers what it gets, in ways that depend on nothing but what it got. */
function openHostileSocket(world: WatchedWorld, address: string, port: number): HostileSocket {
  const socket = world.network.open(address, port);
  const hostile: HostileSocket = { socket };
  socket.onDatagram = (datagram, from) => {
    const message = parseDatagram(datagram);
    const echo = message?.kind === "message" ? message.options.find(({ number }) => number === OPTION.ECHO) : undefined;
    if (echo !== undefined) hostile.echo = echo.value;
    const type = ((datagram[0] ?? 0) >> 4) & 3;
    const code = datagram[1] ?? 0;
    const mood = (datagram[3] ?? 0) % 8;
    if (type !== 0) return;
    const id = [datagram[2] ?? 0, datagram[3] ?? 0] as const;
    const isRequest = code > 0 && code < 32;
    if (isRequest && mood < 6) socket.send(answerTo(datagram, mood), from);
    else if (mood < 4) socket.send(Uint8Array.of(0x60, 0, ...id), from);
    else if (mood === 4) socket.send(Uint8Array.of(0x70, 0, ...id), from);
  };
  return hostile;
}

/** To a GET of `/.well-known/core`: documents, good and bad, and nonsense. */
function answerTo(request: Uint8Array, mood: number): Uint8Array {
  const token = request.slice(4, 4 + ((request[0] ?? 0) & 15));
  const messageId = ((request[2] ?? 0) << 8) | (request[3] ?? 0);
  const payload = DOCUMENTS[messageId % DOCUMENTS.length] ?? "";
  const head = { type: 2, code: mood === 1 ? 132 : 69, messageId, token, payload };
  const block = mood === 2 ? [[OPTION.BLOCK2, 8 + 2] as const] : [];
  return writeRough(wellFormed(head, [[OPTION.CONTENT_FORMAT, mood === 3 ? 50 : 40], ...block]));
}
