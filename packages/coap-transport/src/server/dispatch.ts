import { type Environment, type Idleness, turnsOf } from "@tributary/runtime";
import { blockOption, MAX_SZX, szxFor } from "../message/block-option.js";
import { CODE, METHOD, OPTION, SAFE_METHODS } from "../message/codes.js";
import { countRejected } from "../message/counters.js";
import { addressHolder } from "../message/ip-address.js";
import { isErrorCode, type Message, type OutgoingMessage } from "../message/message.js";
import { sortOptions } from "../message/option-codec.js";
import { uintOption } from "../message/option-values.js";
import { meetsPrecondition, targetOf } from "../message/preconditions.js";
import type {
  ObservationEnd,
  Peer,
  RequestHandler,
  ResponseValidity,
  ServerResponse,
  TableSizes,
  TransmissionParameters,
  TransportCounters,
  TransportLimits,
} from "../types.js";
import type { AmplificationGuard } from "./amplification-guard.js";
import { AmplificationLimit, type MessageLength } from "./amplification-limit.js";
import { Block1Assembly } from "./block-wise-assembly.js";
import { allowsBert, Block2Retention } from "./block-wise-retention.js";
import type { NotificationChannel } from "./notification-channel.js";
import { type AdmittedObservation, ObserverTable } from "./observer-table.js";
import { IncomingRequest, type RequestContext } from "./request.js";
import { errorMessage, responseMessage } from "./response.js";
import { withObserve } from "./server-observation.js";
import { SharedPlaces } from "./shared-places.js";

/** What a request leads to. */
export interface RequestOutcome {
  /** The response; null for none, as by No-Response (RFC 7967) or for multicast (RFC 7252 section 8.2). */
  readonly message: OutgoingMessage | null;
  /** The request has a critical option that is not understood; a non-confirmable one is then ignored (section 5.4.1). */
  readonly isBadOption?: boolean;
  /** To be called directly after the message was sent. */
  readonly afterSent?: () => void;
  /** With `afterSent`: the observer, if it is not the peer of the transport. */
  readonly observer?: Peer;
  /** The source address is not verified: at most one message may be sent for each received. */
  readonly isToUnproven?: boolean;
  /** See `ServerResponse`. Present only if the whole response is sent unchanged. */
  readonly trackValidity?: () => ResponseValidity | null;
  /** See `ServerResponse`. */
  readonly isStillTrue?: ServerResponse["isStillTrue"];
}

/** Turns requests into responses. */
export interface ServerDispatch {
  dispatch(message: Message, context: RequestContext): RequestOutcome | Promise<RequestOutcome>;
  /** Ends one observation, for example because its peer rejected the response that established it. */
  endObservation(peer: Peer, token: Uint8Array, reason: ObservationEnd): void;
  /** Discards everything about a peer whose connection is over. */
  forgetPeer(peer: Peer): void;
  /** Whether the peer observes anything. */
  isObserver(peer: Peer): boolean;
  /** Requests whose handler has not responded yet. */
  readonly running: number;
  /** Number of entries in each table. */
  tableSizes(): TableSizes;
  close(): void;
}

export interface ServerDispatchDeps {
  readonly env: Environment;
  readonly handler: RequestHandler;
  readonly channel: NotificationChannel;
  readonly counters: TransportCounters;
  readonly guard?: AmplificationGuard | undefined;
  readonly messageLength: MessageLength;
  /** Requests being handled count as work. Default: not counted. */
  readonly idleness?: Idleness;
}

export interface ServerDispatchOptions {
  readonly limits: TransportLimits;
  readonly parameters: TransmissionParameters;
}

/** A response of the handler with its first message. */
interface HandledRequest {
  readonly response: ServerResponse;
  readonly whole: OutgoingMessage;
  readonly accepted: AdmittedObservation | null;
}

/** Longest time between two block requests of an observer, as a multiple of the longest ACK_TIMEOUT. */
const PATIENCE_TIMEOUTS = 2;
const SILENCE: RequestOutcome = { message: null };
/** Payload from which on a request may take long to handle, bytes. */
const LARGE_PAYLOAD_BYTES = 8192;
/** Max-Age of the response of an overloaded server, in seconds, before which clients should not retry. */
const OVERLOAD_MAX_AGE_S = 5;

/** Turns requests into responses, whatever the transport: block-wise transfer, Observe, checks and limits. */
export class RequestDispatch implements ServerDispatch {
  readonly #deps: ServerDispatchDeps;
  readonly #limits: TransportLimits;
  readonly #uploads: Block1Assembly;
  readonly #retention: Block2Retention;
  readonly #observers: ObserverTable;
  readonly #amplification: AmplificationLimit;
  readonly #running: SharedPlaces;

  constructor(deps: ServerDispatchDeps, options: ServerDispatchOptions) {
    const { clock, logger } = deps.env;
    const { limits } = options;
    const lifetimeMs = options.parameters.exchangeLifetimeMs;
    this.#deps = deps;
    this.#limits = limits;
    this.#running = new SharedPlaces(limits.maxExchanges);
    const countUnverified = (): void => countRejected(deps.counters, "unverified");
    this.#amplification = new AmplificationLimit(
      { guard: deps.guard, countUnverified, messageLength: deps.messageLength },
      { maxBlockBytes: limits.blockSize },
    );
    this.#uploads = new Block1Assembly({ clock }, { ...limits, lifetimeMs, szx: szxFor(limits.blockSize) });
    this.#retention = new Block2Retention({ clock }, { ...limits, lifetimeMs });
    const { ackTimeoutMs, ackRandomFactor } = options.parameters;
    const { maxObservers, maxObserversPerClient } = limits;
    this.#observers = new ObserverTable(
      { clock, logger, channel: deps.channel, retention: this.#retention, turns: turnsOf(clock) },
      { maxObservers, maxObserversPerClient, fetchPatienceMs: PATIENCE_TIMEOUTS * ackTimeoutMs * ackRandomFactor },
    );
  }

  get running(): number {
    return this.#running.size;
  }

  dispatch(message: Message, context: RequestContext): RequestOutcome | Promise<RequestOutcome> {
    const request = new IncomingRequest(message, context, this.#deps.guard);
    // An Echo value verifies the address, whatever the request.
    if (request.echo !== undefined) this.#amplification.isUnlimited(request);
    const early = this.#respondEarly(request);
    if (early !== null) return early;
    // Notifications are not bounded by requests: they are sent to verified addresses only.
    if (request.observe === 0 && !this.#amplification.isUnlimited(request))
      return this.#respond(request, this.#amplification.challenge(request));
    if (request.observe === 1) this.#observers.remove(request.peer, request.token, "deregistered");
    let response: ServerResponse | Promise<ServerResponse>;
    try {
      response = this.#handle(request);
    } catch (error) {
      return this.#failed(request, error);
    }
    if (response instanceof Promise) return this.#wait(request, response);
    const outcome = this.#finish(request, response);
    return outcome instanceof Promise ? this.#count(request, outcome) : outcome;
  }

  /**
   * Large requests that arrive together are handled in several turns of the event loop, in fair shares: to read one may take
   * milliseconds, and a hundred connections may bring one each at the same moment.
   */
  #handle(request: IncomingRequest): ServerResponse | Promise<ServerResponse> {
    const { handler, env } = this.#deps;
    if (request.payload.length < LARGE_PAYLOAD_BYTES) return handler(request);
    const turns = turnsOf(env.clock);
    const owner = addressHolder(request.peer);
    if (turns.leftMs() > 0) {
      let response: ServerResponse | Promise<ServerResponse> | undefined;
      void turns.start(owner, () => {
        response = handler(request);
        return false;
      });
      return response as ServerResponse | Promise<ServerResponse>;
    }
    return new Promise((resolve, reject) => {
      turns.add(owner, () => {
        try {
          resolve(handler(request));
        } catch (error) {
          reject(error);
        }
        return false;
      });
    });
  }

  endObservation(peer: Peer, token: Uint8Array, reason: ObservationEnd): void {
    this.#observers.remove(peer, token, reason);
  }

  forgetPeer(peer: Peer): void {
    this.#observers.removePeer(peer, "closed");
    this.#uploads.forgetPeer(peer);
    this.#retention.forgetPeer(peer);
  }

  isObserver(peer: Peer): boolean {
    return this.#observers.hasPeer(peer);
  }

  tableSizes(): TableSizes {
    return {
      handlers: this.running,
      observers: this.#observers.size,
      uploads: this.#uploads.size,
      "retained-bodies": this.#retention.size,
      "verified-peers": this.#deps.guard?.size ?? 0,
    };
  }

  close(): void {
    this.#observers.close();
    this.#uploads.close();
    this.#retention.close();
  }

  /** Returns the outcome of a request that does not reach the handler; null for one that does. */
  #respondEarly(request: IncomingRequest): RequestOutcome | Promise<RequestOutcome> | null {
    const failure = request.failure ?? this.#refusedOption(request);
    if (failure !== null) return this.#refuse(request, failure.code, failure.diagnostic);
    if (request.method > METHOD.IPATCH) return this.#refuse(request, CODE.METHOD_NOT_ALLOWED, "unknown method");
    if (request.precondition !== undefined && !this.#evaluatesPrecondition(request))
      return this.#refuse(request, CODE.BAD_OPTION, "If-Match and If-None-Match are not supported here");
    const { block2 } = request;
    if (block2 !== undefined && (block2.num > 0 || (block2.szx > MAX_SZX && !allowsBert(request)))) {
      const early = this.#respondToLaterBlock(request);
      if (early !== null) return early;
    }
    const early = this.#takePayload(request);
    if (early !== null) return early;
    if (this.#running.hasPlace(addressHolder(request.peer))) return null;
    countRejected(this.#deps.counters, "overload");
    const busy = uintOption(OPTION.MAX_AGE, OVERLOAD_MAX_AGE_S);
    return this.#respond(request, errorMessage(CODE.UNAVAILABLE, "too many requests at once", [busy]));
  }

  #refusedOption(request: IncomingRequest): IncomingRequest["unknownOption"] {
    if (request.unknownOption === null) return null;
    return this.#deps.handler.relays?.(request) === true ? null : request.unknownOption;
  }

  /** Preconditions of safe requests are evaluated on the response; those of others only the handler can evaluate in time. */
  #evaluatesPrecondition({ method }: IncomingRequest): boolean {
    return SAFE_METHODS.includes(method) || this.#deps.handler.evaluatesPreconditions === true;
  }

  /** Later blocks come from the retained body. When it is no longer there, only a safe request may be handled again. */
  #respondToLaterBlock(request: IncomingRequest): RequestOutcome | Promise<RequestOutcome> | null {
    if (request.block2 === undefined) return null;
    // RFC 7959 section 2.6: Observe in the request for a later block is no registration.
    delete request.observe;
    const block = this.#retention.resume(request, request.block2);
    if (block instanceof Promise) {
      const outcome = block.then((made) => (made === null ? this.#handleAgain(request) : this.#respond(request, made)));
      return this.#count(request, outcome);
    }
    if (block !== null) return this.#respond(request, block);
    return SAFE_METHODS.includes(request.method) ? null : this.#refuseToHandleAgain(request);
  }

  async #handleAgain(request: IncomingRequest): Promise<RequestOutcome> {
    if (!SAFE_METHODS.includes(request.method)) return this.#refuseToHandleAgain(request);
    return this.#finish(request, await this.#deps.handler(request));
  }

  #refuseToHandleAgain(request: IncomingRequest): RequestOutcome {
    return this.#refuse(request, CODE.REQUEST_ENTITY_INCOMPLETE, "the response is no longer there");
  }

  /** Assembles the body (RFC 7959 section 2.5) and checks its size. */
  #takePayload(request: IncomingRequest): RequestOutcome | null {
    const { maxRequestBytes } = this.#limits;
    if (request.block1 !== undefined) {
      const outcome = this.#uploads.accept(request, request.block1);
      if (outcome.kind === "respond") return this.#respond(request, outcome.response);
      request.payload = outcome.payload;
    } else if (request.payload.length > maxRequestBytes) {
      const limit = uintOption(OPTION.SIZE1, maxRequestBytes);
      const diagnostic = `more than ${maxRequestBytes} bytes`;
      return this.#respond(request, errorMessage(CODE.REQUEST_ENTITY_TOO_LARGE, diagnostic, [limit]));
    }
    return null;
  }

  async #wait(request: IncomingRequest, promise: Promise<ServerResponse>): Promise<RequestOutcome> {
    return this.#count(
      request,
      promise.then((response) => this.#finish(request, response)),
    );
  }

  /** Counts a request as running until its response is there. */
  async #count(request: IncomingRequest, later: Promise<RequestOutcome>): Promise<RequestOutcome> {
    const holder = addressHolder(request.peer);
    this.#running.take(holder);
    this.#deps.idleness?.begin();
    try {
      const outcome = await later;
      return this.#amplification.isUnlimited(request) ? outcome : { ...outcome, isToUnproven: true };
    } catch (error) {
      return this.#failed(request, error);
    } finally {
      this.#running.giveBack(holder);
      this.#deps.idleness?.end();
    }
  }

  #finish(request: IncomingRequest, response: ServerResponse): RequestOutcome | Promise<RequestOutcome> {
    const { precondition } = request;
    if (precondition !== undefined && SAFE_METHODS.includes(request.method)) {
      const isMet = meetsPrecondition(precondition, targetOf(response));
      if (!isMet && response.code < CODE.BAD_REQUEST)
        return this.#refuse(request, CODE.PRECONDITION_FAILED, "the condition is not met");
    }
    const whole = responseMessage(this.#withEcho(request, response));
    if (this.#amplification.needsProof(request, whole))
      return this.#respond(request, this.#amplification.challenge(request));
    const accepted = this.#admit(request, response);
    this.#amplification.shrinkBlocks(request, whole);
    const first = this.#retention.begin(request, whole, accepted?.progress);
    const handled = { response, whole, accepted };
    return first instanceof Promise
      ? first.then((message) => this.#respondWith(request, message, handled))
      : this.#respondWith(request, first, handled);
  }

  #respondWith(
    request: IncomingRequest,
    first: OutgoingMessage,
    { response, whole, accepted }: HandledRequest,
  ): RequestOutcome {
    let message = first;
    if (request.block1 !== undefined) message = withBlock1(message, request);
    if (accepted === null) {
      const outcome = this.#respond(request, message);
      const isUnchanged = response.trackValidity !== undefined && outcome.message === whole;
      if (isUnchanged) return { message: whole, trackValidity: response.trackValidity };
      return response.isStillTrue === undefined ? outcome : { ...outcome, isStillTrue: response.isStillTrue };
    }
    return { message: withObserve(message, accepted.observe), afterSent: accepted.attach };
  }

  #withEcho(request: IncomingRequest, response: ServerResponse): ServerResponse {
    const { guard } = this.#deps;
    if (response.issuesEcho !== true || guard === undefined) return response;
    if (response.code === CODE.UNAUTHORIZED && request.block1 !== undefined) this.#uploads.rewind(request);
    return { ...response, echo: guard.issue(request.peer) };
  }

  /** RFC 7641 section 4.1: a response that accepts the observation adds the client to the list, any other one removes it. */
  #admit(request: IncomingRequest, response: ServerResponse): AdmittedObservation | null {
    if (request.observe !== 0) return null;
    const isAccepted = response.observation !== undefined && !isErrorCode(response.code);
    const accepted = isAccepted ? this.#observers.admit(request, response.observation) : null;
    if (isAccepted && accepted === null) countRejected(this.#deps.counters, "observer-limit");
    if (accepted === null) this.#observers.remove(request.peer, request.token, "ended");
    return accepted;
  }

  #failed(request: IncomingRequest, error: unknown): RequestOutcome {
    const { method, path, peer } = request;
    this.#deps.env.logger.error("a request handler failed", { error, method, path, peer: peer.key });
    countRejected(this.#deps.counters, "handler-failure");
    return this.#respond(request, errorMessage(CODE.INTERNAL, "internal error"));
  }

  #refuse(request: IncomingRequest, code: number, diagnostic: string): RequestOutcome {
    const outcome = this.#respond(request, errorMessage(code, diagnostic));
    if (code !== CODE.BAD_OPTION) return outcome;
    countRejected(this.#deps.counters, "unknown-critical-option");
    return { ...outcome, isBadOption: true };
  }

  #respond(request: IncomingRequest, message: OutgoingMessage): RequestOutcome {
    const limited = this.#amplification.limit(request, message);
    return isUnwanted(request, limited) ? SILENCE : { message: limited };
  }
}

/** RFC 7967 section 2.1: a bit per class; RFC 7252 section 8.2: nothing useful means nothing at all to multicast. */
function isUnwanted(request: IncomingRequest, message: OutgoingMessage): boolean {
  if (message.code === CODE.CONTINUE) return false;
  if (request.noResponse !== 0 && (request.noResponse & (1 << ((message.code >> 5) - 1))) !== 0) return true;
  if (!request.isMulticast) return false;
  return isErrorCode(message.code) || (message.code === CODE.CONTENT && message.payload.length === 0);
}

/** RFC 7959 section 2.3: the response to the last block names it. */
function withBlock1(message: OutgoingMessage, request: IncomingRequest): OutgoingMessage {
  const { num, szx } = request.block1 ?? { num: 0, szx: 0 };
  const echoed = blockOption(OPTION.BLOCK1, { num, more: false, szx });
  return { ...message, options: sortOptions([...message.options, echoed]) };
}
