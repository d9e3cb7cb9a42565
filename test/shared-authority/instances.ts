import { type ClientResponse, CODE, CONTENT_FORMAT, type CoapClient, METHOD } from "@tributary/coap-transport";
import type { NatsCluster } from "../harness/nats-cluster.js";
import { startTributary, type TributaryNode } from "../peers/peers.js";

/** An instance of an RD that shares its registrations with others. */
export interface Instance extends TributaryNode {
  /** Of its CoAP listener. */
  readonly uri: string;
}

/** Starts an instance over the servers of a cluster; `first` is the server that it prefers. */
export async function startInstance(
  cluster: NatsCluster,
  name: string,
  first = 0,
  listen = "coap://[::1]:0",
): Promise<Instance> {
  const servers = [...cluster.uris.slice(first), ...cluster.uris.slice(0, first)];
  const replicas = cluster.servers.length;
  const node = await startTributary({
    config: {
      name,
      listen: [listen],
      http: false,
      registration: { store: { nats: { servers, replicas } } },
    },
  });
  return { ...node, uri: node.uris[0] as string };
}

/** Starts an instance at each server. */
export function startInstances(cluster: NatsCluster): Promise<Instance[]> {
  return Promise.all(cluster.servers.map((_, at) => startInstance(cluster, `rd-${at + 1}`, at)));
}

/** A request to register, without judgement of its response. */
export function register(client: CoapClient, rd: string, query: readonly string[]): Promise<ClientResponse> {
  const payload = new TextEncoder().encode('</t>;rt="temperature"');
  const contentFormat = CONTENT_FORMAT.LINK_FORMAT;
  return client.request({ method: METHOD.POST, uri: `${rd}/rd`, query, contentFormat, payload });
}

/** A renewal of the registration at a path. */
export function renew(client: CoapClient, rd: string, path: string): Promise<ClientResponse> {
  return client.request({ method: METHOD.POST, uri: `${rd}${path}` });
}

/** The path of a registration that was acknowledged; undefined: it was not. */
export function pathOf({ code, locationPath }: ClientResponse): string | undefined {
  return code === CODE.CREATED ? `/${locationPath.join("/")}` : undefined;
}
