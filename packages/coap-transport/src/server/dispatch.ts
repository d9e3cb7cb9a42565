import type { Environment } from "@tributary/runtime";
import { turnsOf } from "@tributary/runtime";
import { blockOption, MAX_SZX, szxFor } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
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
import { createAmplificationLimit, type MessageLength } from "./amplification-limit.js";
import { createBlock1Assembly } from "./block-wise-assembly.js";
import { allowsBert, type Block2Retention, createBlock2Retention } from "./block-wise-retention.js";
import { type AdmittedObservation, createObserverTable, type NotificationChannel, withObserve } from "./observers.js";
import { IncomingRequest, type RequestContext } from "./request.js";
import { errorMessage, responseMessage } from "./response.js";
import { SharedPlaces } from "./shared-places.js";

/** What to do about a request. */
export interface Reply {
  /** Null: nothing is to be said, as by No-Response (RFC 7967) or for a multicast request (RFC 7252 section 8.2). */
  readonly message: OutgoingMessage | null;
  /** The request has an option that must be understood and is not: a non-confirmable one is rejected (section 5.4.1). */
  readonly isBadOption?: boolean;
  /** To be called right after the message was sent. */
  readonly afterSent?: () => void;
  /** With `afterSent`: who observes, where that is not the peer of the transport. */
  readonly observer?: Peer;
  /** The request may come from someone else than it says: one message back for each that came. */
  readonly isToUnproven?: boolean;
  /** See `ServerResponse`: it went out as it is, whole. */
  readonly trackValidity?: () => ResponseValidity | null;
  /** See `ServerResponse`. */
  readonly isStillTrue?: ServerResponse["isStillTrue"];
}

/** Turns requests into replies, whatever transport carries them: block-wise transfer, Observe, checks and limits. */
export interface ServerDispatch {
  dispatch(message: Message, context: RequestContext): Reply | Promise<Reply>;
  /** End one observation, e.g. because its peer rejected the response that established it. */
  endObservation(peer: Peer, token: Uint8Array, reason: ObservationEnd): void;
  /** The peer is gone for good, with its connection: whatever is kept for it is given up. */
  forgetPeer(peer: Peer): void;
  /** Does this peer observe anything? */
  isObserver(peer: Peer): boolean;
  /** Requests whose handler has not answered yet. */
  readonly running: number;
  /** How much is in each table. */
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
}

export interface ServerDispatchOptions {
  readonly limits: TransportLimits;
  readonly parameters: TransmissionParameters;
}

/** What a request led to. */
interface Outcome {
  readonly response: ServerResponse;
  readonly whole: OutgoingMessage;
  readonly accepted: AdmittedObservation | null;
}

/** An observer that asks for no further block for so many times the longest ACK_TIMEOUT has lost interest. */
const PATIENCE_TIMEOUTS = 2;
const SILENCE: Reply = { message: null };
const SAFE_METHODS: readonly number[] = [METHOD.GET, METHOD.FETCH];
/** A busy server tells its clients to stay away for so long, in seconds. */
const OVERLOAD_MAX_AGE_S = 5;

export function createServerDispatch(deps: ServerDispatchDeps, options: ServerDispatchOptions): ServerDispatch {
  return new Dispatcher(deps, options);
}

/** Count a refusal by its cause. */
export function countRejected(counters: TransportCounters, cause: string): void {
  counters.rejected.set(cause, (counters.rejected.get(cause) ?? 0) + 1);
}

class Dispatcher implements ServerDispatch {
  readonly #deps: ServerDispatchDeps;
  readonly #limits: TransportLimits;
  readonly #uploads: ReturnType<typeof createBlock1Assembly>;
  readonly #retention: Block2Retention;
  readonly #observers: ReturnType<typeof createObserverTable>;
  readonly #amplification: ReturnType<typeof createAmplificationLimit>;
  readonly #running: SharedPlaces;

  constructor(deps: ServerDispatchDeps, options: ServerDispatchOptions) {
    const { clock, logger } = deps.env;
    const { limits } = options;
    const lifetimeMs = options.parameters.exchangeLifetimeMs;
    this.#deps = deps;
    this.#limits = limits;
    this.#running = new SharedPlaces(limits.maxExchanges);
    const countUnverified = (): void => countRejected(deps.counters, "unverified");
    this.#amplification = createAmplificationLimit(
      { guard: deps.guard, countUnverified, messageLength: deps.messageLength },
      { maxBlockBytes: limits.blockSize },
    );
    this.#uploads = createBlock1Assembly({ clock }, { ...limits, lifetimeMs, szx: szxFor(limits.blockSize) });
    this.#retention = createBlock2Retention({ clock }, { ...limits, lifetimeMs });
    const { ackTimeoutMs, ackRandomFactor } = options.parameters;
    const { maxObservers, maxObserversPerClient } = limits;
    this.#observers = createObserverTable(
      { clock, logger, channel: deps.channel, retention: this.#retention, turns: turnsOf(clock) },
      { maxObservers, maxObserversPerClient, fetchPatienceMs: PATIENCE_TIMEOUTS * ackTimeoutMs * ackRandomFactor },
    );
  }

  get running(): number {
    return this.#running.size;
  }

  dispatch(message: Message, context: RequestContext): Reply | Promise<Reply> {
    const request = new IncomingRequest(message, context, this.#deps.guard);
    // An Echo value counts with whatever request it comes.
    if (request.echo !== undefined) this.#amplification.isUnlimited(request);
    const early = this.#answerEarly(request);
    if (early !== null) return early;
    // Notifications have no bound: they go to those only who are known to receive them.
    if (request.observe === 0 && !this.#amplification.isUnlimited(request))
      return this.#reply(request, this.#amplification.challenge(request));
    if (request.observe === 1) this.#observers.remove(request.peer, request.token, "deregistered");
    let answer: ServerResponse | Promise<ServerResponse>;
    try {
      answer = this.#deps.handler(request);
    } catch (error) {
      return this.#failed(request, error);
    }
    if (answer instanceof Promise) return this.#wait(request, answer);
    const reply = this.#finish(request, answer);
    return reply instanceof Promise ? this.#count(request, reply) : reply;
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

  /** Whatever is answered without asking the handler. */
  #answerEarly(request: IncomingRequest): Reply | Promise<Reply> | null {
    const failure = request.failure ?? this.#refusedOption(request);
    if (failure !== null) return this.#refuse(request, failure.code, failure.diagnostic);
    if (request.method > METHOD.IPATCH) return this.#refuse(request, CODE.METHOD_NOT_ALLOWED, "unknown method");
    if (request.precondition !== undefined && !this.#evaluatesPrecondition(request))
      return this.#refuse(request, CODE.BAD_OPTION, "If-Match and If-None-Match are not supported here");
    const { block2 } = request;
    if (block2 !== undefined && (block2.num > 0 || (block2.szx > MAX_SZX && !allowsBert(request)))) {
      const early = this.#answerLaterBlock(request);
      if (early !== null) return early;
    }
    const early = this.#takePayload(request);
    if (early !== null) return early;
    if (this.#running.hasPlace(addressHolder(request.peer))) return null;
    countRejected(this.#deps.counters, "overload");
    const busy = uintOption(OPTION.MAX_AGE, OVERLOAD_MAX_AGE_S);
    return this.#reply(request, errorMessage(CODE.UNAVAILABLE, "too many requests at once", [busy]));
  }

  #refusedOption(request: IncomingRequest): IncomingRequest["unknownOption"] {
    if (request.unknownOption === null) return null;
    return this.#deps.handler.relays?.(request) === true ? null : request.unknownOption;
  }

  /** Safe requests are evaluated by their response; before anything is changed only the handler knows what there is. */
  #evaluatesPrecondition({ method }: IncomingRequest): boolean {
    return SAFE_METHODS.includes(method) || this.#deps.handler.evaluatesPreconditions === true;
  }

  /** Blocks behind the first come from the retained body; only what is safe is done anew when that is gone. */
  #answerLaterBlock(request: IncomingRequest): Reply | Promise<Reply> | null {
    if (request.block2 === undefined) return null;
    // RFC 7959 section 2.6: not a registration, whatever the client thinks.
    delete request.observe;
    const block = this.#retention.resume(request, request.block2);
    if (block instanceof Promise) {
      const reply = block.then((made) => this.#reply(request, made));
      return this.#count(request, reply);
    }
    if (block !== null) return this.#reply(request, block);
    if (SAFE_METHODS.includes(request.method)) return null;
    return this.#refuse(request, CODE.REQUEST_ENTITY_INCOMPLETE, "the response is no longer there");
  }

  /** Bring the body together (RFC 7959 section 2.5) and see that it is not too large. */
  #takePayload(request: IncomingRequest): Reply | null {
    const { maxRequestBytes } = this.#limits;
    if (request.block1 !== undefined) {
      const outcome = this.#uploads.accept(request, request.block1);
      if (outcome.kind === "answer") return this.#reply(request, outcome.answer);
      request.payload = outcome.payload;
    } else if (request.payload.length > maxRequestBytes) {
      const limit = uintOption(OPTION.SIZE1, maxRequestBytes);
      const diagnostic = `more than ${maxRequestBytes} bytes`;
      return this.#reply(request, errorMessage(CODE.REQUEST_ENTITY_TOO_LARGE, diagnostic, [limit]));
    }
    return null;
  }

  async #wait(request: IncomingRequest, answer: Promise<ServerResponse>): Promise<Reply> {
    return this.#count(
      request,
      answer.then((response) => this.#finish(request, response)),
    );
  }

  /** A reply that takes its time, as long as it does. */
  async #count(request: IncomingRequest, later: Promise<Reply>): Promise<Reply> {
    const holder = addressHolder(request.peer);
    this.#running.take(holder);
    try {
      const reply = await later;
      return this.#amplification.isUnlimited(request) ? reply : { ...reply, isToUnproven: true };
    } catch (error) {
      return this.#failed(request, error);
    } finally {
      this.#running.giveBack(holder);
    }
  }

  #finish(request: IncomingRequest, response: ServerResponse): Reply | Promise<Reply> {
    const { precondition } = request;
    if (precondition !== undefined && SAFE_METHODS.includes(request.method)) {
      const isMet = meetsPrecondition(precondition, targetOf(response));
      if (!isMet && response.code < CODE.BAD_REQUEST)
        return this.#refuse(request, CODE.PRECONDITION_FAILED, "the condition is not met");
    }
    const whole = responseMessage(this.#withEcho(request, response));
    if (this.#amplification.needsProof(request, whole))
      return this.#reply(request, this.#amplification.challenge(request));
    const accepted = this.#admit(request, response);
    this.#amplification.shrinkBlocks(request, whole);
    const first = this.#retention.begin(request, whole, accepted?.progress);
    const outcome = { response, whole, accepted };
    return first instanceof Promise
      ? first.then((message) => this.#replyWith(request, message, outcome))
      : this.#replyWith(request, first, outcome);
  }

  #replyWith(request: IncomingRequest, first: OutgoingMessage, { response, whole, accepted }: Outcome): Reply {
    let message = first;
    if (request.block1 !== undefined) message = withBlock1(message, request);
    if (accepted === null) {
      const reply = this.#reply(request, message);
      const isAsMade = response.trackValidity !== undefined && reply.message === whole;
      if (isAsMade) return { message: whole, trackValidity: response.trackValidity };
      return response.isStillTrue === undefined ? reply : { ...reply, isStillTrue: response.isStillTrue };
    }
    return { message: withObserve(message, accepted.observe), afterSent: accepted.attach };
  }

  #withEcho(request: IncomingRequest, response: ServerResponse): ServerResponse {
    const { guard } = this.#deps;
    if (response.issuesEcho !== true || guard === undefined) return response;
    if (response.code === CODE.UNAUTHORIZED && request.block1 !== undefined) this.#uploads.rewind(request);
    return { ...response, echo: guard.issue(request.peer) };
  }

  /** RFC 7641 section 4.1: an answer that accepts the observation enters the list, any other one leaves it. */
  #admit(request: IncomingRequest, response: ServerResponse): AdmittedObservation | null {
    if (request.observe !== 0) return null;
    const isAccepted = response.observation !== undefined && !isErrorCode(response.code);
    const accepted = isAccepted ? this.#observers.admit(request, response.observation) : null;
    if (isAccepted && accepted === null) countRejected(this.#deps.counters, "observer-limit");
    if (accepted === null) this.#observers.remove(request.peer, request.token, "ended");
    return accepted;
  }

  #failed(request: IncomingRequest, error: unknown): Reply {
    const { method, path, peer } = request;
    this.#deps.env.logger.error("a request handler failed", { error, method, path, peer: peer.key });
    countRejected(this.#deps.counters, "handler-failure");
    return this.#reply(request, errorMessage(CODE.INTERNAL, "internal error"));
  }

  #refuse(request: IncomingRequest, code: number, diagnostic: string): Reply {
    const reply = this.#reply(request, errorMessage(code, diagnostic));
    if (code !== CODE.BAD_OPTION) return reply;
    countRejected(this.#deps.counters, "unknown-critical-option");
    return { ...reply, isBadOption: true };
  }

  #reply(request: IncomingRequest, message: OutgoingMessage): Reply {
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
