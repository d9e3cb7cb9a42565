import {
  addressHolder,
  type ClientRequest,
  CODE,
  errorResponse,
  type PeerConnection,
  type ServerRequest,
  type ServerResponse,
  TransportError,
} from "@tributary/coap-transport";
import { RETRY_AFTER_S } from "@tributary/lookup-interface";
import { addCount, type Environment } from "@tributary/runtime";
import type { ProxyOptions } from "../proxy-types.js";
import { type EndpointLoad, RelayPlaces, type RelayRefusal } from "./relay-places.js";
import { ENDPOINT_AWAY, relayedRequest, relayedResponse, TOO_MANY_HOPS } from "./relayed-messages.js";
import { RelayedObservation } from "./relayed-observation.js";

/** What became of relayed requests, by outcome. */
export type RelayOutcome = "relayed" | "refused" | "away" | "failed";

const REFUSED: Readonly<Record<RelayRefusal, string>> = {
  "proxy-endpoint-busy": "too many requests to this endpoint at once",
  "proxy-busy": "too many relayed requests at once",
  "proxy-memory": "too many bytes are being relayed",
};

export interface RelayDeps {
  readonly env: Environment;
  readonly onRejected: (cause: string) => void;
}

/** Relays requests of clients over the connection that an endpoint keeps (draft 6.3). */
export class Relay {
  readonly #deps: RelayDeps;
  readonly #options: Pick<ProxyOptions, "limits" | "timeoutMs">;
  readonly #places: RelayPlaces;
  readonly #outcomes = new Map<string, number>();
  readonly #bytes = new Map<string, number>();

  constructor(deps: RelayDeps, options: Pick<ProxyOptions, "limits" | "timeoutMs">) {
    this.#deps = deps;
    this.#options = options;
    this.#places = new RelayPlaces(options.limits);
  }

  /** Requests by outcome; monotonic. */
  get outcomes(): ReadonlyMap<string, number> {
    return this.#outcomes;
  }

  /** Bytes of relayed bodies: `request` and `response`; monotonic. */
  get bytes(): ReadonlyMap<string, number> {
    return this.#bytes;
  }

  tableSizes() {
    return { "relayed-requests": this.#places.requests, "relayed-observations": this.#places.observations };
  }

  /** Relays a request to the endpoint of `connection`; null: it keeps none now. Never rejects. */
  async relay(request: ServerRequest, connection: PeerConnection | null, load: EndpointLoad): Promise<ServerResponse> {
    if (request.isMulticast) return errorResponse(CODE.BAD_REQUEST, "requests to groups are not relayed");
    if (connection === null || !connection.isOpen) {
      addCount(this.#outcomes, "away" satisfies RelayOutcome);
      return ENDPOINT_AWAY;
    }
    const relayed = relayedRequest(request, connection.origin);
    if (relayed === null) return TOO_MANY_HOPS;
    const release = this.#places.take(load, addressHolder(request.peer), request.payload.length);
    if (typeof release === "string") return this.#refuse(release);
    this.#count("request", request.payload.length);
    try {
      const response = await this.#ask(request, relayed, connection, load);
      addCount(this.#outcomes, "relayed" satisfies RelayOutcome);
      this.#count("response", response.payload?.length ?? 0);
      return response;
    } catch (error) {
      addCount(this.#outcomes, "failed" satisfies RelayOutcome);
      return this.#failure(error);
    } finally {
      release();
    }
  }

  #refuse(cause: RelayRefusal): ServerResponse {
    this.#deps.onRejected(cause);
    addCount(this.#outcomes, "refused" satisfies RelayOutcome);
    return { ...errorResponse(CODE.UNAVAILABLE, REFUSED[cause]), maxAgeS: RETRY_AFTER_S };
  }

  async #ask(
    request: ServerRequest,
    relayed: ClientRequest,
    connection: PeerConnection,
    load: EndpointLoad,
  ): Promise<ServerResponse> {
    const { limits, timeoutMs } = this.#options;
    const control = { timeoutMs, maxBodyBytes: limits.bodyBytes };
    const release = request.observe === 0 ? this.#places.takeObservation(load) : null;
    if (request.observe === 0 && release === null) this.#deps.onRejected("proxy-observations");
    if (release === null) return relayedResponse(await connection.request(relayed, control));
    const { clock } = this.#deps.env;
    return await new RelayedObservation({ connection, clock, release }, relayed, control).first;
  }

  #failure(error: unknown): ServerResponse {
    if (!(error instanceof TransportError)) {
      this.#deps.env.logger.error("a request could not be relayed", { error });
      return errorResponse(CODE.INTERNAL, "the request could not be relayed");
    }
    switch (error.code) {
      case "TIMEOUT":
        this.#deps.onRejected("proxy-timeout");
        return errorResponse(CODE.GATEWAY_TIMEOUT, "the endpoint does not respond");
      case "TOO_LARGE":
        this.#deps.onRejected("proxy-response-too-large");
        return errorResponse(CODE.BAD_GATEWAY, `the response is larger than ${this.#options.limits.bodyBytes} bytes`);
      case "MALFORMED":
        this.#deps.onRejected("proxy-malformed");
        return errorResponse(CODE.BAD_GATEWAY, "the response of the endpoint is not understood");
      default:
        return ENDPOINT_AWAY;
    }
  }

  #count(direction: "request" | "response", bytes: number): void {
    addCount(this.#bytes, direction, bytes);
  }
}
