import { type CoapClient, type ServerResponse, TransportError } from "@tributary/coap-transport";
import type { Environment } from "@tributary/runtime";
import { ByteBudget } from "./byte-budget.js";
import { MAX_UNPROVEN_ANSWER_BYTES } from "./constants.js";
import { type ForwardedRequest, toClientRequest } from "./forwarded-request.js";
import { type ObservedAnswer, SharedObservation } from "./shared-observation.js";
import type { ForwardingPeer } from "./types.js";

export interface ForwardedObservationsDeps {
  readonly client: CoapClient;
  readonly env: Environment;
  /** A peer that was being observed is no longer there. */
  readonly onSilence: (peer: ForwardingPeer, error: Error) => void;
  /** One was ended for want of memory. */
  readonly onNoRoom: () => void;
}

export interface ForwardedObservationsOptions {
  /** Name of this node. */
  readonly name: string;
  /** Observations at once. */
  readonly max: number;
  /** Bytes of requests and states that they hold. */
  readonly maxBytes: number;
}

export interface ObservationLimits {
  /** How long this caller waits for the first answer. */
  readonly patienceMs: number;
  /** How long the peer may take to answer, at first and later on. */
  readonly timeoutMs: number;
  readonly maxBodyBytes: number;
}

/** Observations at peers. Each is made once, for however many ask for the same (RFC 7641 section 5). */
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
   * The present state with the observation to attach to, or an answer without one where the peer offers none; null when there
   * is no room for one more observation.
   * @throws {TransportError} when there is no answer
   */
  async observe(
    peer: ForwardingPeer,
    request: ForwardedRequest,
    limits: ObservationLimits,
  ): Promise<ServerResponse | null> {
    // Another bound is another answer.
    const key = `${limits.maxBodyBytes <= MAX_UNPROVEN_ANSWER_BYTES} ${keyOf(peer, request)}`;
    const shared = this.#shared.get(key) ?? this.#open(key, peer, request, limits);
    if (shared === null) return null;
    const impatience = this.#deps.env.clock.setTimer(limits.patienceMs, () =>
      shared.giveUp(new TransportError("TIMEOUT", "no answer in time")),
    );
    const answer: ObservedAnswer = await shared.firstAnswer.finally(() => impatience.cancel());
    return shared.join() ?? answer;
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
      onOver: () => {
        this.#budget.replace(key.length, 0);
        if (this.#shared.get(key) === shared) this.#shared.delete(key);
      },
      onSilence: (error) => onSilence(peer, error),
      budget: this.#budget,
      onNoRoom,
    });
    this.#shared.set(key, shared);
    shared.start(client.observe(toClientRequest(request, peer), shared, { timeoutMs, maxBodyBytes }));
    return shared;
  }
}

/** Equal for requests that get the same answers: how far they may go on does not matter. */
function keyOf(
  { name }: ForwardingPeer,
  { method, path, query, accept, contentFormat, options, payload }: ForwardedRequest,
) {
  const body = payload === undefined ? null : Buffer.from(payload).toString("latin1");
  const others = options.map(({ number, value }) => [number, Buffer.from(value).toString("latin1")]);
  return JSON.stringify([name, method, path, query, accept ?? null, contentFormat ?? null, others, body]);
}
