import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NamespaceNetwork } from "../harness/namespaces.js";
import { PacketFilter } from "../harness/packet-filter.js";
import {
  PINNED_NODE,
  type RunningProcess,
  runTributary,
  startProcess,
  startTributary,
  type TributaryNode,
  temporaryFolder,
} from "../peers/peers.js";
import { ENDPOINT_HOST, HOSTS, type Host, RDS, uriOf } from "./hosts.js";
import type { Life } from "./journal.js";
import type { Remains } from "./plan.js";

export interface FederationOptions {
  /** What `registration.store` is set to. */
  readonly store: string;
  /** What `snapshot` is set to at the lookup proxies, if anything. */
  readonly snapshot?: string;
}

/** Folder, in that of a host, in which the settings above keep what they keep. */
const STATE = "state";

/** The configuration of a host, as YAML (which JSON is). */
function configuration(host: Host, { store, snapshot }: FederationOptions): string {
  const { isRd, isLp } = HOSTS[host];
  const upstreams = RDS.filter((rd) => rd !== host).map((rd) => ({ name: rd, uri: uriOf(rd) }));
  return JSON.stringify({
    name: host,
    listen: [uriOf(host)],
    http: "127.0.0.1:8683",
    ...(isRd ? { registration: { store, replicas: ["2001:db8:f::/64"] } } : {}),
    ...(isLp ? { lookup: { upstreams } } : {}),
    ...(isLp && snapshot !== undefined ? { snapshot } : {}),
  });
}

/** Why these settings cannot be used with this build, or `null`: `tributary check` decides. */
export async function whyRefused(options: FederationOptions): Promise<string | null> {
  const file = join(temporaryFolder(), "tributary.yaml");
  writeFileSync(file, configuration("rda", options));
  const { status, stdout, stderr } = await runTributary(["check", "-c", file]);
  return status === 0 ? null : `tributary check: ${`${stdout}${stderr}`.trim().replace(/^.*?yaml:/, "")}`;
}

/** Five hosts around a router: an RD with an LP, two RDs, two LPs; and one more host for endpoints. Each node is a process. */
export class Federation {
  readonly network: NamespaceNetwork;
  readonly filter: PacketFilter;
  readonly #options: FederationOptions;
  readonly #folder = temporaryFolder();
  readonly #nodes = new Map<Host, TributaryNode>();
  readonly #lives = new Map<Host, Life[]>();
  /** What the processes that are gone said on stderr, with the present ones' added. */
  readonly #logs = new Map<Host, string[]>();

  private constructor(options: FederationOptions) {
    this.#options = options;
    const hosts = Object.entries(HOSTS).map(([name, { address }]) => ({ name, address: `${address}/64` }));
    this.network = new NamespaceNetwork([...hosts, { ...ENDPOINT_HOST, address: `${ENDPOINT_HOST.address}/64` }]);
    this.filter = new PacketFilter(this.network);
  }

  static async start(options: FederationOptions): Promise<Federation> {
    const federation = new Federation(options);
    await Promise.all((Object.keys(HOSTS) as Host[]).map((host) => federation.startNode(host, "empty")));
    return federation;
  }

  get lives(): ReadonlyMap<Host, readonly Life[]> {
    return this.#lives;
  }

  async startNode(host: Host, remains: Remains): Promise<void> {
    const folder = join(this.#folder, host);
    if (remains === "empty") rmSync(join(folder, STATE), { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const configFile = join(folder, "tributary.yaml");
    writeFileSync(configFile, configuration(host, this.#options));
    const startedMs = Date.now();
    const node = await startTributary({ configFile, cwd: folder, netns: this.network.host(host) });
    this.#nodes.set(host, node);
    // Without a store of its own, whatever is left in the folder is of no use to an RD.
    const isEmpty = remains === "empty" || this.#options.store === "memory";
    const life = { startedMs, readyMs: Date.now(), killedMs: Number.POSITIVE_INFINITY, isEmpty };
    this.#lives.set(host, [...(this.#lives.get(host) ?? []), life]);
  }

  async kill(host: Host): Promise<void> {
    const killedMs = Date.now();
    const lives = this.#lives.get(host) ?? [];
    this.#lives.set(host, [...lives.slice(0, -1), { ...(lives.at(-1) as Life), killedMs }]);
    const node = this.#nodes.get(host) as TributaryNode;
    await node.kill("SIGKILL");
    this.#logs.set(host, [...(this.#logs.get(host) ?? []), node.stderr()]);
  }

  /** A process of the test itself on one of the hosts. */
  startOn(host: Host | typeof ENDPOINT_HOST.name, script: URL, args: readonly string[]): RunningProcess {
    return startProcess(PINNED_NODE, ["--disable-warning=ExperimentalWarning", script.pathname, ...args], {
      netns: this.network.host(host),
    });
  }

  log(host: Host): string {
    return [...(this.#logs.get(host) ?? []), this.#nodes.get(host)?.stderr() ?? ""].join("");
  }

  /** Nodes that ended although nobody killed them. */
  async crashed(): Promise<string[]> {
    const found: string[] = [];
    for (const [host, node] of this.#nodes) {
      const isAlive = await Promise.race([node.exited.then(() => false), Promise.resolve(true)]);
      const life = this.#lives.get(host)?.at(-1);
      if (!isAlive && life?.killedMs === Number.POSITIVE_INFINITY) found.push(`${host}: ${node.stderr().slice(-2000)}`);
    }
    return found;
  }
}
