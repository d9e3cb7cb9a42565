import {
  CODE,
  errorResponse,
  type PeerConnection,
  type RequestHandler,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import type { Environment, Timer } from "@tributary/runtime";
import type { ProxyOptions } from "../proxy-types.js";
import { accepted, type Result, refused } from "../refusal.js";
import { keyOf } from "../registrar/registry.js";
import type { StoredRegistration } from "../stored-registration.js";
import { type AnnouncedUris, announcedUris, placeOfBase } from "./endpoint-names.js";
import { EndpointPlaces, type OpenPlace } from "./endpoint-places.js";
import { Relay } from "./relay.js";
import { type EndpointLoad, RelayPlaces } from "./relay-places.js";

export interface EndpointProxyDeps {
  readonly env: Environment;
  /** Ends the registration of an endpoint whose connection stayed away. Resolves with false when that has to be tried again. */
  readonly endRegistration: (key: string, isStillAway: () => boolean) => Promise<boolean>;
  /** Called for each request that is not relayed, with the cause. */
  readonly onRejected: (cause: string) => void;
}

/** An endpoint that is proxied, by its (ep, d). */
interface ProxiedEndpoint {
  readonly key: string;
  readonly open: OpenPlace;
  readonly load: EndpointLoad;
  connection: PeerConnection | null;
  letGo: () => void;
  graceTimer: Timer | null;
}

/** A request that leaves no doubt over which connection the endpoint can be reached. */
export type ConnectedRequest = Pick<ServerRequest, "connection" | "local">;

/**
 * The reverse proxy of an RD for endpoints that keep a connection (draft 6.3). Each has a port or a name, under which requests are
 * relayed over the connection. Calls that concern one endpoint come one after the other.
 */
export class EndpointProxy {
  readonly #deps: EndpointProxyDeps;
  readonly #options: ProxyOptions;
  readonly #places: EndpointPlaces;
  readonly #endpoints = new Map<string, ProxiedEndpoint>();
  readonly relay: Relay;
  #opening = 0;
  #isClosed = false;

  constructor(deps: EndpointProxyDeps, options: ProxyOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#places = new EndpointPlaces(deps.env, options.naming);
    this.relay = new Relay(deps, options);
  }

  tableSizes() {
    const endpoints = [...this.#endpoints.values()];
    const away = endpoints.filter(({ connection }) => connection === null).length;
    return { "proxied-endpoints": endpoints.length, "proxied-away": away, ...this.relay.tableSizes() };
  }

  /** Whether the endpoint is proxied. */
  has(key: string): boolean {
    return this.#endpoints.has(key);
  }

  /** Whether the endpoint is proxied and its connection is there. */
  isConnected(key: string): boolean {
    return this.#endpoints.get(key)?.connection?.isOpen === true;
  }

  /**
   * From now on the endpoint is reached over the connection of `request`. Returns the URIs to announce. `before`: the base that it was
   * announced under, which it keeps if possible.
   */
  async attach(key: string, { connection, local }: ConnectedRequest, before?: string): Promise<Result<AnnouncedUris>> {
    if (connection === undefined) return NO_CONNECTION;
    const known = this.#endpoints.get(key);
    const endpoint = known ?? (await this.#open(key, before));
    if (endpoint === null) return NO_PLACE;
    if (this.#isClosed) return CLOSED;
    if (!connection.isOpen && known === undefined) {
      await this.release(key);
      return NO_CONNECTION;
    }
    this.#connect(endpoint, connection);
    return accepted(announcedUris(this.#options.naming, endpoint.open.place, local.address));
  }

  /** A registration of an earlier run: its endpoint has the grace period to connect again. False: its base cannot be served. */
  async restore({ base, ...registration }: StoredRegistration): Promise<boolean> {
    const key = keyOf(registration);
    if (this.#endpoints.has(key)) return true;
    const place = placeOfBase(this.#options.naming, base);
    const endpoint = place === null ? null : await this.#open(key, base, false);
    if (endpoint === null) return false;
    this.#startGrace(endpoint);
    return true;
  }

  /** The endpoint is not proxied any more. Resolves when its place is free. */
  async release(key: string): Promise<void> {
    const endpoint = this.#endpoints.get(key);
    if (endpoint === undefined) return;
    this.#endpoints.delete(key);
    this.#disconnect(endpoint);
    endpoint.graceTimer?.cancel();
    await endpoint.open.close();
  }

  /** `handler`, with requests that name an endpoint in Uri-Host relayed to it. */
  around(handler: RequestHandler): RequestHandler {
    if (this.#options.naming.kind !== "names") return handler;
    const handle = (request: ServerRequest) => {
      const found = this.#places.handlerOf(request);
      if (found === undefined) return handler(request);
      return found === null ? UNKNOWN_NAME : found(request);
    };
    const { evaluatesPreconditions } = handler;
    return Object.assign(handle, {
      ...(evaluatesPreconditions === undefined ? {} : { evaluatesPreconditions }),
      relays: (request: ServerRequest) => this.#places.handlerOf(request) != null || handler.relays?.(request) === true,
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#endpoints.keys()].map((key) => this.release(key)));
  }

  async #open(key: string, before: string | undefined, isOptional = true): Promise<ProxiedEndpoint | null> {
    const { limits, naming } = this.#options;
    if (this.#endpoints.size + this.#opening >= limits.endpoints) return null;
    this.#opening++;
    try {
      const wanted = before === undefined ? null : placeOfBase(naming, before);
      const open = await this.#places.open(this.#handlerOf(key), wanted, isOptional);
      if (open === null) return null;
      const load = RelayPlaces.load();
      const endpoint = { key, open, load, connection: null, letGo: () => {}, graceTimer: null };
      this.#endpoints.set(key, endpoint);
      if (this.#isClosed) await this.release(key);
      return endpoint;
    } finally {
      this.#opening--;
    }
  }

  #handlerOf(key: string): RequestHandler {
    const handle = (request: ServerRequest): ServerResponse | Promise<ServerResponse> => {
      const endpoint = this.#endpoints.get(key);
      return endpoint === undefined ? UNKNOWN_NAME : this.relay.relay(request, endpoint.connection, endpoint.load);
    };
    return Object.assign(handle, { evaluatesPreconditions: true, relays: () => true });
  }

  #connect(endpoint: ProxiedEndpoint, connection: PeerConnection): void {
    endpoint.graceTimer?.cancel();
    endpoint.graceTimer = null;
    if (endpoint.connection === connection) return;
    this.#disconnect(endpoint);
    const release = connection.hold();
    const unsubscribe = connection.onClosed(() => {
      if (endpoint.connection !== connection) return;
      this.#disconnect(endpoint);
      this.#startGrace(endpoint);
    });
    endpoint.connection = connection;
    endpoint.letGo = () => {
      unsubscribe();
      release();
    };
  }

  #disconnect(endpoint: ProxiedEndpoint): void {
    endpoint.letGo();
    endpoint.letGo = () => {};
    endpoint.connection = null;
  }

  /** The registration ends unless the endpoint connects again in time. */
  #startGrace(endpoint: ProxiedEndpoint): void {
    const { env, endRegistration } = this.#deps;
    if (this.#endpoints.get(endpoint.key) !== endpoint) return;
    const isStillAway = () => this.#endpoints.get(endpoint.key) === endpoint && endpoint.connection === null;
    endpoint.graceTimer?.cancel();
    endpoint.graceTimer = env.clock.setTimer(this.#options.graceMs, () => {
      void endRegistration(endpoint.key, isStillAway).then((isSettled) => {
        if (!isSettled && isStillAway()) this.#startGrace(endpoint);
      });
    });
  }
}

const NO_CONNECTION = refused("bad-request", "proxy is for endpoints that register over a connection and keep it open");
const NO_PLACE = refused("proxy-full", "this directory proxies as many endpoints as it can");
const CLOSED = refused("closed", "shutting down");
const UNKNOWN_NAME = errorResponse(CODE.NOT_FOUND, "no endpoint has this name now");
