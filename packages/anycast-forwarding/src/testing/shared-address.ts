import {
  type AmplificationGuard,
  type ClientRequest,
  type ClientResponse,
  CODE,
  type CoapEndpoint,
  createCoapEndpoint,
  type DatagramSocket,
  formatCode,
  METHOD,
  type ObservedResource,
  type Observer,
  type RequestHandler,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import { createSite, type SiteResource, scopeOfRequest } from "@tributary/lookup-interface";
import { DEFAULT_REGISTRATION_LIMITS } from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";
import { createRequestForwarding } from "../anycast-forwarding.js";
import { registrationPathOf } from "../routing-table.js";
import type { ForwardingOptions, ForwardingPeer, RequestForwarding } from "../types.js";

/** Virtual time and network of a test. */
export interface TestWorld {
  readonly env: Environment;
  readonly clock: { runUntil(condition: () => boolean, limitMs?: number): Promise<boolean> };
  readonly network: {
    open(address: string, port: number): DatagramSocket;
    partition(...sets: readonly (readonly string[])[]): void;
  };
}

/** Nodes of a group by name; the digit at the end of the name is the last digit of the address. */
export interface NodePlan {
  readonly rd?: boolean;
  readonly lp?: boolean;
  /** Peers, closest first; `{ lp: false }` overrides the roles in the configuration. Default: all others with their roles. */
  readonly peers?: readonly (string | { readonly name: string; readonly rd?: boolean; readonly lp?: boolean })[];
  readonly options?: Partial<ForwardingOptions>;
  readonly guard?: AmplificationGuard;
}

export interface GroupNode {
  readonly forwarding: RequestForwarding;
  readonly endpoint: CoapEndpoint;
  /** Requests that this node served itself, as RD or lookup proxy. */
  readonly served: ServerRequest[];
  /** Replaces all responses of this node, and notifies observers; null: the usual ones. */
  respondWith(response: ServerResponse | null): void;
  /** Observers of this node's own lookups. */
  readonly observers: ReadonlySet<Observer>;
}

export interface Group {
  node(name: string): GroupNode;
  /** Disconnects the node from the network. */
  silence(name: string): void;
  heal(): void;
  /** Sends a request to a node from a client at 2001:db8::c:1. Form: `GET /path?query`. */
  ask(name: string, what: string, more?: Partial<ClientRequest>): Promise<Answer>;
  readonly client: CoapEndpoint;
}

export interface Answer {
  readonly code: string;
  readonly text: string;
  readonly response: ClientResponse;
}

/** The group of the draft's figure (section 6.2): RD-A and LP-X on one host, RD-B and RD-C alone, LP-Z alone. */
export const FIGURE = {
  host1: { rd: true, lp: true },
  host2: { rd: true },
  host3: { rd: true },
  host4: { lp: true, peers: ["host3", "host2", "host1"] },
} as const satisfies Record<string, NodePlan>;

export const CLIENT = "2001:db8::c:1";

export function addressOf(name: string): string {
  return `2001:db8:23::${name.at(-1)}`;
}

/** Creates nodes with forwarding on a virtual network. What they serve themselves is simulated and recorded. */
export function openGroup(world: TestWorld, plans: Readonly<Record<string, NodePlan>>): Group {
  const nodes = new Map(Object.keys(plans).map((name) => [name, openNode(world, name, plans)]));
  const client = createCoapEndpoint({ socket: world.network.open(CLIENT, 40_000), env: world.env });
  return {
    client,
    node: (name) => nodes.get(name) as GroupNode,
    silence: (name) =>
      world.network.partition(
        [addressOf(name)],
        [
          ...Object.keys(plans)
            .filter((one) => one !== name)
            .map(addressOf),
          CLIENT,
        ],
      ),
    heal: () => world.network.partition(),
    async ask(name, what, more = {}) {
      const [method = "", reference = ""] = what.split(" ");
      const asking = client.request({
        method: METHOD[method as keyof typeof METHOD],
        uri: `coap://[${addressOf(name)}]${reference}`,
        ...more,
      });
      const response = await settled(world, asking);
      return { code: formatCode(response.code), text: new TextDecoder().decode(response.payload), response };
    },
  };
}

/** Advances the time until `promise` is settled. */
export async function settled<T>(world: TestWorld, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  promise.then(settle, settle);
  await world.clock.runUntil(() => isSettled, 600_000);
  return await promise;
}

function openNode(world: TestWorld, name: string, plans: Readonly<Record<string, NodePlan>>): GroupNode {
  const plan = plans[name] as NodePlan;
  const served: ServerRequest[] = [];
  const observers = new Set<Observer>();
  let replacement: ServerResponse | null = null;
  const serve =
    (usual: (request: ServerRequest) => ServerResponse): RequestHandler =>
    (request) => {
      served.push(request);
      return replacement ?? usual(request);
    };
  const lookup = serve((request) => ({
    code: CODE.CONTENT,
    contentFormat: 40,
    payload: Buffer.from(`${name} ${request.query}`),
  }));
  const observable: RequestHandler = async (request) => {
    const response = await lookup(request);
    if (request.observe !== 0) return response;
    let sent = replacement;
    const attach = (observer: Observer): ObservedResource => {
      observers.add(observer);
      return {
        next() {
          if (replacement === sent) return null;
          sent = replacement;
          return sent;
        },
        closed: () => observers.delete(observer),
      };
    };
    return { ...response, observation: { attach } };
  };
  const socket = world.network.open(addressOf(name), 5683);
  let site: RequestHandler = () => ({ code: CODE.UNAVAILABLE });
  const endpoint = createCoapEndpoint(
    { socket, env: world.env },
    {
      handler: Object.assign((request: ServerRequest) => site(request), { evaluatesPreconditions: true }),
      guard: plan.guard,
    },
  );
  const forwarding = createRequestForwarding(
    { client: endpoint, env: world.env },
    {
      self: { name, takesRegistrations: plan.rd === true, answersLookups: plan.lp === true },
      peers: peersOf(name, plans),
      timeoutMs: 10_000,
      failoverMs: 1000,
      concurrency: 8,
      observations: 4,
      requiresFreshness: false,
      limits: DEFAULT_REGISTRATION_LIMITS,
      ...plan.options,
    },
  );
  const own: SiteResource[] = [
    { path: ["rd"], handle: serve(() => ({ code: CODE.CREATED, locationPath: [...registrationPathOf(name), "1"] })) },
    { path: registrationPathOf(name), isSubtree: true, handle: serve(() => ({ code: CODE.CHANGED })) },
  ];
  const lookups = (["ep", "res"] as const).map((kind) => {
    const scopeOf = (request: ServerRequest) =>
      scopeOfRequest(request, { kind, resourcePath: registrationPathOf(name) });
    return { path: ["rd-lookup", kind], handle: forwarding.lookup(observable, scopeOf) };
  });
  site = createSite([...(plan.rd === true ? own : []), ...forwarding.resources, ...lookups]);
  return {
    forwarding,
    endpoint,
    served,
    observers,
    respondWith(response) {
      replacement = response;
      for (const observer of observers) observer.wake();
    },
  };
}

function peersOf(name: string, plans: Readonly<Record<string, NodePlan>>): ForwardingPeer[] {
  const names = plans[name]?.peers ?? Object.keys(plans).filter((one) => one !== name);
  return names.map((entry) => {
    const peer = typeof entry === "string" ? { name: entry } : entry;
    const plan = plans[peer.name] ?? {};
    return {
      name: peer.name,
      uri: `coap://[${addressOf(peer.name)}]`,
      takesRegistrations: ("rd" in peer ? peer.rd : plan.rd) === true,
      answersLookups: ("lp" in peer ? peer.lp : plan.lp) === true,
    };
  });
}
