import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  eventually,
  HopelessError,
  natsServerPath,
  PINNED_NODE,
  type RunningProcess,
  runProcess,
  startProcess,
  temporaryFolder,
} from "../peers/peers.js";

/** Where a server of a cluster runs. */
export interface NatsPlace {
  /** Address without brackets; default 127.0.0.1. */
  readonly address?: string;
  /** Network namespace; default: this one. Ports are then the usual ones. */
  readonly netns?: string;
}

/** Settings of `NatsCluster.start`. */
export interface NatsClusterOptions {
  /** One server at each; default three on loopback. */
  readonly places?: readonly NatsPlace[];
  /** Whether every write is flushed to disk before it is acknowledged; default true. */
  readonly isSyncAlways?: boolean;
  /** Whether the servers have JetStream; default true. */
  readonly hasJetStream?: boolean;
  /** Path of the program; default: that of the version that peers.json pins. */
  readonly program?: string;
  /** More lines for the configuration of each server. */
  readonly settings?: string;
}

interface Ports {
  readonly client: number;
  readonly route: number;
  readonly monitor: number;
}

const USUAL_PORTS: Ports = { client: 4222, route: 6222, monitor: 8222 };
/** Asks a server for a document; prints nothing when it does not serve it. */
const FETCH = "fetch(process.argv[1]).then(async (r) => r.ok && console.log(await r.text()), () => {})";

/** One server of a cluster. It keeps its ports and its files when it is started again. */
export class NatsServer {
  readonly name: string;
  /** For clients: `nats://…`. */
  readonly uri: string;
  /** Of the monitoring port: `http://…`. */
  readonly monitorUri: string;
  readonly #configuration: string;
  readonly #place: NatsPlace;
  readonly #program: string;
  #process: RunningProcess | null = null;

  constructor(name: string, place: NatsPlace, ports: Ports, { file, program }: { file: string; program: string }) {
    const host = hostOf(place);
    this.name = name;
    this.uri = `nats://${host}:${ports.client}`;
    this.monitorUri = `http://${host}:${ports.monitor}`;
    this.#configuration = file;
    this.#place = place;
    this.#program = program;
  }

  /** Starts it without waiting until it serves; the others of its cluster may have to be started first. */
  launch(): void {
    const { netns } = this.#place;
    this.#process = startProcess(this.#program, ["-c", this.#configuration], netns === undefined ? {} : { netns });
  }

  /** Resolves when it serves JetStream and all its streams. */
  async ready(): Promise<void> {
    const running = this.#running();
    let exit: unknown;
    const ended = (how: unknown) => {
      exit = how;
    };
    running.exited.then(ended, ended);
    const isHealthy = async () => {
      if (exit !== undefined) throw new HopelessError(`${this.name} ended with ${exit}: ${running.stderr()}`);
      return (await this.monitor("healthz")) !== undefined;
    };
    await eventually(isHealthy, { what: `${this.name} to serve JetStream` }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${running.stderr()}`, { cause: error });
    });
  }

  /** A document of its monitoring port, such as `jsz`; undefined: it does not serve it now. */
  async monitor(path: string): Promise<unknown> {
    const { netns } = this.#place;
    const uri = `${this.monitorUri}/${path}`;
    if (netns === undefined) {
      const response = await fetch(uri).catch(() => undefined);
      return response?.ok === true ? response.json() : undefined;
    }
    const { stdout } = await runProcess(PINNED_NODE, ["-e", FETCH, uri], { netns });
    return stdout === "" ? undefined : JSON.parse(stdout);
  }

  /** Starts it and waits until it serves. */
  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  /** Ends it at once, as by a loss of power of its host: nothing is flushed or said to anybody. */
  async kill(): Promise<void> {
    await this.#running().kill("SIGKILL");
    this.#process = null;
  }

  /** Stops it where it is: connections stay open, and nothing is answered. */
  freeze(): void {
    this.#running().signal("SIGSTOP");
  }

  /** Lets it go on. */
  thaw(): void {
    this.#running().signal("SIGCONT");
  }

  /** Its log. */
  log(): string {
    return this.#process?.stderr() ?? "";
  }

  #running(): RunningProcess {
    if (this.#process === null) throw new Error(`${this.name} is not running`);
    return this.#process;
  }
}

/** A cluster of real NATS servers with JetStream, ended with the test that started it. */
export class NatsCluster {
  readonly servers: readonly NatsServer[];

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  /** Starts the servers; resolves when all of them serve. */
  static async start(options: NatsClusterOptions = {}): Promise<NatsCluster> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await NatsCluster.#startOnce(options);
      } catch (error) {
        // Somebody else took a port in the meantime.
        if (attempt === 3 || !String(error).includes("address already in use")) throw error;
      }
    }
  }

  static async #startOnce(options: NatsClusterOptions): Promise<NatsCluster> {
    const { places = [{}, {}, {}], program = natsServerPath() } = options;
    const folder = temporaryFolder();
    const ports = await Promise.all(places.map(portsAt));
    const routes = places.map((place, at) => `nats://${hostOf(place)}:${(ports[at] as Ports).route}`);
    const servers = places.map((place, at) => {
      const name = `n${at + 1}`;
      const file = join(folder, `${name}.conf`);
      const own = ports[at] as Ports;
      writeFileSync(file, configuration({ name, place, ports: own, routes, folder }, options));
      return new NatsServer(name, place, own, { file, program });
    });
    for (const server of servers) server.launch();
    await Promise.all(servers.map((server) => server.ready()));
    return new NatsCluster(servers);
  }

  /** URIs of all servers, for clients. */
  get uris(): readonly string[] {
    return this.servers.map(({ uri }) => uri);
  }

  /** One of the servers. */
  server(at: number): NatsServer {
    const server = this.servers[at];
    if (server === undefined) throw new Error(`there is no server ${at}`);
    return server;
  }
}

function hostOf({ address = "127.0.0.1" }: NatsPlace): string {
  return address.includes(":") ? `[${address}]` : address;
}

interface ServerPlan {
  readonly name: string;
  readonly place: NatsPlace;
  readonly ports: Ports;
  readonly routes: readonly string[];
  readonly folder: string;
}

function configuration(
  { name, place, ports, routes, folder }: ServerPlan,
  { isSyncAlways = true, hasJetStream = true, settings = "" }: NatsClusterOptions,
): string {
  const files = join(folder, name);
  mkdirSync(files);
  const sync = isSyncAlways ? ", sync_interval: always" : "";
  const cluster = [
    "cluster {",
    "  name: test",
    `  listen: "${hostOf(place)}:${ports.route}"`,
    `  routes: [${routes.map((route) => `"${route}"`).join(", ")}]`,
    "}",
  ];
  return [
    `server_name: ${name}`,
    `listen: "${hostOf(place)}:${ports.client}"`,
    `http: "${hostOf(place)}:${ports.monitor}"`,
    ...(hasJetStream ? [`jetstream { store_dir: "${files}"${sync} }`] : []),
    ...(routes.length > 1 ? cluster : []),
    settings,
    "",
  ].join("\n");
}

/** Free ports of loopback; in a namespace of its own a server has the usual ones. They stay the same for its whole life. */
async function portsAt({ address = "127.0.0.1", netns }: NatsPlace): Promise<Ports> {
  if (netns !== undefined) return USUAL_PORTS;
  const sockets = await Promise.all([listenAnywhere(address), listenAnywhere(address), listenAnywhere(address)]);
  const [client = 0, route = 0, monitor = 0] = sockets.map(({ port }) => port);
  await Promise.all(sockets.map(({ close }) => close()));
  return { client, route, monitor };
}

async function listenAnywhere(address: string): Promise<{ readonly port: number; close(): Promise<unknown> }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, address, resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return { port, close: () => new Promise((resolve) => server.close(resolve)) };
}
