import { type CoapClient, type ServerResponse, TransportError } from "@tributary/coap-transport";
import type { Environment } from "@tributary/runtime";
import { ByteBudget } from "./byte-budget.js";
import { MAX_UNPROVEN_RESPONSE_BYTES } from "./constants.js";
import { type ForwardedRequest, toClientRequest } from "./forwarded-request.js";
import { SharedObservation } from "./shared-observation.js";
import type { ForwardingPeer } from "./types.js";

/** Collaborators and callbacks of `ForwardedObservations`. */
export interface ForwardedObservationsDeps {
  readonly client: CoapClient;
  readonly env: Environment;
  /** Called when an observed peer no longer responds. */
  readonly onSilence: (peer: ForwardingPeer, error: Error) => void;
  /** Called when an observation was ended for lack of memory. */
  readonly onNoRoom: () => void;
}

/** Bounds of `ForwardedObservations`. */
export interface ForwardedObservationsOptions {
  /** Name of this node. */
  readonly name: string;
  /** Concurrent observations. */
  readonly max: number;
  /** Bytes of their requests and cached states. */
  readonly maxBytes: number;
}

/** Limits of one observation. */
export interface ObservationLimits {
  /** Time-out of this caller for the first response, ms. */
  readonly patienceMs: number;
  /** Time-out of the peer for the first response and for refreshes, ms. */
  readonly timeoutMs: number;
  readonly maxBodyBytes: number;
}

/** Observations at peers. Clients that observe the same resource share one (RFC 7641 section 5). */
export class ForwardedObservations {
  readonly #deps: ForwardedObservationsDeps;
  readonly #name: string;
  readonly #max: number;
  readonly #budget: ByteBudget;
  readonly #shared = new Map<string, SharedObservation>();

  constructor(deps: ForwardedObservationsDeps, options: ForwardedObservationsOptions) {
    this.#deps = deps;
    this.#name = options.name;
    this.#max = options.max;
    this.#budget = new ByteBudget(options.maxBytes);
  }

  get size(): number {
    return this.#shared.size;
  }

  /**
   * Returns the present state with an observation to attach to, or a response without one where the resource is not observable;
   * null when there is no room for another observation.
   * @throws {TransportError} when there is no response
   */
  async observe(
    peer: ForwardingPeer,
    request: ForwardedRequest,
    limits: ObservationLimits,
  ): Promise<ServerResponse | null> {
    // With another bound the response may differ.
    const key = `${limits.maxBodyBytes <= MAX_UNPROVEN_RESPONSE_BYTES} ${keyOf(peer, request)}`;
    const shared = this.#shared.get(key) ?? this.#open(key, peer, request, limits);
    if (shared === null) return null;
    const impatience = this.#deps.env.clock.setTimer(limits.patienceMs, () =>
      shared.giveUp(new TransportError("TIMEOUT", "no response in time")),
    );
    const response = await shared.firstResponse.finally(() => impatience.cancel());
    return shared.join() ?? response;
  }

  close(): void {
    for (const shared of [...this.#shared.values()]) shared.cancel();
  }

  #open(
    key: string,
    peer: ForwardingPeer,
    request: ForwardedRequest,
    { timeoutMs, maxBodyBytes }: ObservationLimits,
  ): SharedObservation | null {
    const { client, env, onSilence, onNoRoom } = this.#deps;
    if (this.#shared.size >= this.#max || !this.#budget.replace(0, key.length)) return null;
    const shared: SharedObservation = new SharedObservation(env, {
      name: this.#name,
      onEnded: () => {
        this.#budget.replace(key.length, 0);
        if (this.#shared.get(key) === shared) this.#shared.delete(key);
      },
      onSilence: (error) => onSilence(peer, error),
      budget: this.#budget,
      onNoRoom,
    });
    this.#shared.set(key, shared);
    shared.start((keepAlive) =>
      client.observe(toClientRequest(request, peer), shared, { timeoutMs, maxBodyBytes, keepAlive }),
    );
    return shared;
  }
}

/** Cache key of a request: equal for requests that get the same response. The Hop-Limit is not part of it. */
function keyOf(
  { name }: ForwardingPeer,
  { method, path, query, accept, contentFormat, options, payload }: ForwardedRequest,
) {
  const body = payload === undefined ? null : Buffer.from(payload).toString("latin1");
  const others = options.map(({ number, value }) => [number, Buffer.from(value).toString("latin1")]);
  return JSON.stringify([name, method, path, query, accept ?? null, contentFormat ?? null, others, body]);
}
