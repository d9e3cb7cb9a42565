import { createSocket } from "node:dgram";
import { type Environment, silentLogger } from "@tributary/coap-transport";
import { checkConfig } from "../config/check-config.js";
import { secureRandom, systemEnvironment } from "../environment.js";
import { createNode } from "../node/create-node.js";
import type { Node } from "../node/types.js";
import { systemNetwork } from "../system-network.js";

/** The hosts of the draft's figure (section 6.2). */
export type HostName = "host1" | "host2" | "host3" | "host4";

/** The federation of the draft's figure in this process, each host on a port of loopback. */
export interface DemoFederation {
  readonly env: Environment;
  readonly uris: Readonly<Record<HostName, string>>;
  node(host: HostName): Node;
  /** End one host without replacement. */
  stop(host: HostName): Promise<void>;
  close(): Promise<void>;
}

const ROLES: Readonly<Record<HostName, (uris: Readonly<Record<HostName, string>>) => string>> = {
  host1: (uris) =>
    `registration: {}\nlookup:\n  upstreams: [{ name: rd-b, uri: "${uris.host2}" }, { name: rd-c, uri: "${uris.host3}" }]`,
  host2: (uris) =>
    `registration: {}\nlookup:\n  upstreams: [{ name: rd-a, uri: "${uris.host1}" }, { name: rd-c, uri: "${uris.host3}" }]`,
  host3: (uris) =>
    `registration: {}\nadvertise:\n  - '<${uris.host2}/rd-lookup/ep>;rt="core.rd-lookup-ep"'\n  - '<${uris.host2}/rd-lookup/res>;rt="core.rd-lookup-res"'`,
  host4: (uris) =>
    `lookup:\n  upstreams: [{ name: rd-a, uri: "${uris.host1}" }, { name: rd-b, uri: "${uris.host2}" }, { name: rd-c, uri: "${uris.host3}" }]`,
};

const HOSTS = Object.keys(ROLES) as HostName[];

/** Start all four hosts; resolves when each is bound. */
export async function openDemoFederation(): Promise<DemoFederation> {
  const env = systemEnvironment(silentLogger);
  const ports = await freePorts(HOSTS.length);
  const uris = Object.fromEntries(HOSTS.map((host, index) => [host, `coap://127.0.0.1:${ports[index]}`])) as Record<
    HostName,
    string
  >;
  const nodes = new Map<HostName, Node>();
  const close = async () => void (await Promise.all([...nodes.values()].map((node) => node.close())));
  try {
    for (const host of HOSTS) nodes.set(host, await openHost(host, uris, env));
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

async function openHost(host: HostName, uris: Readonly<Record<HostName, string>>, env: Environment): Promise<Node> {
  const text = `name: ${host}\nlisten: ["${uris[host]}"]\nhttp: false\n${ROLES[host](uris)}\n`;
  const checked = checkConfig(text, `${host}.yaml`);
  if (!checked.ok) throw new Error(checked.errors.map(({ message }) => message).join("; "));
  const random = secureRandom();
  const nodeId = Array.from({ length: 16 }, () => Math.floor(random() * 16).toString(16)).join("");
  return createNode(
    { env, network: systemNetwork(env, checked.config.limits, checked.config.amplification), nodeId },
    checked.config,
  );
}

/** Ports of loopback that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
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
