import {
  type CoapClient,
  type CoapEndpoint,
  createCoapEndpoint,
  parseCoapUri,
  type RequestHandler,
} from "@tributary/coap-transport";
import {
  createVirtualStreams,
  createVirtualWorld,
  openStreamClient,
  serveStreamsAt,
  type VirtualStreams,
  type VirtualWorld,
} from "@tributary/coap-transport/testing";
import type { Node, NodeListener, NodeNetwork, NodeState } from "@tributary/node";
import { checkConfig, createNode } from "@tributary/node";
import type { Environment, Logger } from "@tributary/runtime";
import { seededRandom } from "@tributary/runtime/testing";
import { DurableCopies, DurableRegistrations } from "./durable-state.ts";
import { Ledger } from "./ledger.ts";
import { FILTERED_SECTOR, type NodePlan, type Plan, type Scheme } from "./scenario.ts";

/** One node of the federation: up, or crashed. */
interface Host {
  readonly plan: NodePlan;
  process: RunningProcess | null;
  starts: number;
  /** By how much its wall clock is ahead, ms. */
  wallErrorMs: number;
  registrations: DurableRegistrations;
  replicas: DurableCopies;
}

interface RunningProcess {
  readonly node: Node;
  readonly sockets: readonly { close(): void }[];
  isAlive: boolean;
}

/** What stands between a node and the network. */
interface Doors extends NodeNetwork {
  readonly sockets: { close(): void }[];
}

/** What happened, in order, for people. */
export interface Journal {
  note(text: string): void;
  violation(text: string): void;
}

/** Address of a client that asks all nodes and that no fault touches. */
export const PROBE_ADDRESS = "2001:db8:f::1";
const PERFECT = { delayMs: 1, jitterMs: 0, loss: 0, duplication: 0, maxDatagramBytes: 65_507 };

/**
 * A federation of real nodes in virtual time, each with an address of its own, listening on port 5683. With scheme `coap+tcp`
 * nodes and endpoints speak that to each other; the network's conditions hold for streams as well.
 */
export class Federation {
  readonly world: VirtualWorld;
  readonly ledger: Ledger;
  readonly probe: CoapEndpoint;
  readonly #scheme: Scheme;
  readonly #streams: VirtualStreams;
  readonly #dice: () => number;
  readonly #journal: Journal;
  readonly #hosts = new Map<string, Host>();

  constructor({ seed, nodes, scheme }: Pick<Plan, "seed" | "nodes" | "scheme">, journal: Journal) {
    this.world = createVirtualWorld({ seed });
    this.#scheme = scheme;
    this.#dice = seededRandom(seed * 31 + 7);
    const { network, clock } = this.world;
    const transit = (from: string, to: string) => network.transit(from, to);
    this.#streams = createVirtualStreams({ clock, random: this.#dice }, { transit });
    this.#journal = journal;
    this.ledger = new Ledger({
      nowMs: () => this.world.clock.nowMs(),
      isShort: (rd) => this.#host(rd).plan.memory !== undefined,
      wallMs: (rd) => this.world.clock.wallMs() + this.#host(rd).wallErrorMs,
      ...bound(journal),
    });
    for (const plan of nodes)
      this.#hosts.set(plan.name, {
        plan,
        process: null,
        starts: 0,
        wallErrorMs: plan.wallErrorMs ?? 0,
        ...this.#newDisk(),
      });
    this.probe = this.#openSocket(PROBE_ADDRESS, 5683);
    this.shieldProbe();
  }

  #newDisk() {
    const epoch = Math.floor(this.world.env.random() * 2 ** 24);
    return { registrations: new DurableRegistrations(epoch), replicas: new DurableCopies() };
  }

  /** A CoAP client on an address of its own. */
  openEndpoint(address: string, port: number): CoapClient {
    if (this.#scheme === "coap") return this.#openSocket(address, port);
    return openStreamClient({ env: this.world.env, streams: this.#streams }, { address, port });
  }

  #openSocket(address: string, port: number): CoapEndpoint {
    return createCoapEndpoint({ socket: this.world.network.open(address, port), env: this.world.env });
  }

  /** Links of the probe are perfect; to be called after each `heal` of the network, which forgets them. */
  shieldProbe(): void {
    for (const { plan } of this.#hosts.values()) {
      this.world.network.setLink(PROBE_ADDRESS, plan.address, PERFECT);
      this.world.network.setLink(plan.address, PROBE_ADDRESS, PERFECT);
    }
  }

  originOf(name: string): string {
    return `${this.#scheme}://[${this.#host(name).plan.address}]`;
  }

  isUp(name: string): boolean {
    return this.#host(name).process !== null;
  }

  node(name: string): Node | undefined {
    return this.#host(name).process?.node;
  }

  /** Whether a proxy that copies everything has lost an RD. */
  hasLost(lp: string, rd: string): boolean {
    const { plan, process } = this.#host(lp);
    return process !== null && !process.node.directory.isConnected(nameAt(plan, rd));
  }

  async start(name: string): Promise<void> {
    const host = this.#host(name);
    if (host.process !== null) return;
    host.starts++;
    const { plan } = host;
    const life = { isAlive: true };
    const logger = this.#loggerOf(plan.name, () => life.isAlive);
    const { clock } = this.world;
    const ownClock = { ...clock, wallMs: () => clock.wallMs() + host.wallErrorMs };
    const env = { ...this.world.env, clock: ownClock, logger };
    const network = this.#doorsOf(plan, env, (handler) =>
      plan.isRd ? this.ledger.watch(plan.name, handler, () => life.isAlive) : handler,
    );
    this.#streams.powerUp(plan.address);
    const nodeId = `${plan.name}-${host.starts}`.padEnd(16, "0");
    if (plan.isRd && plan.hasDisk) this.ledger.restart(plan.name, host.registrations.registrations.values());
    const state = plan.hasDisk ? this.#stateOf(host, () => life.isAlive) : {};
    const config = configOf(plan, [...this.#hosts.values()], this.#scheme);
    const node = await createNode({ env, network, nodeId, state }, config);
    host.process = Object.assign(life, { node, sockets: network.sockets });
    this.#journal.note(`${name} started`);
  }

  #doorsOf(plan: NodePlan, env: Environment, watched: (handler: RequestHandler) => RequestHandler): Doors {
    const sockets: { close(): void }[] = [];
    const streams = this.#streams;
    const open = (port: number) => {
      const socket = this.world.network.open(plan.address, port);
      sockets.push(socket);
      return socket;
    };
    return {
      sockets,
      listen: async (uri, handler, { isConfigured }): Promise<NodeListener> => {
        const { scheme, port } = parseCoapUri(uri);
        const at = { address: plan.address, port };
        if (scheme === "coap+tcp") return serveStreamsAt({ env, streams, handler: watched(handler) }, at);
        const endpoint = createCoapEndpoint({ socket: open(port), env }, { handler: watched(handler), isConfigured });
        return Object.assign(endpoint, { uri });
      },
      openClient: async (): Promise<CoapClient> => {
        const from = { address: plan.address, port: plan.clientPort };
        if (this.#scheme === "coap+tcp") return openStreamClient({ env, streams }, from);
        return createCoapEndpoint({ socket: open(plan.clientPort), env });
      },
    };
  }

  /** The process is gone from one moment to the next: nothing is said any more, nothing is kept. */
  crash(name: string, isDiskLost = false): void {
    const host = this.#host(name);
    const { process } = host;
    if (process === null) return;
    host.process = null;
    process.isAlive = false;
    for (const socket of process.sockets) socket.close();
    this.#streams.crash(host.plan.address, this.#dice() < 0.5);
    if (isDiskLost) Object.assign(host, this.#newDisk());
    if (host.plan.isRd && (isDiskLost || !host.plan.hasDisk)) this.ledger.lose(name);
    this.#journal.note(`${name} crashed${isDiskLost && host.plan.hasDisk ? ", and its disk is lost" : ""}`);
    // Only to stop its timers; its sockets are closed, so that nobody hears of it.
    process.node.close().catch((error: unknown) => this.#journal.violation(`${name} could not be closed: ${error}`));
  }

  /** The wall clock of a node is set. */
  jumpWall(name: string, ms: number): void {
    this.#host(name).wallErrorMs += ms;
  }

  /** Let time pass until `promise` is settled. */
  settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    return this.world.clock.runUntil(() => isSettled).then(() => promise);
  }

  async close(): Promise<void> {
    for (const [name, { process }] of this.#hosts) if (process !== null) this.crash(name);
    await this.probe.close();
  }

  #stateOf({ registrations, replicas }: Host, isAlive: () => boolean): NodeState {
    const { clock } = this.world;
    return {
      openRegistrations: async () => registrations.open(clock, isAlive),
      openCopies: async () => replicas.open(clock, isAlive),
    };
  }

  #host(name: string): Host {
    return this.#hosts.get(name) as Host;
  }

  #loggerOf(name: string, isAlive: () => boolean): Logger {
    const text = (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      `${name}: ${message} ${Object.entries(fields)
        .map(([key, value]) => `${key}=${value}`)
        .join(" ")}`.trim();
    return {
      debug: (message, fields) => (isAlive() ? this.#journal.note(text(message, fields)) : undefined),
      info: (message, fields) => (isAlive() ? this.#journal.note(text(message, fields)) : undefined),
      warn: (message, fields) => (isAlive() ? this.#journal.note(text(message, fields)) : undefined),
      error: (message, fields) => this.#journal.violation(`error logged by ${text(message, fields)}`),
    };
  }
}

function bound(journal: Journal): Journal {
  return { note: (text) => journal.note(text), violation: (text) => journal.violation(text) };
}

/** Every other proxy has names of its own for RDs, in another order. */
function nameAt({ name }: NodePlan, rd: string): string {
  return Number(name.at(-1)) % 2 === 0 ? `other-${9 - Number(rd.at(-1))}` : rd;
}

function configOf(plan: NodePlan, hosts: readonly Host[], scheme: Scheme) {
  const uri = (name: string) => `${scheme}://[${hosts.find((host) => host.plan.name === name)?.plan.address}]`;
  const mode = plan.mode === "filters" ? `mode: replicate, filters: ["d=${FILTERED_SECTOR}"]` : `mode: ${plan.mode}`;
  const upstreams = (plan.upstreams ?? []).map(
    (name) => `{ name: ${nameAt(plan, name)}, uri: "${uri(name)}", ${mode} }`,
  );
  const tiers = (plan.tiers ?? []).map((name) => `{ name: ${name}, uri: "${uri(name)}", tier: true }`);
  // Families come and go while questions are asked; what is cached would be older than the oracle allows.
  const auto = "auto: { threshold: 3, cold: 30s }, cache: { entries: 0 }";
  // The checks of lookups ask over UDP, on a network of which only that link is perfect.
  const listened = scheme === "coap" ? [scheme] : ["coap", scheme];
  const replicas = plan.isRd ? "" : ', replicas: ["any"]';
  const lines = [
    `name: ${plan.name}`,
    `listen: [${listened.map((one) => `"${one}://[${plan.address}]:5683"`).join(", ")}]`,
    "http: false",
    ...(plan.isRd ? ['registration: { replicas: ["any"] }'] : []),
    ...(plan.upstreams === null
      ? []
      : [`lookup: { upstreams: [${[...upstreams, ...tiers].join(", ")}]${replicas}, ${auto} }`]),
  ];
  const checked = checkConfig(`${lines.join("\n")}\n`, `${plan.name}.yaml`);
  if (!checked.ok) throw new Error(checked.errors.map(({ message }) => message).join("; "));
  const { memory } = plan;
  // Less than what a configuration may say: real nodes have more to hold as well.
  return memory === undefined ? checked.config : { ...checked.config, limits: { ...checked.config.limits, memory } };
}
