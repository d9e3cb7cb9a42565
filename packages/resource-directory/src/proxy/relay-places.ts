import type { ProxyLimits } from "../proxy-types.js";

/** Why a request is not relayed: the endpoint has its share, or all of them together have. */
export type RelayRefusal = "proxy-endpoint-busy" | "proxy-busy" | "proxy-memory";

/** What requests and observations of one endpoint take. */
export interface EndpointLoad {
  requests: number;
  observations: number;
  /** Requests by client address. */
  readonly clients: Map<string, number>;
}

/** The places and the memory that relayed requests share. */
export class RelayPlaces {
  readonly #limits: ProxyLimits;
  #requests = 0;
  #observations = 0;
  #bytes = 0;

  constructor(limits: ProxyLimits) {
    this.#limits = limits;
  }

  get requests(): number {
    return this.#requests;
  }

  get observations(): number {
    return this.#observations;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A load without requests. */
  static load(): EndpointLoad {
    return { requests: 0, observations: 0, clients: new Map() };
  }

  /**
   * Takes a place for a request of `client` with `bytes` of payload, and room for the largest response. Returns the function that
   * gives them back, or why there is no place.
   */
  take(load: EndpointLoad, client: string, bytes: number): RelayRefusal | (() => void) {
    const { requests, requestsPerEndpoint, bytes: maxBytes, bodyBytes } = this.#limits;
    const ofClient = load.clients.get(client) ?? 0;
    // One client that floods an endpoint leaves half of it to others.
    const share = Math.max(1, Math.ceil(requestsPerEndpoint / 2));
    if (load.requests >= requestsPerEndpoint || ofClient >= share) return "proxy-endpoint-busy";
    if (this.#requests >= requests) return "proxy-busy";
    const taken = bytes + bodyBytes;
    if (this.#bytes + taken > maxBytes) return "proxy-memory";
    load.requests++;
    load.clients.set(client, ofClient + 1);
    this.#requests++;
    this.#bytes += taken;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      load.requests--;
      this.#requests--;
      this.#bytes -= taken;
      const left = (load.clients.get(client) ?? 1) - 1;
      if (left > 0) load.clients.set(client, left);
      else load.clients.delete(client);
    };
  }

  /** Takes a place for an observation. Returns the function that gives it back; null: there is none. */
  takeObservation(load: EndpointLoad): (() => void) | null {
    const { observations, observationsPerEndpoint } = this.#limits;
    if (load.observations >= observationsPerEndpoint || this.#observations >= observations) return null;
    load.observations++;
    this.#observations++;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      load.observations--;
      this.#observations--;
    };
  }
}
