import {
  type ClientResponse,
  CODE,
  errorResponse,
  METHOD,
  type RequestControl,
  type ServerRequest,
  type ServerResponse,
  type TableSizes,
  TransportError,
  type TransportErrorCode,
} from "@tributary/coap-transport";
import {
  MAX_OBSERVED_BYTES,
  MAX_RESPONSE_BYTES,
  MAX_RESPONSES_BYTES,
  MAX_UNPROVEN_RESPONSE_BYTES,
  MAX_WAITING_FOR_SILENT,
  RETRY_AFTER_S,
} from "./constants.js";
import { ForwardedObservations } from "./forwarded-observations.js";
import { type ForwardedRequest, forwardedRequest, toClientRequest } from "./forwarded-request.js";
import { hopLimitReached, nextHopLimit, withNameInFront } from "./hop-limit.js";
import { forwardedRequestOptions, forwardedResponse } from "./option-translation.js";
import { PeerHealth } from "./peer-health.js";
import { peersExceptSender } from "./sender.js";
import type { ForwardingDeps, ForwardingOptions, ForwardingOutcome, ForwardingPeer, PeerStatus } from "./types.js";

/** The parts of a request that are changed before it is forwarded. */
export type Changes = Partial<Pick<ForwardedRequest, "path" | "query" | "payload" | "contentFormat">>;

/** Outcome of a request at one peer: the final response, or the response to use when no further peer responds. */
type Attempt =
  | { readonly kind: "final"; readonly response: ServerResponse }
  | { readonly kind: "next"; readonly response: ServerResponse };

/** Errors caused by this node, not by the peer. */
const OWN_FAILURES: ReadonlySet<TransportErrorCode> = new Set(["TOO_LARGE", "OVERLOADED", "CLOSED", "ABORTED"]);

const OVERLOAD: ServerResponse = {
  ...errorResponse(CODE.UNAVAILABLE, "too many forwarded requests at once"),
  maxAgeS: RETRY_AFTER_S,
};

/** Forwards requests to peers, one after the other until one responds. */
export class Forwarder {
  readonly #deps: ForwardingDeps;
  readonly #options: ForwardingOptions;
  readonly #health: PeerHealth;
  readonly #observations: ForwardedObservations;
  readonly #rejected = new Map<string, number>();
  #running = 0;

  constructor(deps: ForwardingDeps, options: ForwardingOptions) {
    const { peers, failoverMs, observations, observedBytes, self } = options;
    this.#deps = deps;
    this.#options = options;
    this.#health = new PeerHealth(deps, { peers, probeTimeoutMs: failoverMs });
    this.#observations = new ForwardedObservations(
      {
        ...deps,
        onSilence: (peer, error) => this.#health.note(peer, outcomeOf(error)),
        onNoRoom: () => this.#count("observer-limit"),
      },
      { name: self.name, max: observations, maxBytes: observedBytes ?? MAX_OBSERVED_BYTES },
    );
  }

  get rejected(): ReadonlyMap<string, number> {
    return this.#rejected;
  }

  peers(): readonly PeerStatus[] {
    return this.#health.status();
  }

  tableSizes(): TableSizes {
    return { forwarded: this.#running, "forwarded-observations": this.#observations.size };
  }

  close(): void {
    this.#observations.close();
    this.#health.close();
  }

  /** Counts a refusal and returns its response. */
  reject(cause: string, response: ServerResponse): ServerResponse {
    this.#count(cause);
    return response;
  }

  /** Returns the response of the first of `peers` that responds. Rejects only for programming errors. */
  async forward(
    request: ServerRequest,
    peers: readonly ForwardingPeer[],
    changes: Changes = {},
  ): Promise<ServerResponse> {
    const { self, concurrency } = this.#options;
    // Every node of the group would forward it. The transport suppresses the error response (RFC 7252 section 8.2).
    if (request.isMulticast) return this.reject("forward-multicast", errorResponse(CODE.NOT_FOUND, "not by multicast"));
    const hopLimit = nextHopLimit(request.hopLimit);
    const candidates = peersExceptSender(request, peers);
    if (hopLimit === null || candidates.length === 0) return this.reject("forward-loop", hopLimitReached(self.name));
    const options = forwardedRequestOptions(request.options);
    if (options === null)
      return this.reject("forward-option", errorResponse(CODE.BAD_OPTION, "an option cannot be forwarded"));
    if (this.#running >= concurrency) return this.reject("forward-overload", OVERLOAD);
    this.#running++;
    try {
      const forwarded = { ...forwardedRequest(request, { hopLimit, options }), ...changes };
      return withNameInFront(self.name, await this.#ask(request, forwarded, this.#health.inOrder(candidates)));
    } finally {
      this.#running--;
    }
  }

  /**
   * Tries the candidates in order. A registration whose response is late may have been accepted, and the next RD accepts it too.
   * The same happens when an endpoint itself turns to the next RD (draft 6.2): lookups return the one renewed last, the other
   * expires.
   */
  async #ask(
    request: ServerRequest,
    forwarded: ForwardedRequest,
    candidates: readonly ForwardingPeer[],
  ): Promise<ServerResponse> {
    const { timeoutMs, failoverMs } = this.#options;
    let last: ServerResponse = OVERLOAD;
    for (const [index, peer] of candidates.entries()) {
      // The long time-out is only worth it for the last candidate, and if that is up.
      const isLastHope = index === candidates.length - 1 && this.#health.isUp(peer);
      const attempt =
        this.#skip(peer) ??
        (await this.#health.during(peer, () =>
          this.#try(peer, request, forwarded, isLastHope ? timeoutMs : failoverMs),
        ));
      if (attempt.kind === "final") return attempt.response;
      last = attempt.response;
    }
    return last;
  }

  /** Skips a peer for which enough requests wait already: one slow peer must not use up the concurrency. */
  #skip(peer: ForwardingPeer): Attempt | null {
    const { concurrency, peers } = this.#options;
    const running = this.#health.runningAt(peer);
    if (!this.#health.isUp(peer) && running >= MAX_WAITING_FOR_SILENT)
      return { kind: "next", response: this.reject("forward-silent", silent(peer)) };
    const share = peers.length > 1 ? Math.ceil(concurrency / 2) : concurrency;
    return running < share ? null : { kind: "next", response: this.reject("forward-overload", OVERLOAD) };
  }

  async #try(
    peer: ForwardingPeer,
    request: ServerRequest,
    forwarded: ForwardedRequest,
    timeoutMs: number,
  ): Promise<Attempt> {
    const isUnproven = request.sourceProof === "none";
    const maxBodyBytes = isUnproven ? MAX_UNPROVEN_RESPONSE_BYTES : responseBytes(this.#running);
    const control = { timeoutMs, maxBodyBytes };
    try {
      const response = await this.#send(peer, request, forwarded, control);
      this.#health.note(peer, "answered");
      // 5.03: overloaded, or shutting down. Another peer may have room.
      return { kind: response.code === CODE.UNAVAILABLE ? "next" : "final", response };
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      const outcome = outcomeOf(error);
      this.#health.note(peer, outcome);
      if (outcome !== "failed") return { kind: "next", response: silent(peer) };
      this.#deps.env.logger.debug("a forwarded request failed", { peer: peer.name, path: request.path, error });
      // When this node is the cause, the response of another peer could not be forwarded either.
      return {
        kind: OWN_FAILURES.has(error.code) ? "final" : "next",
        response: failure(error, isUnproven, maxBodyBytes),
      };
    }
  }

  async #send(
    peer: ForwardingPeer,
    request: ServerRequest,
    forwarded: ForwardedRequest,
    control: Required<Omit<RequestControl, "signal">>,
  ): Promise<ServerResponse> {
    if (request.observe === 0) {
      const { timeoutMs: patienceMs, maxBodyBytes } = control;
      const limits = { patienceMs, timeoutMs: this.#options.timeoutMs, maxBodyBytes };
      const observed = await this.#observations.observe(peer, forwarded, limits);
      if (observed !== null) return validated(request, observed);
      this.#count("observer-limit");
    }
    const response: ClientResponse = await this.#deps.client.request(
      toClientRequest(forwarded, peer, request.etags),
      control,
    );
    // The state of the registration is at the peer. A later change by the same client may have made this response outdated.
    return { ...forwardedResponse(response), ...(isIdempotentHere(request) ? UNTIL_NEXT_CHANGE : {}) };
  }

  #count(cause: string): void {
    this.#rejected.set(cause, (this.#rejected.get(cause) ?? 0) + 1);
  }
}

/** A forwarded registration, renewal or removal is idempotent: its response may be repeated until the next change. */
const UNTIL_NEXT_CHANGE: Pick<ServerResponse, "isStillTrue"> = { isStillTrue: ({ hasChangedMore }) => !hasChangedMore };

function isIdempotentHere({ method }: ServerRequest): boolean {
  return method === METHOD.POST || method === METHOD.DELETE;
}

function silent({ name }: ForwardingPeer): ServerResponse {
  return errorResponse(CODE.GATEWAY_TIMEOUT, `${name} does not answer`);
}

/** Largest response for one of `running` concurrent requests, bytes. */
function responseBytes(running: number): number {
  const share = Math.floor(MAX_RESPONSES_BYTES / running);
  return Math.min(MAX_RESPONSE_BYTES, Math.max(MAX_UNPROVEN_RESPONSE_BYTES, share));
}

/** Returns 2.03 for a client that has the present state. The peer does not see the ETags, because clients share the observation. */
function validated(request: ServerRequest, response: ServerResponse): ServerResponse {
  const { etag, payload: _, contentFormat: __, ...rest } = response;
  const isCurrent = etag !== undefined && request.etags.some((known) => Buffer.compare(known, etag) === 0);
  return isCurrent && response.code === CODE.CONTENT ? { ...rest, etag, code: CODE.VALID } : response;
}

function outcomeOf(error: Error): ForwardingOutcome {
  const code = error instanceof TransportError ? error.code : undefined;
  if (code === "TIMEOUT") return "timeout";
  return code === "UNREACHABLE" ? "unreachable" : "failed";
}

function failure({ code }: TransportError, isUnproven: boolean, maxBodyBytes: number): ServerResponse {
  switch (code) {
    case "TOO_LARGE":
      if (isUnproven) return { code: CODE.UNAUTHORIZED, issuesEcho: true };
      return maxBodyBytes < MAX_RESPONSE_BYTES
        ? OVERLOAD
        : errorResponse(CODE.BAD_GATEWAY, "the response is too large to be forwarded");
    case "OVERLOADED":
    case "CLOSED":
    case "ABORTED":
      return { ...errorResponse(CODE.UNAVAILABLE, "cannot be forwarded now"), maxAgeS: RETRY_AFTER_S };
    default:
      return errorResponse(CODE.BAD_GATEWAY, "the response cannot be forwarded");
  }
}
