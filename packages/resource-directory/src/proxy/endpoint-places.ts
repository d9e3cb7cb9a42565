import { type RequestHandler, type ServerRequest, TransportError } from "@tributary/coap-transport";
import type { Environment } from "@tributary/runtime";
import type { ProxyListener, ProxyNaming } from "../proxy-types.js";
import { type EndpointPlace, labelOf, randomLabel } from "./endpoint-names.js";

/** Ports that are tried for one endpoint where others of this host have some of the range. */
const MAX_PORT_TRIES = 32;

/** A place that is taken, with what serves it. */
export interface OpenPlace {
  readonly place: EndpointPlace;
  close(): Promise<void>;
}

type Ports = Extract<ProxyNaming, { readonly kind: "ports" }>;

/** Gives each proxied endpoint a port or a name of its own, and leads requests for it to its handler. */
export class EndpointPlaces {
  readonly #env: Environment;
  readonly #naming: ProxyNaming;
  readonly #ports = new Set<number>();
  readonly #labels = new Map<string, RequestHandler>();
  /** Ports are given in turn, so that one that was given up is not soon another endpoint's. */
  #nextPort: number;

  constructor(env: Environment, naming: ProxyNaming) {
    this.#env = env;
    this.#naming = naming;
    this.#nextPort = naming.kind === "ports" ? naming.from : 0;
  }

  /** Opens `wanted`, or another place; null: none is free. Without `isOptional` only `wanted` will do. */
  async open(handler: RequestHandler, wanted: EndpointPlace | null, isOptional = true): Promise<OpenPlace | null> {
    const naming = this.#naming;
    if (naming.kind === "names")
      return this.#openLabel(handler, wanted !== null && "label" in wanted ? wanted.label : null);
    if (wanted !== null && "port" in wanted) {
      const opened = await this.#openPort(naming, handler, wanted.port);
      if (opened !== null || !isOptional) return opened;
    }
    const count = naming.to - naming.from + 1;
    let failures = 0;
    for (let tried = 0; tried < count && failures < MAX_PORT_TRIES; tried++) {
      const port = this.#nextPort;
      this.#nextPort = port === naming.to ? naming.from : port + 1;
      if (this.#ports.has(port)) continue;
      const opened = await this.#openPort(naming, handler, port);
      if (opened !== null) return opened;
      failures++;
    }
    return null;
  }

  /** The handler of the endpoint that a request names; null: the name is nobody's; undefined: it names no endpoint. */
  handlerOf({ uriHost }: Pick<ServerRequest, "uriHost">): RequestHandler | null | undefined {
    if (this.#naming.kind !== "names" || uriHost === undefined) return undefined;
    const label = labelOf(this.#naming.domain, uriHost);
    return label === null ? undefined : (this.#labels.get(label) ?? null);
  }

  #openLabel(handler: RequestHandler, wanted: string | null): OpenPlace {
    let label = wanted ?? randomLabel(this.#env.random);
    while (this.#labels.has(label)) label = randomLabel(this.#env.random);
    this.#labels.set(label, handler);
    return { place: { label }, close: async () => void this.#labels.delete(label) };
  }

  /** Null when the port, of one of the schemes, is taken. */
  async #openPort(naming: Ports, handler: RequestHandler, port: number): Promise<OpenPlace | null> {
    if (this.#ports.has(port)) return null;
    this.#ports.add(port);
    const listeners: ProxyListener[] = [];
    const close = async () => {
      await Promise.all(listeners.map((listener) => listener.close()));
      this.#ports.delete(port);
    };
    try {
      for (const scheme of naming.schemes) listeners.push(await naming.listen({ scheme, port }, handler));
      return { place: { port }, close };
    } catch (error) {
      await close();
      if (!(error instanceof TransportError)) throw error;
      this.#env.logger.info("a port for proxied endpoints is taken", { port, error: error.message });
      return null;
    }
  }
}
