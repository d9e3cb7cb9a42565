import {
  CODE,
  type CoapEndpoint,
  type CoapOption,
  createCoapEndpoint,
  formatCode,
  METHOD,
  OPTION,
  parseDatagram,
  type ServerProtection,
} from "@tributary/coap-transport";
import {
  type ContextParameters,
  type ContextState,
  DEFAULT_ALGORITHM,
  type NamedContext,
  protectRequests,
  protectServer,
  SecurityContext,
} from "@tributary/oscore";
import { Chance } from "./chance.ts";
import { mutateMessage, type RoughMessage, simplerMessages, wellFormed, writeRough } from "./coap-messages.ts";
import { validMessage } from "./datagram-surface.ts";
import { Finding, type Surface, type Target } from "./surface.ts";
import {
  assertAtRest,
  openVirtualNode,
  settled,
  type VirtualNode,
  type WatchedWorld,
  watchedWorld,
} from "./virtual-node.ts";

/** A message that was protected, or recorded, and what is done to it on the way. */
export interface HostileProtected {
  /**
   * `insider`: the attacker has a context of its own, and may write inside what it likes · `stranger`: a context that the server does
   * not have · `forger`: the identifiers of a friend, with another key · `recorded`: what a friend sent.
   */
  readonly by: "insider" | "stranger" | "forger" | "recorded";
  readonly inside: RoughMessage;
  /** Which recorded message. */
  readonly index: number;
  /** Seed of the changes outside; null: none. */
  readonly changes: number | null;
  readonly source: number;
  readonly waitMs: number;
}

const NODE = { address: "2001:db8::1", port: 5683 };
const SOURCES = [
  { address: "fd00::66", port: 5683 },
  { address: "2001:db8::66", port: 7 },
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
  registration: { replicas: ["private"] },
  limits: LIMITS,
});
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
const REST_MS = 26 * 3_600_000;
const MAX_RECORDED = 64;
const LARGEST_LT = 4_294_967_295;

export const protectedSurface: Surface<HostileProtected> = {
  name: "protected",
  share: 12,
  make: (chance) => ({
    by: chance.pick(["insider", "insider", "insider", "stranger", "forger", "recorded", "recorded"]),
    inside: chance.is(0.5) ? validMessage(chance) : mutateMessage(chance, validMessage(chance)),
    index: chance.below(MAX_RECORDED),
    changes: chance.is(0.4) ? null : chance.below(2 ** 32),
    source: chance.below(SOURCES.length),
    waitMs: chance.is(0.97) ? 1 : chance.is(0.9) ? chance.pick([10, 200, 3000]) : 100_000,
  }),
  open: () => AttackedNode.open(),
  show: ({ by, inside, index, changes, source, waitMs }) =>
    `${by === "recorded" ? `recorded ${index}` : `${by} ${Buffer.from(writeRough(inside)).toString("hex")}`}, ` +
    `changes ${changes}, from ${JSON.stringify(SOURCES[source])}, then ${waitMs} ms`,
  *simpler(input) {
    if (input.changes !== null) yield { ...input, changes: null };
    if (input.waitMs > 1) yield { ...input, waitMs: 1 };
    for (const inside of simplerMessages(input.inside)) yield { ...input, inside };
  },
};

class AttackedNode implements Target<HostileProtected> {
  readonly #world: WatchedWorld;
  readonly #node: VirtualNode;
  readonly #friend: CoapEndpoint;
  readonly #friendContext: SecurityContext;
  readonly #opened: { friend: number };
  readonly #contexts: Readonly<Record<"insider" | "stranger" | "forger", SecurityContext>>;
  readonly #sockets: readonly { send(datagram: Uint8Array, to: typeof NODE): void }[];
  /** What the friend sent, the newest messages. */
  readonly #recorded: Uint8Array[] = [];
  #messageId = 0;

  static async open(): Promise<AttackedNode> {
    const world = watchedWorld();
    const contexts: NamedContext[] = ["friend", "insider"].map((identity, index) => ({
      ...{ name: identity, identity },
      context: contextOf({ senderId: [1], recipientId: [index + 2], key: index }),
    }));
    const inner = protectServer((kid) =>
      contexts.filter(({ context }) => Buffer.compare(context.parameters.recipientId, kid) === 0),
    );
    const opened = { friend: 0 };
    const protection: ServerProtection = {
      open(message, peer) {
        const result = inner.open(message, peer);
        if (result.kind === "opened" && result.identity.name === "friend") opened.friend++;
        return result;
      },
    };
    const limits = { maxDeduplication: 500, maxRetainedBytes: 1_000_000 };
    const node = await openVirtualNode(world, { config: CONFIG, limits, protection, clientAddress: "2001:db8::1c" });
    const target = new AttackedNode(world, node, opened);
    await target.#keep();
    return target;
  }

  private constructor(world: WatchedWorld, node: VirtualNode, opened: { friend: number }) {
    this.#world = world;
    this.#node = node;
    this.#opened = opened;
    this.#friendContext = contextOf({ senderId: [2], recipientId: [1], key: 0 });
    this.#contexts = {
      insider: contextOf({ senderId: [3], recipientId: [1], key: 1 }),
      stranger: contextOf({ senderId: [9], recipientId: [1], key: 2 }),
      forger: contextOf({ senderId: [2], recipientId: [1], key: 3 }),
    };
    const socket = world.network.open("fd00::7", 5683);
    const send = socket.send.bind(socket);
    socket.send = (datagram, to) => {
      this.#record(datagram);
      send(datagram, to);
    };
    this.#friend = createCoapEndpoint(
      { socket, env: world.env },
      { protect: () => protectRequests(this.#friendContext) },
    );
    this.#sockets = SOURCES.map(({ address, port }) => world.network.open(address, port));
  }

  async feed(input: HostileProtected): Promise<void> {
    this.#sockets[input.source]?.send(this.#datagramOf(input), NODE);
    await this.#world.clock.advance(input.waitMs + 1);
    this.#world.assertNoErrors();
  }

  /** A friend finds what it registered; nobody else was taken for the friend. */
  async check(): Promise<void> {
    const uri = `coap://[${NODE.address}]/rd-lookup/res`;
    const request = { method: METHOD.GET, uri, query: ["ep=kept"] };
    const { code, payload } = await settled(this.#world, this.#friend.request(request));
    const text = Buffer.from(payload).toString();
    if (code !== CODE.CONTENT || text.match(/rt="kept"/g)?.length !== 2)
      throw new Finding(`a friend is answered ${formatCode(code)} ${text}`);
    const sent = this.#friendContext.protectRequest({ code: METHOD.GET, options: [], payload: new Uint8Array(0) });
    const numbers = Buffer.from(sent.binding.partialIv).readUIntBE(0, sent.binding.partialIv.length);
    if (this.#opened.friend > numbers)
      throw new Finding(`${this.#opened.friend} requests were taken for those of a friend, who sent ${numbers}`);
    this.#world.assertNoErrors();
  }

  async finish(): Promise<void> {
    await this.#world.clock.advance(REST_MS);
    this.#world.assertNoErrors();
    assertAtRest(this.#node, REST);
    await this.check();
  }

  async close(): Promise<void> {
    await settled(this.#world, this.#friend.close());
    await settled(this.#world, this.#node.close());
  }

  #datagramOf({ by, inside, index, changes }: HostileProtected): Uint8Array {
    this.#messageId = (this.#messageId + 1) % 65_536;
    const messageId = this.#messageId;
    let rough: RoughMessage;
    if (by === "recorded") rough = readRough(this.#recorded[index % this.#recorded.length], messageId);
    else {
      const parts = partsOf(inside);
      const { code, options, payload } = this.#contexts[by].protectRequest(parts).message;
      const plain = options.map(({ number, value }) => [number, value] as const);
      rough = wellFormed(
        { type: inside.type & 1, code, messageId, token: inside.token.subarray(0, 8), payload },
        plain,
      );
    }
    return writeRough(changes === null ? rough : mutateMessage(new Chance(changes), rough));
  }

  #record(datagram: Uint8Array): void {
    if ((datagram[1] ?? 0) === 0) return;
    this.#recorded.push(Uint8Array.from(datagram));
    if (this.#recorded.length > MAX_RECORDED) this.#recorded.shift();
  }

  async #keep(): Promise<void> {
    const query = ["ep=kept", `lt=${LARGEST_LT}`, "base=coap://kept.example"];
    const payload = Buffer.from("</a>;rt=kept,</b>;rt=kept");
    const request = { method: METHOD.POST, uri: `coap://[${NODE.address}]/rd`, query, payload, contentFormat: 40 };
    const { code } = await settled(this.#world, this.#friend.request(request));
    if (code !== CODE.CREATED) throw new Finding(`a registration is answered ${formatCode(code)}`);
  }
}

interface ContextSeed {
  readonly senderId: readonly number[];
  readonly recipientId: readonly number[];
  readonly key: number;
}

function contextOf({ senderId, recipientId, key }: ContextSeed): SecurityContext {
  const parameters: ContextParameters = {
    ...{ algorithm: DEFAULT_ALGORITHM, hash: "sha256", masterSalt: new Uint8Array(0) },
    masterSecret: new Uint8Array(16).fill(key + 1),
    senderId: Uint8Array.from(senderId),
    recipientId: Uint8Array.from(recipientId),
  };
  let state: ContextState | undefined;
  const save = (next: ContextState): void => {
    state = next;
  };
  const store = { load: () => state, save, saveLater: async (next: ContextState) => save(next), close: () => {} };
  const deps = { store, randomBytes: (length: number) => new Uint8Array(length), onError: () => {} };
  return new SecurityContext(deps, parameters, 32);
}

/** Larger messages would not fit a datagram, bytes. */
const MAX_INSIDE_BYTES = 60_000;

/** What is inside, in order: options that cannot be written at all, and those beyond what can be sent, are left out. */
function partsOf({ code, options, payload }: RoughMessage) {
  const numbered: CoapOption[] = [];
  let number = 0;
  let bytes = payload?.length ?? 0;
  for (const { delta, value } of options) {
    number += delta;
    bytes += value.length + 5;
    if (number <= 65_535 && value.length <= 1034 && bytes < MAX_INSIDE_BYTES) numbered.push({ number, value });
  }
  return { code: code & 255, options: numbered, payload: payload ?? new Uint8Array(0) };
}

/** A recorded message, with another message ID: the transport would take it for a duplicate. */
function readRough(datagram: Uint8Array | undefined, messageId: number): RoughMessage {
  const parsed = datagram === undefined ? null : parseDatagram(datagram);
  if (parsed?.kind !== "message") return wellFormed({ code: 0, messageId }, [[OPTION.OSCORE, new Uint8Array(0)]]);
  const { code, token, payload } = parsed;
  const options = parsed.options.map(({ number, value }) => [number, Uint8Array.from(value)] as const);
  return wellFormed({ code, messageId, token, payload: Uint8Array.from(payload) }, options);
}
