import { freePort, startTributary, type TributaryNode } from "../peers/peers.js";
import { freeUdpPort } from "./addresses.js";

/** A node of a pool in a process of its own, with an address of its own. */
export interface GlobalNode extends TributaryNode {
  readonly address: string;
  /** `coap://…` and `coap+tcp://…`. */
  readonly uri: string;
  readonly tcpUri: string;
  /** What it says of itself at `/api/node`. */
  status(): Promise<{ readonly global: GlobalView }>;
  metrics(): Promise<string>;
}

interface GlobalView {
  readonly key: string;
  readonly members: number;
  readonly away?: string;
  readonly published: boolean;
  readonly names: number;
  readonly announced: number;
}

/** Ports of a pool, the same at each address. */
export interface PoolPorts {
  readonly pool: number;
  readonly coap: number;
  readonly http: number;
  readonly proxied: number;
}

/** Returns ports that are free at the moment. */
export async function poolPorts(): Promise<PoolPorts> {
  const [coap, http, proxied] = [await freePort("127.0.1.1"), await freePort("127.0.1.1"), await freePort("127.0.1.1")];
  return { pool: await freeUdpPort(), coap, http, proxied };
}

/** Starts a node at the address with this number; it joins by those before it. */
export async function startGlobalNode(index: number, ports: PoolPorts, settings: object = {}): Promise<GlobalNode> {
  const address = `127.0.1.${index + 1}`;
  const uri = `coap://${address}:${ports.coap}`;
  const tcpUri = `coap+tcp://${address}:${ports.coap}`;
  const node = await startTributary({
    config: {
      name: `rd-${index + 1}`,
      listen: [uri, tcpUri],
      http: `${address}:${ports.http}`,
      registration: { proxy: { ports: `${ports.proxied}` } },
      global: {
        pool: { listen: `${address}:${ports.pool}`, bootstrap: [`127.0.1.1:${ports.pool}`, `127.0.1.2:${ports.pool}`] },
        allow: ["loopback"],
        names: "all",
        rate: 200,
        timeout: "1s",
        ...settings,
      },
    },
  });
  const read = (path: string) => fetch(`http://${address}:${ports.http}${path}`);
  return {
    ...node,
    ...{ address, uri, tcpUri },
    status: async () => (await (await read("/api/node")).json()) as { readonly global: GlobalView },
    metrics: async () => await (await read("/metrics")).text(),
  };
}
