import {
  type ClientRequest,
  CODE,
  CONTENT_FORMAT,
  type CoapClient,
  createCoapEndpoint,
  formatCode,
  METHOD,
  parseCoapUri,
  type RequestHandler,
  type ServerRequest,
} from "@tributary/coap-transport";
import {
  createVirtualStreams,
  createVirtualWorld,
  openStreamClient,
  serveStreamsAt,
} from "@tributary/coap-transport/testing";
import { type Link, parseLinkFormat } from "@tributary/link-model";
import { createLookupInterface, createSite, directoryLookupSource } from "@tributary/lookup-interface";
import { createDirectory } from "@tributary/merge-engine";
import type { Node, NodeNetwork } from "@tributary/node";
import { checkConfig, createNode } from "@tributary/node";
import { createMemoryStore, createResourceDirectory } from "@tributary/resource-directory";
import { onTestFinished } from "vitest";

export type Scheme = "coap" | "coap+tcp";

const CLIENT = "2001:db8:c::1";
const PERFECT = { delayMs: 1, jitterMs: 0, loss: 0, duplication: 0, maxDatagramBytes: 65_507 };

/** One server of the federation, with the lookups that it was asked. */
export interface Host {
  readonly uri: string;
  readonly address: string;
  /** Lookups that arrived, e.g. `ep?href=/*&rt=temp`: subscriptions and observations apart. */
  readonly lookups: string[];
}

/** Nodes and plain RDs in virtual time, which speak UDP or TCP to each other, and a client that speaks UDP. */
export class Federation {
  readonly world = createVirtualWorld({ seed: 7 });
  readonly #streams;
  readonly #scheme: Scheme;
  readonly #client: CoapClient;
  readonly #closing: (() => Promise<unknown>)[] = [];
  #hosts = 0;

  constructor(scheme: Scheme) {
    this.#scheme = scheme;
    const { network, clock, env } = this.world;
    const transit = (from: string, to: string) => network.transit(from, to);
    this.#streams = createVirtualStreams({ clock, random: env.random }, { transit });
    this.#client = createCoapEndpoint({ socket: network.open(CLIENT, 5683), env });
    this.#closing.push(() => this.#client.close());
    onTestFinished(() => this.settled(Promise.all(this.#closing.map((close) => close()))).then(() => undefined));
  }

  /** The address that the next host gets, for those that have to know of each other. */
  nextUri(ahead = 0): string {
    return `${this.#scheme}://[${addressOf(this.#hosts + 1 + ahead)}]`;
  }

  async openNode(configuration: string): Promise<Host & { readonly node: Node }> {
    const host = this.#newHost();
    const text = `name: n${this.#hosts}\nlisten: ${JSON.stringify(this.#listens(host.address))}\nhttp: false\n${configuration}\n`;
    const checked = checkConfig(text, "node.yaml");
    if (!checked.ok) throw new Error(checked.errors.map(({ message }) => message).join("\n"));
    const { env } = this.world;
    const network: NodeNetwork = {
      listen: (uri, handler) => this.#serve(uri, counted(host, handler)),
      openClient: async () => this.#openClient(host.address),
    };
    const node = await createNode({ env, network, nodeId: String(this.#hosts).padStart(16, "0") }, checked.config);
    this.#closing.push(() => node.close());
    return { ...host, node };
  }

  /** An RFC 9176 RD that knows nothing of this project and shows only what the RFC asks for. */
  async openPlainRd(): Promise<Host> {
    const host = this.#newHost();
    const { env } = this.world;
    const directory = createDirectory();
    const client = this.#openClient(host.address);
    const rd = createResourceDirectory({ directory, store: createMemoryStore(), client, env }, {});
    const deps = { directory, env, source: directoryLookupSource(directory, env), mayReplicate: () => false };
    const lookups = (["ep", "res"] as const).map((kind) =>
      createLookupInterface(deps, {
        kind,
        path: ["rd-lookup", kind],
        attributes: [
          ["rt", `core.rd-lookup-${kind}`],
          ["ct", "40"],
          ["obs", null],
        ],
      }),
    );
    const site = createSite([...rd.resources, ...lookups]);
    // What it does not know is an attribute like any other, which nothing has.
    const plain = (item: string) => (/^(provenance|lt-age)(=|$)/.test(item) ? `x-${item}` : item);
    const handler: RequestHandler = (request) => site({ ...request, query: request.query.map(plain) });
    await rd.start();
    for (const uri of this.#listens(host.address)) {
      const listener = await this.#serve(uri, counted(host, handler));
      this.#closing.push(() => listener.close(0));
    }
    this.#closing.push(() => client.close());
    return host;
  }

  #newHost(): Host {
    const address = addressOf(++this.#hosts);
    this.#streams.powerUp(address);
    return { uri: `${this.#scheme}://[${address}]`, address, lookups: [] };
  }

  #listens(address: string): string[] {
    const schemes = this.#scheme === "coap" ? ["coap"] : ["coap", this.#scheme];
    return schemes.map((scheme) => `${scheme}://[${address}]:5683`);
  }

  async #serve(uri: string, handler: RequestHandler) {
    const { scheme, host: address, port } = parseCoapUri(uri);
    const { env, network } = this.world;
    if (scheme === "coap+tcp") return serveStreamsAt({ env, streams: this.#streams, handler }, { address, port });
    return Object.assign(createCoapEndpoint({ socket: network.open(address, port), env }, { handler }), { uri });
  }

  #openClient(address: string): CoapClient {
    const { env, network } = this.world;
    if (this.#scheme === "coap+tcp")
      return openStreamClient({ env, streams: this.#streams }, { address, port: 40_000 });
    return createCoapEndpoint({ socket: network.open(address, 40_000), env });
  }

  /** No packet to or from this host passes, but for those of the client. */
  cutOff({ address }: Host): void {
    const { network } = this.world;
    network.partition([address], [CLIENT, ...this.#others(address)]);
    for (const [from, to] of [
      [CLIENT, address],
      [address, CLIENT],
    ] as const)
      network.setLink(from, to, PERFECT);
  }

  #others(address: string): string[] {
    return Array.from({ length: this.#hosts }, (_, index) => addressOf(index + 1)).filter((one) => one !== address);
  }

  /** Let time pass until it is so. */
  async until(condition: () => boolean | Promise<boolean>, what: string, limitMs = 60_000): Promise<void> {
    const { clock } = this.world;
    const endMs = clock.nowMs() + limitMs;
    while (!(await condition())) {
      if (clock.nowMs() >= endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      await clock.advance(limitMs > 10_000 ? 500 : 50);
    }
  }

  async settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.world.clock.runUntil(() => isSettled);
    return await promise;
  }

  request({ address }: Host, path: string, more: Partial<ClientRequest> = {}) {
    return this.settled(this.#client.request({ method: METHOD.GET, uri: `coap://[${address}]${path}`, ...more }));
  }

  /** Links of a lookup that must succeed, and how long they may be kept. */
  async lookup(host: Host, kind: "ep" | "res", query: string, hopLimit?: number) {
    const more = hopLimit === undefined ? {} : { hopLimit };
    const { code, payload, maxAgeS } = await this.request(host, `/rd-lookup/${kind}?${query}`, more);
    const parsed = parseLinkFormat(payload);
    if (code !== CODE.CONTENT || !parsed.ok)
      throw new Error(`${kind}?${query}: ${formatCode(code)} ${new TextDecoder().decode(payload)}`);
    return { maxAgeS, links: parsed.links, targets: parsed.links.map(({ target }: Link) => target).sort() };
  }

  /** Observe a lookup; the answers so far, which grow. */
  observe({ address }: Host, kind: "ep" | "res", query: string): readonly string[] {
    const bodies: string[] = [];
    const observation = this.#client.observe(
      { method: METHOD.GET, uri: `coap://[${address}]/rd-lookup/${kind}?${query}` },
      {
        onNotification: ({ payload }) => bodies.push(new TextDecoder().decode(payload)),
        onEnd: () => bodies.push("ended"),
      },
    );
    this.#closing.unshift(async () => observation.cancel());
    return bodies;
  }

  /** Register at an RD; the registration resource as its proxies show it. */
  async register(host: Host, query: string, links: string): Promise<string> {
    const { code, locationPath } = await this.request(host, `/rd?${query}`, {
      method: METHOD.POST,
      contentFormat: CONTENT_FORMAT.LINK_FORMAT,
      payload: new TextEncoder().encode(links),
    });
    if (code !== CODE.CREATED) throw new Error(`${query}: ${formatCode(code)}`);
    return `${host.uri}/${locationPath.join("/")}`;
  }
}

function addressOf(number: number): string {
  return `2001:db8:23::${number}`;
}

function counted({ lookups }: Host, handler: RequestHandler): RequestHandler {
  return (request) => {
    if (isLookup(request)) lookups.push(`${request.path[1]}?${request.query.join("&")}`);
    return handler(request);
  };
}

function isLookup({ path, accept, observe, peer }: ServerRequest): boolean {
  return (
    path[0] === "rd-lookup" && accept !== CONTENT_FORMAT.JSON_PATCH && observe === undefined && peer.address !== CLIENT
  );
}
