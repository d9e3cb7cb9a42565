import {
  type AmplificationGuard,
  type ClientRequest,
  type ClientResponse,
  type CoapEndpoint,
  createCoapEndpoint,
  type DatagramSocket,
  formatCode,
  METHOD,
  type RequestHandler,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import { type Link, parseLinkFormat } from "@tributary/link-model";
import type { LookupSource, SiteOptions } from "@tributary/lookup-interface";
import {
  createLookupInterface,
  createReplicaPolicy,
  createSite,
  directoryLookupSource,
} from "@tributary/lookup-interface";
import { createDirectory, type Directory, type LookupInterface } from "@tributary/merge-engine";
import type { Environment } from "@tributary/runtime";
import { startExpirySweep } from "../expiry-sweep.js";
import { createFeedPublisher, type FeedPublisher, type FeedPublisherOptions } from "../feed/feed-publisher.js";
import { registrationsOfSource } from "../feed/published-registrations.js";
import { createResourceDirectory } from "../resource-directory.js";
import { createMemoryStore } from "../store/memory-store.js";
import type { RegistrationStore } from "../store/types.js";
import type { RegistrationLimits, ResourceDirectory } from "../types.js";
import { type BuiltRequest, buildRequest, DIRECTORY_ADDRESS } from "./built-request.js";

/** What tests give: virtual time and network. */
export interface TestWorld {
  readonly env: Environment;
  readonly clock: {
    nowMs(): number;
    advance(ms: number): Promise<void>;
    settle(): Promise<void>;
    runUntil(condition: () => boolean, limitMs?: number): Promise<boolean>;
  };
  readonly network: { open(address: string, port: number): DatagramSocket };
}

export interface ServedDirectoryOptions {
  readonly store?: RegistrationStore;
  readonly limits?: Partial<RegistrationLimits>;
  readonly replicas?: readonly string[];
  readonly site?: SiteOptions;
  readonly feed?: Partial<FeedPublisherOptions> | null;
  readonly resourcePath?: readonly string[];
  readonly directory?: Directory;
  readonly source?: LookupSource;
  readonly linksetFormat?: number;
  readonly guard?: AmplificationGuard;
  readonly requiresFreshness?: boolean;
}

/** A whole RD in a virtual world, at coap://[2001:db8:23::3]. */
export interface ServedDirectory {
  readonly directory: Directory;
  readonly rd: ResourceDirectory;
  readonly feed: FeedPublisher | null;
  readonly handler: RequestHandler;
  /** Call the handler without a network. */
  call(method: keyof typeof METHOD, uri: string, more?: BuiltRequest): ServerResponse | Promise<ServerResponse>;
  /** The same, for answers that must come at once. */
  ask(method: keyof typeof METHOD, uri: string, more?: BuiltRequest): ServerResponse;
  /** Register and return the path of the registration resource. */
  register(query: string, payload?: string, more?: BuiltRequest): string;
  /** Links of a lookup, as a client of the handler gets them. */
  lookup(kind: LookupInterface, query?: string, more?: BuiltRequest): Link[];
  close(): Promise<void>;
}

export function serveDirectory(world: TestWorld, options: ServedDirectoryOptions = {}): ServedDirectory {
  const { env } = world;
  const directory = options.directory ?? createDirectory();
  let handler: RequestHandler = () => ({ code: 163 });
  const endpoint = createCoapEndpoint(
    { socket: world.network.open(DIRECTORY_ADDRESS, 5683), env },
    {
      handler: Object.assign((request: ServerRequest) => handler(request), { evaluatesPreconditions: true }),
      guard: options.guard,
      isConfigured: createReplicaPolicy(options.replicas ?? ["any"]),
    },
  );
  const rd = createResourceDirectory(
    { directory, store: options.store ?? createMemoryStore(0xabc), client: endpoint, env },
    {
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      requiresFreshness: options.requiresFreshness ?? false,
      ...(options.resourcePath === undefined ? {} : { resourcePath: options.resourcePath }),
    },
  );
  const publishes = registrationsOfSource(directory, "local", rd);
  const feed =
    options.feed === null
      ? null
      : createFeedPublisher({ directory, env }, { epoch: 0xabc, publishes, ...options.feed });
  const sweep = startExpirySweep({ directory, env });
  const source = options.source ?? directoryLookupSource(directory, env);
  const mayReplicate = createReplicaPolicy(options.replicas ?? ["any"]);
  const lookupDeps = { directory, env, source, mayReplicate, ...(feed === null ? {} : { feed }) };
  const lookups = (["ep", "res"] as const).map((kind) =>
    createLookupInterface(lookupDeps, {
      kind,
      path: ["rd-lookup", kind],
      attributes: [
        ["rt", `core.rd-lookup-${kind}`],
        ["ct", feed === null ? "40" : "40 51"],
        ["obs", null],
      ],
      ...(options.resourcePath === undefined ? {} : { resourcePath: options.resourcePath }),
      ...(options.linksetFormat === undefined ? {} : { linksetFormat: options.linksetFormat }),
    }),
  );
  handler = createSite([...rd.resources, ...lookups], options.site);

  const call = (method: keyof typeof METHOD, uri: string, more?: BuiltRequest) =>
    handler(buildRequest(method, uri, more));
  function ask(method: keyof typeof METHOD, uri: string, more?: BuiltRequest): ServerResponse {
    const answer = call(method, uri, more);
    if (answer instanceof Promise) throw new Error("the answer is not there at once");
    return answer;
  }
  return {
    directory,
    rd,
    feed,
    handler,
    call,
    ask,
    register(query, payload = "", more = {}) {
      const answer = ask("POST", `/rd?${query}`, { payload, ...more });
      if (formatCode(answer.code) !== "2.01") throw new Error(`${formatCode(answer.code)} ${textOf(answer)}`);
      return `/${(answer.locationPath ?? []).join("/")}`;
    },
    lookup: (kind, query = "", more = {}) =>
      linksOf(ask("GET", `/rd-lookup/${kind}${query === "" ? "" : `?${query}`}`, more)),
    async close() {
      sweep.close();
      feed?.close();
      await rd.close();
      await endpoint.close();
    },
  };
}

/** Code, with the diagnostic of an error, as people write it. */
export function codeOf(answer: { readonly code: number }): string {
  return formatCode(answer.code);
}

export function textOf({ payload, rest }: Pick<ServerResponse, "payload" | "rest">): string {
  const whole = rest?.upTo(Number.POSITIVE_INFINITY) ?? payload ?? [];
  if (whole instanceof Promise) throw new Error("the body is not made in one turn");
  return Buffer.from(whole).toString("utf8");
}

export function linksOf(answer: Pick<ServerResponse, "code" | "payload" | "rest">): Link[] {
  if (codeOf(answer) !== "2.05") throw new Error(`${codeOf(answer)} ${textOf(answer)}`);
  const text = textOf(answer);
  const parsed = parseLinkFormat(text);
  if (text !== "" && !parsed.ok) throw new Error(`no link format: ${text}`);
  return parsed.ok ? parsed.links : [];
}

/** An endpoint somewhere in the network, and requests of it that wait in virtual time. */
export interface TestClient {
  readonly endpoint: CoapEndpoint;
  request(
    method: keyof typeof METHOD,
    uri: string,
    more?: Partial<ClientRequest> & { readonly text?: string },
  ): Promise<ClientResponse>;
}

export function openClient(world: TestWorld, address = "2001:db8::2", port = 0, handler?: RequestHandler): TestClient {
  const endpoint = createCoapEndpoint(
    { socket: world.network.open(address, port), env: world.env },
    handler === undefined ? {} : { handler, isConfigured: () => true },
  );
  return {
    endpoint,
    async request(method, uri, more = {}) {
      const { text, ...rest } = more;
      const at = uri.indexOf("?");
      const answer = endpoint.request({
        method: METHOD[method],
        uri: `coap://[${DIRECTORY_ADDRESS}]${at < 0 ? uri : uri.slice(0, at)}`,
        ...(at < 0 ? {} : { query: uri.slice(at + 1).split("&") }),
        ...(text === undefined ? {} : { payload: Buffer.from(text, "utf8") }),
        ...rest,
      });
      return inVirtualTime(world, answer);
    },
  };
}

/** Let time pass until a promise is settled. */
export async function inVirtualTime<T>(world: TestWorld, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = (): void => {
    isSettled = true;
  };
  promise.then(settled, settled);
  await world.clock.runUntil(() => isSettled);
  return promise;
}
