import {
  CODE,
  CONTENT_FORMAT,
  type CoapEndpoint,
  createCoapEndpoint,
  type DatagramSocket,
  formatCode,
  METHOD,
  parseDatagram,
} from "@tributary/coap-transport";
import { firstValue, parseLinkFormat } from "@tributary/link-model";
import { Chance } from "./chance.ts";
import { mutateMessage, type RoughMessage, WHOLE, writeRough } from "./coap-messages.ts";
import { Finding, type Surface, type Target } from "./surface.ts";
import { mutateBytes, mutateText } from "./text-mutations.ts";
import { openVirtualNode, settled, type VirtualNode, type WatchedWorld, watchedWorld } from "./virtual-node.ts";

/** What an RD does, and how many of the answers that follow reach the proxy as something else. */
interface HostileAnswers {
  /** Index into RDS. */
  readonly rd: number;
  readonly act: "register" | "renew" | "remove" | "none";
  readonly name: number;
  readonly count: number;
  /** Decides on what becomes of them. */
  readonly seed: number;
  readonly waitMs: number;
}

/** One that speaks the feed, one that does not let the proxy have it, and one that nobody tampers with. */
const RDS = [
  { address: "2001:db8::1", replicas: "any", isHostile: true },
  { address: "2001:db8::2", replicas: "loopback", isHostile: true },
  { address: "2001:db8::3", replicas: "any", isHostile: false },
] as const;
const PROXY = "2001:db8::a";
const PROXY_CLIENT = "2001:db8::ac";
const NAMES = 8;
/** Nothing ends by itself: months go by here. */
const LARGEST_LT = 4_294_967_295;
/** How long the proxy may take to be right again once answers are right: it asks a refused RD again after 5 minutes. */
const HEALING_MS = 3_600_000;
const PATCH_TOKENS = [
  '"/reg/1"',
  "/registrations/~1reg~11",
  '{"op":"remove","path":"/registrations/~1reg~11"}',
  ',</reg/9>;ep=x;base="coap://h"',
  '"complete":false',
  '"complete":true',
  '"version":"ffffff-1"',
  "<coap://[2001:db8::a]/reg/1>",
  ';ep="n1"',
];

export const upstreamSurface: Surface<HostileAnswers> = {
  name: "answers of an RD",
  share: 10,
  make: (chance) => ({
    rd: chance.below(2),
    act: chance.pick(["register", "register", "renew", "remove", "none"] as const),
    name: chance.below(NAMES),
    count: chance.pick([1, 1, 1, 2, 5]),
    seed: chance.below(2 ** 31),
    waitMs: chance.is(0.9) ? 5 : chance.pick([100, 3000, 25_000, 200_000]),
  }),
  open: () => AttackedProxy.open(),
  show: (input) => JSON.stringify(input),
  *simpler(input) {
    if (input.waitMs > 5) yield { ...input, waitMs: 5 };
    if (input.count > 1) yield { ...input, count: 1 };
    if (input.act !== "none") yield { ...input, act: "none" };
  },
};

class AttackedProxy implements Target<HostileAnswers> {
  readonly #world: WatchedWorld;
  readonly #friend: CoapEndpoint;
  readonly #rds: VirtualNode[] = [];
  #proxy: VirtualNode | null = null;
  /** What is to become of the next answers of each RD. */
  readonly #pending = RDS.map(() => ({ count: 0, chance: new Chance(0) }));
  #fresh = 0;

  static async open(): Promise<AttackedProxy> {
    const target = new AttackedProxy(watchedWorld());
    await target.#start();
    return target;
  }

  private constructor(world: WatchedWorld) {
    this.#world = world;
    this.#friend = createCoapEndpoint({ socket: world.network.open("2001:db8::7", 5683), env: world.env });
  }

  async feed({ rd, act, name, count, seed, waitMs }: HostileAnswers): Promise<void> {
    this.#pending[rd] = { count, chance: new Chance(seed) };
    await this.#act(rd, act, name);
    await this.#world.clock.advance(waitMs);
    this.#world.assertNoErrors();
  }

  /** Once the answers are right again, what is new arrives; and an honest RD's registrations are there all the time. */
  async check(): Promise<void> {
    await this.#assertHonest();
    for (const pending of this.#pending) pending.count = 0;
    const names = RDS.map((_, index) => `fresh-${index}-${this.#fresh++}`);
    for (const [index, name] of names.entries()) await this.#register(index, name);
    await this.#eventually("what was registered after an attack", async () => {
      const seen = new Set(await this.#endpoints());
      return names.every((name) => seen.has(name));
    });
    for (const [index, name] of names.entries()) await this.#remove(index, name);
    this.#world.assertNoErrors();
  }

  /** RDs that lost their memory are copied again: then the proxy has what they have, and nothing else. */
  async finish(): Promise<void> {
    for (const pending of this.#pending) pending.count = 0;
    for (const rd of this.#rds.splice(0)) await settled(this.#world, rd.close());
    await this.#startDirectories();
    const expected: string[] = [];
    for (const [index, { isHostile }] of RDS.entries()) {
      for (let name = 0; name < 3; name++) {
        const ep = isHostile ? `again-${index}-${name}` : `kept-${name}`;
        if (isHostile) await this.#register(index, ep);
        expected.push(ep);
      }
    }
    const sorted = expected.sort().join();
    await this.#eventually("the proxy to have what the RDs have", async () => {
      return (await this.#endpoints()).sort().join() === sorted;
    });
    await this.#assertHonest();
  }

  async close(): Promise<void> {
    await settled(this.#world, this.#friend.close());
    const nodes = [...this.#rds, ...(this.#proxy === null ? [] : [this.#proxy])];
    for (const node of nodes) await settled(this.#world, node.close());
  }

  async #start(): Promise<void> {
    await this.#startDirectories();
    const upstreams = RDS.map(({ address }, index) => ({ name: `rd${index}`, uri: `coap://[${address}]` }));
    const config = JSON.stringify({
      name: "proxy",
      listen: [`coap://[${PROXY}]`],
      http: false,
      lookup: { upstreams },
      limits: { registrations: 300 },
      amplification: { trusted: ["any"] },
    });
    this.#proxy = await openVirtualNode(this.#world, { config, clientAddress: PROXY_CLIENT });
    await this.#eventually("the honest RD's registrations", async () => (await this.#honest()).length === 3);
  }

  async #startDirectories(): Promise<void> {
    for (const [index, { address, replicas, isHostile }] of RDS.entries()) {
      const config = JSON.stringify({
        name: `rd${index}`,
        listen: [`coap://[${address}]`],
        http: false,
        registration: { replicas: [replicas] },
        amplification: { trusted: ["any"] },
      });
      const wrap = (socket: DatagramSocket) => (isHostile ? this.#tamper(socket, index) : socket);
      this.#rds[index] = await openVirtualNode(this.#world, { config, wrap, clientAddress: `2001:db8::${index + 1}c` });
      if (!isHostile) for (let name = 0; name < 3; name++) await this.#register(index, `kept-${name}`);
    }
  }

  #tamper(socket: DatagramSocket, rd: number): DatagramSocket {
    const send = socket.send.bind(socket);
    return Object.assign(socket, {
      send: (datagram: Uint8Array, to: { address: string; port: number }): void => {
        const pending = this.#pending[rd];
        if (to.address !== PROXY_CLIENT || pending === undefined || pending.count === 0) {
          send(datagram, to);
          return;
        }
        pending.count--;
        for (const changed of tampered(pending.chance, datagram)) send(changed, to);
      },
    });
  }

  async #act(rd: number, act: HostileAnswers["act"], name: number): Promise<void> {
    if (act === "register") await this.#register(rd, `n${name}`, `</s/${this.#fresh++}>;rt=t`);
    else if (act === "renew") await this.#register(rd, `n${name}`);
    else if (act === "remove") await this.#remove(rd, `n${name}`);
  }

  async #register(rd: number, ep: string, links = "</a>;rt=t"): Promise<void> {
    const { code } = await settled(
      this.#world,
      this.#friend.request({
        method: METHOD.POST,
        uri: `coap://[${RDS[rd]?.address}]/rd`,
        query: [`ep=${ep}`, "base=coap://h", `lt=${LARGEST_LT}`],
        contentFormat: CONTENT_FORMAT.LINK_FORMAT,
        payload: Buffer.from(links),
      }),
    );
    if (code !== CODE.CREATED) throw new Finding(`a registration at RD ${rd} is answered ${formatCode(code)}`);
  }

  async #remove(rd: number, ep: string): Promise<void> {
    const held = this.#rds[rd]?.directory.winner(ep, undefined);
    if (held === undefined) return;
    const uri = `coap://[${RDS[rd]?.address}]${held.href}`;
    await settled(this.#world, this.#friend.request({ method: METHOD.DELETE, uri }));
  }

  async #endpoints(query: readonly string[] = []): Promise<string[]> {
    const uri = `coap://[${PROXY}]/rd-lookup/ep`;
    const { code, payload } = await settled(this.#world, this.#friend.request({ method: METHOD.GET, uri, query }));
    if (code === CODE.GATEWAY_TIMEOUT) return []; // nothing is known yet
    if (code !== CODE.CONTENT) throw new Finding(`a lookup at the proxy is answered ${formatCode(code)}`);
    const parsed = parseLinkFormat(payload);
    if (!parsed.ok) throw new Finding(`the proxy answers what cannot be read: ${parsed.error.message}`);
    return parsed.links.map((link) => firstValue(link, "ep") ?? "");
  }

  #honest(): Promise<string[]> {
    return this.#endpoints(["ep=kept-*"]);
  }

  async #assertHonest(): Promise<void> {
    const names = await this.#honest();
    if (names.join() !== "kept-0,kept-1,kept-2") throw new Finding(`of an honest RD the proxy shows ${names.join()}`);
  }

  async #eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
    const untilMs = this.#world.clock.nowMs() + HEALING_MS;
    for (let pauseMs = 50; !(await holds()); pauseMs = Math.min(pauseMs * 2, 30_000)) {
      if (this.#world.clock.nowMs() > untilMs) {
        const phases = this.#proxy
          ?.upstreams()
          .map(({ name, phase, lastError }) => `${name} ${phase} ${lastError ?? ""}`);
        throw new Finding(
          `waited an hour for ${what}; the proxy shows ${await this.#endpoints()}; ${phases?.join(", ")}`,
        );
      }
      await this.#world.clock.advance(pauseMs);
    }
  }
}

/** What arrives in place of a datagram: nothing, it twice, another one. */
function tampered(chance: Chance, datagram: Uint8Array): Uint8Array[] {
  const message = parseDatagram(datagram);
  if (message?.kind !== "message" || chance.is(0.05)) return [];
  const rough = roughened(message);
  const changed = chance.is(0.5)
    ? mutateMessage(chance, rough)
    : { ...rough, payload: otherPayload(chance, rough.payload) };
  const bytes = writeRough(changed);
  return chance.is(0.1) ? [bytes, datagram] : [bytes];
}

function otherPayload(chance: Chance, payload: Uint8Array | null): Uint8Array {
  const text = Buffer.from(payload ?? []).toString("utf8");
  return mutateBytes(chance, mutateText(chance, text, PATCH_TOKENS));
}

function roughened(message: {
  readonly type: number;
  readonly code: number;
  readonly messageId: number;
  readonly token: Uint8Array;
  readonly options: readonly { readonly number: number; readonly value: Uint8Array }[];
  readonly payload: Uint8Array;
}): RoughMessage {
  const { type, code, messageId, token, options, payload } = message;
  let previous = 0;
  const rough = options.map(({ number, value }) => {
    const delta = number - previous;
    previous = number;
    return { delta, length: value.length, value };
  });
  const body = payload.length === 0 ? null : payload;
  return {
    version: 1,
    type,
    code,
    messageId,
    tokenLength: token.length,
    token,
    options: rough,
    payload: body,
    keptBytes: WHOLE,
  };
}
