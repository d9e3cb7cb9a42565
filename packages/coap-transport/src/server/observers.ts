import type { Clock, Logger, Timer, Turns } from "@tributary/runtime";
import { CODE, OPTION } from "../message/codes.js";
import { addressHolder } from "../message/ip-address.js";
import { isErrorCode, type OutgoingMessage, tokenKey } from "../message/message.js";
import { sortOptions } from "../message/option-codec.js";
import { freshUintOption } from "../message/option-values.js";
import type { ObservationEnd, ObservationSource, ObservedResource, Observer, Peer, ServerResponse } from "../types.js";
import type { Block2Retention } from "./block-wise-retention.js";
import { type BlockProgress, FetchWatch } from "./fetch-watch.js";
import type { IncomingRequest } from "./request.js";
import { errorMessage, errorResponse, responseMessage } from "./response.js";

/** How a notification fared. One of these is called, once, unless the delivery was cancelled. */
export interface DeliverySink {
  onDelivered(): void;
  onRejected(): void;
  onUndelivered(): void;
}

/** What carries notifications: confirmable messages over UDP, the byte stream over TCP. */
export interface NotificationChannel {
  /** Send reliably. The sink is not called before this returns. */
  notify(peer: Peer, token: Uint8Array, message: OutgoingMessage, sink: DeliverySink): { cancel(): void };
  /** Find out whether the peer is there; delivered when it says anything. */
  probe(peer: Peer, sink: DeliverySink): void;
  /** Send once and forget. */
  notifyOnce(peer: Peer, token: Uint8Array, message: OutgoingMessage): void;
  /**
   * The peer reads more slowly than it is written to: true when `resume` will be called once it has caught up, so that
   * only then the newest state is asked for. Absent: never.
   */
  hold?(peer: Peer, resume: () => void): boolean;
}

/** An observation that starts with the answer to its registration. */
export interface AdmittedObservation {
  /** Observe value of that answer. */
  readonly observe: number;
  /** To be told when that answer takes more than one block. */
  readonly progress: BlockProgress;
  /** To be called once the answer was sent. */
  attach(): void;
}

/** The observations of one listener (RFC 7641 section 4). */
export interface ObserverTable {
  /**
   * Accept an observation in answer to `request`; null when there are too many observers. An observation of the same
   * peer and token is replaced.
   */
  admit(request: IncomingRequest, source: ObservationSource): AdmittedObservation | null;
  /** The peer no longer observes with this token. */
  remove(peer: Peer, token: Uint8Array, reason: ObservationEnd): void;
  /** The peer observes nothing any more. */
  removePeer(peer: Peer, reason: ObservationEnd): void;
  hasPeer(peer: Peer): boolean;
  readonly size: number;
  /** End all observations, each with a last word. */
  close(): void;
}

export interface ObserverTableOptions {
  readonly maxObservers: number;
  /** Of one client: of its address, or its /64 where that is IPv6. */
  readonly maxObserversPerClient: number;
  /** How long an observer may pause while it fetches a notification larger than a block, before the next one goes out. */
  readonly fetchPatienceMs: number;
}

export interface ObserverTableDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly channel: NotificationChannel;
  readonly retention: Block2Retention;
  /** A change that wakes many observers must not hold up everybody else. */
  readonly turns: Turns;
}

/**
 * `idle` nothing to send · `due` a pull is scheduled · `pulling` waiting for the resource · `sending` unacknowledged ·
 * `fetching` the peer gets the rest of the last one.
 */
type ObservationPhase = "unattached" | "idle" | "due" | "pulling" | "sending" | "fetching" | "over";

const SEQUENCE_SPACE = 0x1000000;
/** RFC 7641 section 4.5: an observer to whom nothing had to be said for so long is looked after. */
const SILENCE_MS = 86_400_000;
/** How often that is checked. */
const SILENCE_CHECK_MS = 3_600_000;

class ServerObservation implements Observer, DeliverySink {
  readonly peer: Peer;
  readonly fetch: FetchWatch;
  /** When the peer last showed that it is there. */
  heardAtMs: number;
  readonly #request: IncomingRequest;
  readonly #deps: ObserverTableDeps;
  readonly #forget: (observation: ServerObservation) => void;
  #sequence: number;
  #phase: ObservationPhase = "unattached";
  #isAwake = false;
  #resource: ObservedResource | null = null;
  #delivery: { cancel(): void } | null = null;

  constructor(
    deps: ObserverTableDeps,
    request: IncomingRequest,
    start: { sequence: number; fetchPatienceMs: number },
    forget: (o: ServerObservation) => void,
  ) {
    this.fetch = new FetchWatch(deps.clock, start.fetchPatienceMs, () => this.#proceed());
    this.#deps = deps;
    this.#request = request;
    this.#sequence = start.sequence;
    this.#forget = forget;
    this.peer = request.peer;
    this.heardAtMs = deps.clock.nowMs();
  }

  get token(): Uint8Array {
    return this.#request.token;
  }

  /** RFC 7641 section 4.4: 24 bits, increasing. */
  nextSequence(): number {
    this.#sequence = (this.#sequence + 1) % SEQUENCE_SPACE;
    return this.#sequence;
  }

  attach(source: ObservationSource): void {
    if (this.#phase === "over") return;
    try {
      this.#resource = source.attach(this);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#isOver()) {
      this.#tell((resource) => resource.closed?.("ended")); // `attach` itself called `end`
      return;
    }
    this.#proceed();
  }

  wake(): void {
    this.#isAwake = true;
    if (this.#phase !== "idle") return;
    this.#phase = "due";
    this.#queue();
  }

  end(final?: ServerResponse): void {
    if (this.#isOver()) return;
    this.finish("ended");
    if (final === undefined) return;
    const { channel } = this.#deps;
    channel.notify(this.peer, this.token, responseMessage(final), IGNORE_OUTCOME);
  }

  /** End without a word to the peer. */
  finish(reason: ObservationEnd): void {
    if (this.#isOver()) return;
    this.#phase = "over";
    this.#delivery?.cancel();
    this.#delivery = null;
    this.fetch.stop();
    this.#forget(this);
    this.#tell((resource) => resource.closed?.(reason));
  }

  onDelivered(): void {
    this.heardAtMs = this.#deps.clock.nowMs();
    this.#delivery = null;
    this.#tell((resource) => resource.delivered?.());
    if (this.#phase !== "sending") return;
    this.#isAwake = true; // ask again until nothing is new
    this.#proceed();
  }

  onRejected(): void {
    this.finish("reset"); // RFC 7641 section 3.6
  }

  onUndelivered(): void {
    this.finish("timeout"); // RFC 7641 section 4.5
  }

  /** Nothing had to be said for long: is anybody there? */
  probe(): void {
    this.heardAtMs = this.#deps.clock.nowMs();
    this.#deps.channel.probe(this.peer, {
      onDelivered: () => {},
      onRejected: () => {},
      onUndelivered: () => this.finish("timeout"),
    });
  }

  /** The last notification is dealt with, or only its first block is. */
  #proceed(): void {
    if (this.fetch.isPending) {
      this.#phase = "fetching";
      this.fetch.wait();
      return;
    }
    this.#phase = "idle";
    if (this.#isAwake) this.wake();
  }

  /** Whatever else changes in this turn goes into the same notification. */
  readonly #queue = (): void => {
    this.#deps.turns.add(addressHolder(this.peer), () => {
      this.#pull();
      return false;
    });
  };

  readonly #pull = (): void => {
    if (this.#phase !== "due" || this.#resource === null) return;
    if (this.#deps.channel.hold?.(this.peer, this.#queue) === true) return;
    this.#phase = "pulling";
    this.#isAwake = false;
    try {
      const next = this.#resource.next();
      if (next instanceof Promise) next.then(this.#send, this.#fail);
      else this.#send(next);
    } catch (error) {
      this.#fail(error);
    }
  };

  readonly #send = (response: ServerResponse | null): void => {
    if (this.#phase !== "pulling") return;
    if (response === null) {
      this.#phase = "idle";
      if (this.#isAwake) this.wake();
      return;
    }
    if (isErrorCode(response.code)) {
      this.end(response); // RFC 7641 section 4.2: an error is the last notification
      return;
    }
    this.#phase = "sending";
    // Observe is of the notification, not of the body: blocks fetched later do not repeat it (RFC 7959 section 2.6).
    const first = this.#deps.retention.begin(this.#request, responseMessage(response), this.fetch);
    if (first instanceof Promise) first.then(this.#notify, this.#fail);
    else this.#notify(first);
  };

  readonly #notify = (first: OutgoingMessage): void => {
    if (this.#isOver()) return;
    const message = withObserve(first, this.nextSequence());
    this.#delivery = this.#deps.channel.notify(this.peer, this.token, message, this);
  };

  readonly #fail = (error: unknown): void => {
    this.#deps.logger.error("an observed resource failed", { error, peer: this.peer.key, path: this.#request.path });
    this.end({ code: CODE.INTERNAL });
  };

  /** A resource that throws must not take the listener with it. */
  #tell(call: (resource: ObservedResource) => void): void {
    if (this.#resource === null) return;
    try {
      call(this.#resource);
    } catch (error) {
      this.#deps.logger.error("an observed resource failed", { error, peer: this.peer.key });
    }
  }

  #isOver(): boolean {
    return this.#phase === "over";
  }
}

const IGNORE_OUTCOME: DeliverySink = { onDelivered: () => {}, onRejected: () => {}, onUndelivered: () => {} };

/** Add the Observe option (RFC 7641 section 2). */
export function withObserve(message: OutgoingMessage, sequence: number): OutgoingMessage {
  return { ...message, options: sortOptions([...message.options, freshUintOption(OPTION.OBSERVE, sequence)]) };
}

function addTo<T>(sets: Map<string, Set<T>>, key: string, item: T): void {
  const known = sets.get(key);
  if (known === undefined) sets.set(key, new Set([item]));
  else known.add(item);
}

function removeFrom<T>(sets: Map<string, Set<T>>, key: string, item: T): void {
  const known = sets.get(key);
  known?.delete(item);
  if (known?.size === 0) sets.delete(key);
}

export function createObserverTable(deps: ObserverTableDeps, options: ObserverTableOptions): ObserverTable {
  const observations = new Map<string, ServerObservation>();
  const byPeer = new Map<string, Set<ServerObservation>>();
  /** In the order of registration. */
  const byClient = new Map<string, Set<ServerObservation>>();
  const countOf = (client: string): number => byClient.get(client)?.size ?? 0;
  const keyOf = (peer: Peer, token: Uint8Array): string => `${peer.key} ${tokenKey(token)}`;

  let silenceTimer: Timer | null = null;

  /** As long as there are observers. */
  function watchSilence(): void {
    silenceTimer ??= deps.clock.setTimer(SILENCE_CHECK_MS, () => {
      silenceTimer = null;
      const sinceMs = deps.clock.nowMs() - SILENCE_MS;
      for (const observation of [...observations.values()]) if (observation.heardAtMs <= sinceMs) observation.probe();
      if (observations.size > 0) watchSilence();
    });
  }

  function forget(observation: ServerObservation): void {
    const key = keyOf(observation.peer, observation.token);
    if (observations.get(key) === observation) observations.delete(key);
    removeFrom(byClient, addressHolder(observation.peer), observation);
    removeFrom(byPeer, observation.peer.key, observation);
  }

  /** Is there a place for one more observer of this client? When all are taken, whoever has most gives one to who has less. */
  function makeRoom(client: string): boolean {
    const { maxObservers, maxObserversPerClient } = options;
    const own = countOf(client);
    if (own >= maxObserversPerClient) return false;
    if (observations.size < maxObservers) return true;
    const [richest] = [...byClient.values()].sort((a, b) => b.size - a.size);
    const [oldest] = richest ?? [];
    if (richest === undefined || oldest === undefined || richest.size <= own + 1) return false;
    oldest.end(errorResponse(CODE.UNAVAILABLE, "another client needs the place of this observation"));
    return true;
  }

  /** Above whatever was sent before under this token, also before a restart: wall time in ms goes slower than 2^23 in 128 s. */
  function firstSequence(previous: ServerObservation | undefined): number {
    return previous === undefined ? Math.floor(deps.clock.wallMs()) % SEQUENCE_SPACE : previous.nextSequence();
  }

  return {
    get size() {
      return observations.size;
    },
    admit(request, source) {
      const key = keyOf(request.peer, request.token);
      const previous = observations.get(key);
      if (previous === undefined && !makeRoom(addressHolder(request.peer))) return null;
      const observe = firstSequence(previous);
      previous?.finish("replaced");
      const start = { sequence: observe, fetchPatienceMs: options.fetchPatienceMs };
      const observation = new ServerObservation(deps, request, start, forget);
      observations.set(key, observation);
      addTo(byClient, addressHolder(request.peer), observation);
      addTo(byPeer, request.peer.key, observation);
      watchSilence();
      return { observe, progress: observation.fetch, attach: () => observation.attach(source) };
    },
    remove(peer, token, reason) {
      observations.get(keyOf(peer, token))?.finish(reason);
    },
    removePeer(peer, reason) {
      for (const observation of [...(byPeer.get(peer.key) ?? [])]) observation.finish(reason);
    },
    hasPeer: (peer) => byPeer.has(peer.key),
    close() {
      silenceTimer?.cancel();
      for (const observation of [...observations.values()]) {
        observation.finish("closed");
        const farewell = errorMessage(CODE.UNAVAILABLE, "shutting down");
        deps.channel.notifyOnce(observation.peer, observation.token, farewell);
      }
    },
  };
}
