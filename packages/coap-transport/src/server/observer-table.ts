import type { Timer } from "@tributary/runtime";
import { CODE } from "../message/codes.js";
import { addressHolder } from "../message/ip-address.js";
import { tokenKey } from "../message/message.js";
import type { ObservationEnd, ObservationSource, Peer } from "../types.js";
import type { BlockProgress } from "./fetch-watch.js";
import type { IncomingRequest } from "./request.js";
import { errorMessage, errorResponse } from "./response.js";
import { ServerObservation, type ServerObservationDeps } from "./server-observation.js";

export interface ObserverTableOptions {
  readonly maxObservers: number;
  /** Observations of one client: of its IPv4 address or IPv6 /64. */
  readonly maxObserversPerClient: number;
  /** Longest time between two block requests of an observer before the next notification is sent, ms. */
  readonly fetchPatienceMs: number;
}

/** An observation that begins with the response to its registration. */
export interface AdmittedObservation {
  /** Observe value of that response. */
  readonly observe: number;
  /** Follows the transfer of that response if it takes more than one block. */
  readonly progress: BlockProgress;
  /** To be called once the response was sent. */
  attach(): void;
}

const SEQUENCE_SPACE = 0x1000000;
/** RFC 7641 section 4.5: an observer is pinged when nothing was sent to it for 24 hours. */
const SILENCE_MS = 86_400_000;
const SILENCE_CHECK_MS = 3_600_000;
/** When a place is missing, observers that were silent for this long are pinged, */
const DOUBT_MS = 60_000;
/** this many at a time, */
const PROBES = 16;
/** and not more often than this. */
const PROBE_PAUSE_MS = 1000;

/** The observations of one listener (RFC 7641 section 4). */
export class ObserverTable {
  readonly #deps: ServerObservationDeps;
  readonly #options: ObserverTableOptions;
  readonly #observations = new Map<string, ServerObservation>();
  readonly #byPeer = new Map<string, Set<ServerObservation>>();
  /** In the order of registration. */
  readonly #byClient = new Map<string, Set<ServerObservation>>();
  #silenceTimer: Timer | null = null;
  #probedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: Omit<ServerObservationDeps, "onEnd">, options: ObserverTableOptions) {
    this.#deps = { ...deps, onEnd: (observation) => this.#forget(observation) };
    this.#options = options;
  }

  get size(): number {
    return this.#observations.size;
  }

  /** Accepts an observation; null when there are too many. One of the same peer and token is replaced. */
  admit(request: IncomingRequest, source: ObservationSource): AdmittedObservation | null {
    const { peer, token } = request;
    const key = keyOf(peer, token);
    const client = addressHolder(peer);
    const previous = this.#observations.get(key);
    if (previous === undefined && !this.#makeRoom(client)) return null;
    const sequence = this.#firstSequence(previous);
    previous?.finish("replaced");
    const { fetchPatienceMs } = this.#options;
    const observation = new ServerObservation(this.#deps, request, { sequence, fetchPatienceMs });
    this.#observations.set(key, observation);
    addTo(this.#byClient, client, observation);
    addTo(this.#byPeer, peer.key, observation);
    this.#watchSilence();
    return { observe: sequence, progress: observation.fetch, attach: () => observation.attach(source) };
  }

  /** Ends the observation of a peer with this token. */
  remove(peer: Peer, token: Uint8Array, reason: ObservationEnd): void {
    this.#observations.get(keyOf(peer, token))?.finish(reason);
  }

  /** Ends all observations of a peer. */
  removePeer(peer: Peer, reason: ObservationEnd): void {
    for (const observation of [...(this.#byPeer.get(peer.key) ?? [])]) observation.finish(reason);
  }

  hasPeer(peer: Peer): boolean {
    return this.#byPeer.has(peer.key);
  }

  /** Ends all observations, each with a last notification. */
  close(): void {
    this.#silenceTimer?.cancel();
    const farewell = errorMessage(CODE.UNAVAILABLE, "shutting down");
    for (const observation of [...this.#observations.values()]) {
      observation.finish("closed");
      this.#deps.channel.notifyOnce(observation.peer, observation.token, farewell);
    }
  }

  /** Runs as long as there are observers. */
  #watchSilence(): void {
    this.#silenceTimer ??= this.#deps.clock.setTimer(SILENCE_CHECK_MS, () => {
      this.#silenceTimer = null;
      const sinceMs = this.#deps.clock.nowMs() - SILENCE_MS;
      for (const observation of [...this.#observations.values()])
        if (observation.heardAtMs <= sinceMs) observation.probe();
      if (this.#observations.size > 0) this.#watchSilence();
    });
  }

  #forget(observation: ServerObservation): void {
    const key = keyOf(observation.peer, observation.token);
    if (this.#observations.get(key) === observation) this.#observations.delete(key);
    removeFrom(this.#byClient, addressHolder(observation.peer), observation);
    removeFrom(this.#byPeer, observation.peer.key, observation);
  }

  /** Whether a client may have one more observation. In a full table the client with the most loses one to a client with fewer. */
  #makeRoom(client: string): boolean {
    const { maxObservers, maxObserversPerClient } = this.#options;
    const own = this.#byClient.get(client) ?? new Set();
    if (own.size >= maxObserversPerClient) {
      this.#probeSilent(own);
      return false;
    }
    if (this.#observations.size < maxObservers) return true;
    this.#probeSilent(this.#observations.values());
    const [richest] = [...this.#byClient.values()].sort((a, b) => b.size - a.size);
    const [oldest] = richest ?? [];
    if (richest === undefined || oldest === undefined || richest.size <= own.size + 1) return false;
    oldest.end(errorResponse(CODE.UNAVAILABLE, "another client needs the place of this observation"));
    return true;
  }

  /** Finds out which of the observers have gone, those that were silent for longest first: their places become free. */
  #probeSilent(observations: Iterable<ServerObservation>): void {
    const nowMs = this.#deps.clock.nowMs();
    if (nowMs - this.#probedAtMs < PROBE_PAUSE_MS) return;
    this.#probedAtMs = nowMs;
    const silent = [...observations].filter(({ heardAtMs }) => nowMs - heardAtMs >= DOUBT_MS);
    silent.sort((a, b) => a.heardAtMs - b.heardAtMs);
    for (const observation of silent.slice(0, PROBES)) observation.probe();
  }

  /** Returns a value above all that were sent before with this token, also before a restart: 2^23 ms take longer than 128 s. */
  #firstSequence(previous: ServerObservation | undefined): number {
    return previous === undefined ? Math.floor(this.#deps.clock.wallMs()) % SEQUENCE_SPACE : previous.nextSequence();
  }
}

function keyOf(peer: Peer, token: Uint8Array): string {
  return `${peer.key} ${tokenKey(token)}`;
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
