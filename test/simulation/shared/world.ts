import { type CoapClient, createCoapEndpoint, parseCoapUri } from "@tributary/coap-transport";
import { createVirtualWorld, type VirtualWorld } from "@tributary/coap-transport/testing";
import { type DiscardedWrite, SharedRegistrations, SplitStore } from "@tributary/nats-store";
import { type InstanceFaults, StreamModel } from "@tributary/nats-store/testing";
import { checkConfig, createNode, type Node, type NodeNetwork, type NodeState } from "@tributary/node";
import type { PendingWrite, WriteJournal } from "@tributary/resource-directory";
import type { Clock, Environment } from "@tributary/runtime";
import { seededRandom } from "@tributary/runtime/testing";
import type { Shown } from "./history.ts";
import { INSTANCES, type InstanceName, type SharedPlan } from "./plan.ts";

/** How long a write to a disk takes, ms; what was written less long ago is lost with the process. */
const COMMIT_MS = 3;
const LP_ADDRESS = "2001:db8:2::1";

interface Host {
  readonly address: string;
  readonly disk: Map<string, PendingWrite>;
  readonly wallErrorMs: number;
  process: Running | null;
  isStarting: boolean;
}

interface Running {
  readonly node: Node;
  readonly faults: InstanceFaults;
  readonly life: { isAlive: boolean };
  readonly sockets: readonly { close(): void }[];
}

/** Instances that share a stream, and a proxy above them, in virtual time. */
export class SharedWorld {
  readonly world: VirtualWorld;
  readonly stream: StreamModel;
  readonly discarded: DiscardedWrite[] = [];
  readonly #plan: SharedPlan;
  readonly #hosts: ReadonlyMap<InstanceName, Host>;
  readonly #note: (text: string) => void;
  #lp: Node | null = null;

  constructor(plan: SharedPlan, note: (text: string) => void) {
    this.#plan = plan;
    this.#note = note;
    this.world = createVirtualWorld({ seed: plan.seed });
    this.stream = new StreamModel(this.world.clock, seededRandom(plan.seed * 31 + 5));
    this.#hosts = new Map(
      INSTANCES.map((name, at) => [
        name,
        {
          address: `2001:db8:1::${at + 1}`,
          disk: new Map(),
          wallErrorMs: plan.wallErrorsMs[name],
          process: null,
          isStarting: false,
        },
      ]),
    );
  }

  async open(): Promise<void> {
    await this.settled(Promise.all(INSTANCES.map((name) => this.start(name))));
    const uris = INSTANCES.map((name) => `"${this.originOf(name)}"`).join(", ");
    const config = configOf(
      `name: lp\nlisten: ["coap://[${LP_ADDRESS}]:5683"]\nhttp: false\n` +
        `lookup: { upstreams: [{ name: rd, uris: [${uris}] }], replicas: ["any"] }\n`,
    );
    const { env } = this.world;
    const nodeId = "00000000000000aa";
    this.#lp = await this.settled(createNode({ env, network: this.#networkOf(LP_ADDRESS, env, []), nodeId }, config));
  }

  originOf(name: InstanceName): string {
    return `coap://[${this.#host(name).address}]:5683`;
  }

  device(at: number): CoapClient {
    const socket = this.world.network.open(`2001:db8:3::${(at + 1).toString(16)}`, 5683);
    return createCoapEndpoint({ socket, env: this.world.env });
  }

  isUp(name: InstanceName): boolean {
    return this.#host(name).process !== null;
  }

  /** What an instance shows, by endpoint; undefined: it is down. */
  shownAt(name: InstanceName): Shown | undefined {
    const node = this.#host(name).process?.node;
    return node === undefined ? undefined : shownBy(node);
  }

  shownAtProxy(): Shown {
    return shownBy(this.#lp as Node);
  }

  faultsOf(name: InstanceName): InstanceFaults | undefined {
    return this.#host(name).process?.faults;
  }

  /** Whether an instance knows that the stream is away. */
  isAway(name: InstanceName): boolean {
    return this.#host(name).process?.node.sharedStore?.()?.awayReason !== undefined;
  }

  /** Writes that the stream does not have yet. */
  pendingAt(name: InstanceName): number {
    return this.#host(name).process?.node.sharedStore?.()?.pending ?? 0;
  }

  async start(name: InstanceName): Promise<void> {
    const host = this.#host(name);
    if (host.process !== null || host.isStarting) return;
    host.isStarting = true;
    const { world } = this;
    const life = { isAlive: true };
    const faults: InstanceFaults = { isCutOff: false, lostResponses: 0 };
    const clock: Clock = { ...world.clock, wallMs: () => world.clock.wallMs() + host.wallErrorMs };
    const say = (message: string, fields?: Readonly<Record<string, unknown>>) => {
      if (life.isAlive) this.#note(`${name}: ${message} ${JSON.stringify(fields ?? {})}`);
    };
    const env = { ...world.env, clock, logger: { debug: say, info: say, warn: say, error: say } };
    const sockets: { close(): void }[] = [];
    const config = configOf(
      `name: ${name}\nlisten: ["coap://[${host.address}]:5683"]\nhttp: false\nregistration: { replicas: ["any"] }\n`,
    );
    const network = this.#networkOf(host.address, env, sockets);
    const state = this.#stateOf(host, env, faults, life);
    const node = await createNode({ env, network, nodeId: name.padEnd(16, "0"), state }, config);
    host.isStarting = false;
    host.process = { node, faults, life, sockets };
    this.#note(`${name} started`);
  }

  /** The process is gone from one moment to the next. */
  crash(name: InstanceName): void {
    const host = this.#host(name);
    const { process } = host;
    if (process === null) return;
    host.process = null;
    process.life.isAlive = false;
    process.faults.isCutOff = true;
    for (const socket of process.sockets) socket.close();
    // Only to stop its timers.
    void process.node.close();
    this.#note(`${name} crashed`);
  }

  setSeparated(names: ReadonlySet<InstanceName>): void {
    this.world.network.heal();
    for (const name of names) {
      const { address } = this.#host(name);
      this.world.network.setLink(LP_ADDRESS, address, { loss: 1 });
      this.world.network.setLink(address, LP_ADDRESS, { loss: 1 });
    }
  }

  /** Lets time pass until `promise` is settled. */
  settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    return this.world.clock.runUntil(() => isSettled, 600_000).then(() => promise);
  }

  async close(): Promise<void> {
    for (const name of INSTANCES) this.crash(name);
    await this.settled(this.#lp?.close() ?? Promise.resolve());
  }

  #stateOf(host: Host, env: Environment, faults: InstanceFaults, life: { readonly isAlive: boolean }): NodeState {
    return {
      openRegistrations: async () => {
        const stream = this.stream.connect(faults, () => env.clock.wallMs());
        const shared = new SharedRegistrations({ env, stream, epoch: 1 });
        const { rejected } = shared;
        const status = () => {
          const { isAway, reason = "" } = shared.shared.health();
          return { ...shared.figures(), ...(isAway ? { awayReason: reason } : {}) };
        };
        if (this.#plan.partition === "refuse") return { store: shared, rejected, sharedStore: status };
        const journal = journalOn(host.disk, env.clock, () => life.isAlive);
        const onDiscarded = (one: DiscardedWrite) => {
          if (life.isAlive) this.discarded.push(one);
        };
        const store = new SplitStore({ env, shared, journal, onDiscarded });
        return { store, rejected, sharedStore: () => ({ ...status(), pending: store.pending }) };
      },
    };
  }

  #networkOf(address: string, env: Environment, sockets: { close(): void }[]): NodeNetwork {
    const open = (port: number) => {
      const socket = this.world.network.open(address, port);
      sockets.push(socket);
      return socket;
    };
    return {
      listen: async (uri, handler, { isConfigured }) => {
        const endpoint = createCoapEndpoint({ socket: open(parseCoapUri(uri).port), env }, { handler, isConfigured });
        return Object.assign(endpoint, { uri });
      },
      openClient: async () => createCoapEndpoint({ socket: open(0), env }),
    };
  }

  #host(name: InstanceName): Host {
    return this.#hosts.get(name) as Host;
  }
}

/** What lookups show: the content of each registration is named by its only link. */
function shownBy({ directory }: Node): Map<string, number> {
  const shown = new Map<string, number>();
  for (const { registration, state } of directory.inspect()) {
    if (state === "superseded") continue;
    shown.set(registration.ep, Number(/\/(\d+)$/.exec(registration.links[0]?.target ?? "")?.[1] ?? Number.NaN));
  }
  return shown;
}

function journalOn(disk: Map<string, PendingWrite>, clock: Clock, isAlive: () => boolean): WriteJournal {
  const commit = (effect: () => void) =>
    new Promise<void>((resolve) => {
      clock.setTimer(COMMIT_MS, () => {
        if (!isAlive()) return;
        effect();
        resolve();
      });
    });
  return {
    load: () => [...disk.values()],
    put: (write) => commit(() => void disk.set(write.registration.id, write)),
    remove: (id) => commit(() => void disk.delete(id)),
    close: async () => {},
  };
}

function configOf(text: string) {
  const checked = checkConfig(text, "simulation.yaml");
  if (!checked.ok) throw new Error(checked.errors.map(({ message }) => message).join("; "));
  return checked.config;
}
