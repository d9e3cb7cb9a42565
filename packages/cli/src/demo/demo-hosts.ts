import { createSocket } from "node:dgram";
import { TransportError } from "@tributary/coap-transport";
import type { Node } from "@tributary/node";
import {
  checkConfig,
  createNode,
  secureRandom,
  systemEnvironment,
  systemGlobal,
  systemNetwork,
  systemState,
} from "@tributary/node";
import { type Environment, type Logger, silentLogger } from "@tributary/runtime";

/** Number of attempts with other ports. */
const MAX_ATTEMPTS = 10;

/** Listener URI by host. */
export type HostUris<Host extends string> = Readonly<Record<Host, string>>;

/** YAML settings by host, without `name`, `listen` and `http`. */
export type HostRoles<Host extends string> = Readonly<Record<Host, (uris: HostUris<Host>) => string>>;

/** The hosts of a scenario: nodes in this process, each on a port of loopback. */
export interface DemoHosts<Host extends string> {
  readonly env: Environment;
  readonly uris: HostUris<Host>;
  node(host: Host): Node;
  /** Stops one host. */
  stop(host: Host): Promise<void>;
  close(): Promise<void>;
}

/** Starts every host in the order of `roles`; resolves when all are bound. `hasStreams`: each listens on its port over TCP as well. */
export async function openDemoHosts<Host extends string>(
  roles: HostRoles<Host>,
  logger: Logger = silentLogger,
  { hasStreams = false }: { readonly hasStreams?: boolean } = {},
): Promise<DemoHosts<Host>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openOnFreePorts(roles, logger, hasStreams);
    } catch (error) {
      // Another process may have taken one of the ports meanwhile.
      if (!(error instanceof TransportError && error.code === "BIND_FAILED") || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function openOnFreePorts<Host extends string>(
  roles: HostRoles<Host>,
  logger: Logger,
  hasStreams: boolean,
): Promise<DemoHosts<Host>> {
  const env = systemEnvironment(logger);
  const hosts = Object.keys(roles) as Host[];
  const ports = await freePorts(hosts.length);
  const uris = Object.fromEntries(
    hosts.map((host, index) => [host, `coap://127.0.0.1:${ports[index]}`]),
  ) as HostUris<Host>;
  const nodes = new Map<Host, Node>();
  const close = async () => void (await Promise.all([...nodes.values()].map((node) => node.close())));
  try {
    for (const host of hosts) {
      const listen = hasStreams ? [uris[host], uris[host].replace("coap:", "coap+tcp:")] : [uris[host]];
      nodes.set(host, await openHost(host, listen, roles[host](uris), env));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    env,
    uris,
    node: (host) => nodes.get(host) as Node,
    stop: async (host) => nodes.get(host)?.close(),
    close,
  };
}

async function openHost(host: string, listen: readonly string[], role: string, env: Environment): Promise<Node> {
  const text = `name: ${host}\nlisten: ${JSON.stringify(listen)}\nhttp: false\n${role}\n`;
  const checked = checkConfig(text, `${host}.yaml`);
  if (!checked.ok) throw new Error(checked.errors.map(({ message }) => message).join("; "));
  const random = secureRandom();
  const nodeId = Array.from({ length: 16 }, () => Math.floor(random() * 16).toString(16)).join("");
  const { config } = checked;
  const network = systemNetwork(env, config.limits, config.amplification);
  const openGlobal = systemGlobal(env, config.global);
  const deps = { env, network, nodeId, state: systemState(env, config) };
  return createNode(openGlobal === undefined ? deps : { ...deps, openGlobal }, config);
}

/** Returns different UDP ports of loopback that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = createSocket("udp4");
      await new Promise<void>((resolve, reject) => socket.once("error", reject).bind(0, "127.0.0.1", resolve));
      return socket;
    }),
  );
  const ports = sockets.map((socket) => socket.address().port);
  await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  return ports;
}
