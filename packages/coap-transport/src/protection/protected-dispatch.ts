import { createAskPeer } from "../client/ask-peer.js";
import type { RequestChannel } from "../client/request-channel.js";
import { CODE, OPTION } from "../message/codes.js";
import { countRejected } from "../message/counters.js";
import { EMPTY_BYTES, type Message, type OutgoingMessage } from "../message/message.js";
import type { Transmission, TransmissionListener } from "../message/transmission.js";
import {
  RequestDispatch,
  type RequestOutcome,
  type ServerDispatch,
  type ServerDispatchDeps,
  type ServerDispatchOptions,
} from "../server/dispatch.js";
import type { NotificationChannel } from "../server/notification-channel.js";
import { IncomingRequest, type RequestContext } from "../server/request.js";
import type { AskPeer, ObservationEnd, Peer, ServerRequest, ServerResponse, TableSizes } from "../types.js";
import { protectedCapacity } from "./protected-capacity.js";
import { ProtectedPeer } from "./protected-peer.js";
import type { OpenedRequest, RefusedRequest, ServerProtection } from "./server-protection.js";

export interface ProtectedDispatchDeps extends ServerDispatchDeps {
  /** Absent: protected requests are refused, or relayed, like others with a critical option. */
  readonly protection?: ServerProtection | undefined;
  /** The way back to a peer. @throws {TransportError} UNREACHABLE */
  readonly channelOf: (peer: Peer) => RequestChannel;
}

/** To a request that cannot be decrypted, or answered, for a reason of this server. */
const UNAVAILABLE: OutgoingMessage = { code: CODE.UNAVAILABLE, options: [], payload: EMPTY_BYTES };
/** A third of it, so that three times the request minus this leaves room for it (RFC 9175 section 2.4). */
const OVERHEAD_OF_REQUEST = 22;

/** A dispatch that also takes protected requests, where `protection` is given. */
export function createProtectedDispatch(deps: ProtectedDispatchDeps, options: ServerDispatchOptions): ServerDispatch {
  const { protection } = deps;
  return protection === undefined
    ? new RequestDispatch(deps, options)
    : new ProtectedDispatch(deps, protection, options);
}

class ProtectedDispatch implements ServerDispatch {
  readonly #deps: ProtectedDispatchDeps;
  readonly #blockSize: number;
  readonly #protection: ServerProtection;
  /** Handles requests as they are meant: unprotected ones, and others once they are decrypted. */
  readonly #inner: ServerDispatch;
  /** Block-wise transfer of encrypted messages, as proxies do it (RFC 8613 section 4.1.3.4.2). */
  readonly #outer: ServerDispatch;
  /** Peers with protected requests, by the connection; over datagrams nothing is kept. */
  readonly #byConnection = new Map<string, Map<string, Peer>>();

  constructor(deps: ProtectedDispatchDeps, protection: ServerProtection, options: ServerDispatchOptions) {
    this.#deps = deps;
    this.#protection = protection;
    this.#blockSize = options.limits.blockSize;
    const onFailure = (error: unknown) => this.#noteFailure(error);
    this.#inner = new RequestDispatch({ ...deps, channel: sealed(deps.channel, onFailure) }, options);
    const handler = (request: ServerRequest) => this.#handleAssembled(request as IncomingRequest);
    // What is inside is limited by the dispatch inside.
    this.#outer = new RequestDispatch({ ...deps, handler, guard: undefined }, options);
  }

  get running(): number {
    return this.#inner.running;
  }

  dispatch(message: Message, context: RequestContext): RequestOutcome | Promise<RequestOutcome> {
    if (!hasOption(message, OPTION.OSCORE) || this.#isForOthers(message, context))
      return this.#inner.dispatch(message, context);
    if (hasOption(message, OPTION.BLOCK1) || hasOption(message, OPTION.BLOCK2))
      return this.#outer.dispatch(message, { ...context, isProtected: true });
    return this.#open(message, context);
  }

  endObservation(peer: Peer, token: Uint8Array, reason: ObservationEnd): void {
    this.#inner.endObservation(peer, token, reason);
  }

  forgetPeer(peer: Peer): void {
    this.#inner.forgetPeer(peer);
    this.#outer.forgetPeer(peer);
    for (const inner of this.#byConnection.get(peer.key)?.values() ?? []) this.#inner.forgetPeer(inner);
    this.#byConnection.delete(peer.key);
  }

  isObserver(peer: Peer): boolean {
    if (this.#inner.isObserver(peer)) return true;
    return [...(this.#byConnection.get(peer.key)?.values() ?? [])].some((inner) => this.#inner.isObserver(inner));
  }

  tableSizes(): TableSizes {
    const outer = this.#outer.tableSizes();
    const sizes = this.#inner.tableSizes();
    const sum = (table: string): number => (sizes[table] ?? 0) + (outer[table] ?? 0);
    return { ...sizes, uploads: sum("uploads"), "retained-bodies": sum("retained-bodies") };
  }

  close(): void {
    this.#inner.close();
    this.#outer.close();
  }

  /** A proxy passes protected messages on as they are (RFC 8613 section 10). */
  #isForOthers(message: Message, context: RequestContext): boolean {
    const { relays } = this.#deps.handler;
    return relays?.(new IncomingRequest(message, context)) === true;
  }

  #open(message: Message, context: RequestContext): RequestOutcome | Promise<RequestOutcome> {
    const opened = this.#decrypt(message, context.peer);
    if (opened === null) return { message: UNAVAILABLE, isToUnproven: true };
    if (opened.kind === "refused") {
      countRejected(this.#deps.counters, opened.cause);
      return { message: opened.response, isToUnproven: true };
    }
    const peer = new ProtectedPeer(context.peer, opened);
    this.#noteConnection(peer);
    const { capacity } = context;
    const inner: RequestContext = {
      ...context,
      peer,
      askPeer: this.#askPeer(context.scheme),
      ...(capacity === undefined ? {} : { capacity: protectedCapacity(capacity) }),
    };
    const wireBytes = Math.max(0, opened.message.wireBytes - OVERHEAD_OF_REQUEST);
    const reply = this.#inner.dispatch({ ...opened.message, wireBytes }, inner);
    return reply instanceof Promise
      ? reply.then((settled) => this.#sealReply(peer, settled))
      : this.#sealReply(peer, reply);
  }

  /** Null: it cannot be noted on disk that the request was received, or something else failed that is no fault of the sender. */
  #decrypt(message: Message, peer: Peer): OpenedRequest | RefusedRequest | null {
    try {
      return this.#protection.open(message, peer);
    } catch (error) {
      this.#noteFailure(error);
      return null;
    }
  }

  /** No two protected requests are equal, so nothing is remembered for the next one; a repeated one gets the same response. */
  #sealReply(peer: ProtectedPeer, { message, afterSent, isToUnproven }: RequestOutcome): RequestOutcome {
    try {
      return {
        message: message === null ? null : peer.seal(message),
        ...(afterSent === undefined ? {} : { afterSent, observer: peer }),
        ...(isToUnproven === undefined ? {} : { isToUnproven }),
      };
    } catch (error) {
      this.#noteFailure(error);
      return { message: UNAVAILABLE };
    }
  }

  #noteFailure(error: unknown): void {
    countRejected(this.#deps.counters, "oscore-unavailable");
    this.#deps.env.logger.error("a message cannot be protected", { error });
  }

  /** An encrypted message whose blocks have come together. */
  #handleAssembled(request: IncomingRequest): ServerResponse | Promise<ServerResponse> {
    const { peer, isMulticast, scheme, local, capacity, connection, method, token, payload, wireBytes } = request;
    const options = request.options.filter(({ number }) => number !== OPTION.BLOCK1 && number !== OPTION.BLOCK2);
    const context: RequestContext = {
      peer,
      isMulticast,
      scheme,
      local,
      ...(connection === undefined ? {} : { connection }),
      ...(capacity === undefined ? {} : { capacity }),
    };
    const reply = this.#open({ code: method, token, options, payload, wireBytes }, context);
    return reply instanceof Promise ? reply.then(toResponse) : toResponse(reply);
  }

  /** Requests to the sender are protected like its own. */
  #askPeer(scheme: string): AskPeer {
    const channelOf = (peer: Peer): RequestChannel =>
      peer instanceof ProtectedPeer ? peer.protect(this.#deps.channelOf(peer.outer)) : this.#deps.channelOf(peer);
    return createAskPeer({ env: this.#deps.env, channelOf }, { scheme, blockSize: this.#blockSize });
  }

  #noteConnection(peer: ProtectedPeer): void {
    if (peer.transport === "udp") return;
    const { key } = peer.outer;
    const known = this.#byConnection.get(key) ?? new Map<string, Peer>();
    known.set(peer.key, peer);
    this.#byConnection.set(key, known);
  }
}

/**
 * Notifications to protected peers are encrypted, and go where the transport knows the peer. One that cannot be encrypted, because the
 * context was replaced or its numbers are used, ends the observation.
 */
function sealed(channel: NotificationChannel, onFailure: (error: unknown) => void): NotificationChannel {
  const seal = (peer: ProtectedPeer, message: OutgoingMessage): OutgoingMessage | null => {
    try {
      return peer.seal(message);
    } catch (error) {
      onFailure(error);
      return null;
    }
  };
  return {
    notify(peer, token, message, listener) {
      if (!(peer instanceof ProtectedPeer)) return channel.notify(peer, token, message, listener);
      const protectedMessage = seal(peer, message);
      return protectedMessage === null
        ? failLater(listener)
        : channel.notify(peer.outer, token, protectedMessage, listener);
    },
    probe: (peer, onSilence) => channel.probe(outerOf(peer), onSilence),
    hasRoom: (peer) => channel.hasRoom?.(outerOf(peer)) ?? false,
    notifyOnce(peer, token, message) {
      if (!(peer instanceof ProtectedPeer)) return channel.notifyOnce(peer, token, message);
      const protectedMessage = seal(peer, message);
      if (protectedMessage !== null) channel.notifyOnce(peer.outer, token, protectedMessage);
    },
    hold: (peer, resume) => channel.hold?.(outerOf(peer), resume) ?? false,
  };
}

/** A transmission that fails, but not before the call that started it returns. */
function failLater(listener: TransmissionListener): Transmission {
  let isCancelled = false;
  queueMicrotask(() => {
    if (!isCancelled) listener.onTimeout();
  });
  return {
    cancel: () => {
      isCancelled = true;
    },
  };
}

function outerOf(peer: Peer): Peer {
  return peer instanceof ProtectedPeer ? peer.outer : peer;
}

/** The encrypted reply for the dispatch that divides it into blocks. One that nobody wants (RFC 7967) is an empty 2.04. */
function toResponse({ message, afterSent }: RequestOutcome): ServerResponse {
  // The observation begins when the first block has left.
  if (afterSent !== undefined) queueMicrotask(afterSent);
  if (message === null) return { code: CODE.CHANGED };
  const { code, options, payload }: OutgoingMessage = message;
  return { code, options, payload };
}

function hasOption({ options }: Message, wanted: number): boolean {
  return options.some(({ number }) => number === wanted);
}
