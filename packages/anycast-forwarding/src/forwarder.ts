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
  MAX_ANSWER_BYTES,
  MAX_OBSERVED_BYTES,
  MAX_PASSING_BYTES,
  MAX_UNPROVEN_ANSWER_BYTES,
  MAX_WAITING_FOR_SILENT,
  RETRY_AFTER_S,
} from "./constants.js";
import { ForwardedObservations } from "./forwarded-observations.js";
import { type ForwardedRequest, forwardedRequest, toClientRequest } from "./forwarded-request.js";
import { hopLimitReached, nextHopLimit, withNameInFront } from "./hop-limit.js";
import { forwardedRequestOptions, forwardedResponse } from "./option-translation.js";
import { PeerHealth } from "./peer-health.js";
import { peersBesidesSender } from "./sender.js";
import type { ForwardingDeps, ForwardingOptions, ForwardingOutcome, ForwardingPeer, PeerStatus } from "./types.js";

/** What of a request is sent otherwise than it came. */
export type Changes = Partial<Pick<ForwardedRequest, "path" | "query" | "payload" | "contentFormat">>;

/** What one peer made of a request: an answer, or why the next one is to be asked. */
type Attempt =
  | { readonly kind: "answer"; readonly response: ServerResponse }
  | { readonly kind: "next"; readonly response: ServerResponse };

/** Errors that are not the fault of the peer. */
const OWN_FAILURES: ReadonlySet<TransportErrorCode> = new Set(["TOO_LARGE", "OVERLOADED", "CLOSED", "ABORTED"]);

const OVERLOAD: ServerResponse = {
  ...errorResponse(CODE.UNAVAILABLE, "too many forwarded requests at once"),
  maxAgeS: RETRY_AFTER_S,
};

/** Sends requests on to peers, one after the other until one answers. */
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

  reject(cause: string, response: ServerResponse): ServerResponse {
    this.#count(cause);
    return response;
  }

  /** Answer `request` by the first of `peers` that does. Rejects only for faults of the program. */
  async forward(
    request: ServerRequest,
    peers: readonly ForwardingPeer[],
    changes: Changes = {},
  ): Promise<ServerResponse> {
    const { self, concurrency } = this.#options;
    // Every node of the group would do it; the transport says nothing to that (RFC 7252 section 8.2).
    if (request.isMulticast) return this.reject("forward-multicast", errorResponse(CODE.NOT_FOUND, "not by multicast"));
    const hopLimit = nextHopLimit(request.hopLimit);
    const candidates = peersBesidesSender(request, peers);
    if (hopLimit === null || candidates.length === 0) return this.reject("forward-loop", hopLimitReached(self.name));
    const options = forwardedRequestOptions(request.options);
    if (options === null)
      return this.reject("forward-option", errorResponse(CODE.BAD_OPTION, "an option cannot be passed on"));
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
   * A registration whose answer is late may have been taken nevertheless; the next RD then takes it too. That is what happens
   * when an endpoint itself turns to the next RD (draft 6.2): lookups show the one renewed last, the other ends by itself.
   */
  async #ask(
    request: ServerRequest,
    forwarded: ForwardedRequest,
    candidates: readonly ForwardingPeer[],
  ): Promise<ServerResponse> {
    const { timeoutMs, failoverMs } = this.#options;
    let last: ServerResponse = OVERLOAD;
    for (const [index, peer] of candidates.entries()) {
      // Waiting pays only where there is nobody else to ask, and hope.
      const isLastHope = index === candidates.length - 1 && this.#health.isUp(peer);
      const attempt =
        this.#spared(peer) ??
        (await this.#health.during(peer, () =>
          this.#try(peer, request, forwarded, isLastHope ? timeoutMs : failoverMs),
        ));
      if (attempt.kind === "answer") return attempt.response;
      last = attempt.response;
    }
    return last;
  }

  /** What is said at once in the place of a peer for which enough requests wait: one peer must not take the room of all. */
  #spared(peer: ForwardingPeer): Attempt | null {
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
    const maxBodyBytes = isUnproven ? MAX_UNPROVEN_ANSWER_BYTES : answerBytes(this.#running);
    const control = { timeoutMs, maxBodyBytes };
    try {
      const response = await this.#send(peer, request, forwarded, control);
      this.#health.note(peer, "answered");
      // 5.03: full, or about to end. Another one may have room.
      return { kind: response.code === CODE.UNAVAILABLE ? "next" : "answer", response };
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      const outcome = outcomeOf(error);
      this.#health.note(peer, outcome);
      if (outcome !== "failed") return { kind: "next", response: silent(peer) };
      this.#deps.env.logger.debug("a forwarded request failed", { peer: peer.name, path: request.path, error });
      // What another peer would answer could not be passed on either, when it is this node that cannot.
      return {
        kind: OWN_FAILURES.has(error.code) ? "answer" : "next",
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
    // What became of it at the other node is not known here; a change that the same client asked for later may have undone it.
    return { ...forwardedResponse(response), ...(isIdempotentHere(request) ? UNTIL_NEXT_CHANGE : {}) };
  }

  #count(cause: string): void {
    this.#rejected.set(cause, (this.#rejected.get(cause) ?? 0) + 1);
  }
}

/** The requests of RFC 9176 that are forwarded are idempotent: registration, renewal and removal. */
const UNTIL_NEXT_CHANGE: Pick<ServerResponse, "isStillTrue"> = { isStillTrue: ({ hasChangedMore }) => !hasChangedMore };

function isIdempotentHere({ method }: ServerRequest): boolean {
  return method === METHOD.POST || method === METHOD.DELETE;
}

function silent({ name }: ForwardingPeer): ServerResponse {
  return errorResponse(CODE.GATEWAY_TIMEOUT, `${name} does not answer`);
}

/** How large an answer may be, of so many that are under way: few large ones, or many small ones. */
function answerBytes(running: number): number {
  const share = Math.floor(MAX_PASSING_BYTES / running);
  return Math.min(MAX_ANSWER_BYTES, Math.max(MAX_UNPROVEN_ANSWER_BYTES, share));
}

/** 2.03 for an observer that holds the present state already; others share the observation, so the peer is not told. */
function validated(request: ServerRequest, response: ServerResponse): ServerResponse {
  const { etag, payload: _, contentFormat: __, ...rest } = response;
  const isHeld = etag !== undefined && request.etags.some((held) => Buffer.compare(held, etag) === 0);
  return isHeld && response.code === CODE.CONTENT ? { ...rest, etag, code: CODE.VALID } : response;
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
      return maxBodyBytes < MAX_ANSWER_BYTES
        ? OVERLOAD
        : errorResponse(CODE.BAD_GATEWAY, "the answer is too large to be passed on");
    case "OVERLOADED":
    case "CLOSED":
    case "ABORTED":
      return { ...errorResponse(CODE.UNAVAILABLE, "cannot be passed on now"), maxAgeS: RETRY_AFTER_S };
    default:
      return errorResponse(CODE.BAD_GATEWAY, "the answer cannot be passed on");
  }
}
