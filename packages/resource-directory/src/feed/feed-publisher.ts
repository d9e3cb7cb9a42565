import {
  CODE,
  errorResponse,
  type ObservedResource,
  type Observer,
  type Peer,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import type { Criterion } from "@tributary/link-model";
import type { Directory, LookupInterface } from "@tributary/merge-engine";
import {
  type ChangeLog,
  createChangeLog,
  EPOCH_LIMIT,
  type FeedCursor,
  type FeedPatch,
  type FeedSource,
  feedSelector,
  isFeedSelector,
  type LoggedChange,
  parseFederationTime,
  TIME_CRITERION,
  type Version,
  versionFromETag,
  versionToETag,
} from "@tributary/replication";
import type { Environment, Timer } from "@tributary/runtime";
import { FEED_MAX_AGE_S, FEED_PATCH_BYTES_TCP, FEED_PATCH_BYTES_UDP } from "../constants.js";
import type { FeedHistory } from "../types.js";
import { CopiesUnderWay } from "./copies-under-way.js";
import { FeedSubscriber, type PatchSource, patchResponse } from "./feed-subscriber.js";
import { type PublishedChange, type PublishedRegistrations, registrationsOfSource } from "./published-registrations.js";

/** Registrations published again in one turn when the clock of this node has changed. */
const REPUBLISHED_PER_TURN = 500;

/** Collaborators of `createFeedPublisher`. */
export interface FeedPublisherDeps {
  readonly directory: Directory;
  readonly env: Environment;
}

/** Settings of `createFeedPublisher`. */
export interface FeedPublisherOptions {
  /** What is published; default what is registered here, the source `local`. */
  readonly publishes?: PublishedRegistrations;
  /** 24-bit number that differs from that of any earlier history. */
  readonly epoch: number;
  /** The kept history of this epoch that this one goes on from; then `resume` has to be called. */
  readonly history?: FeedHistory;
  /** Largest patch over UDP; default 1000, so that it fits one block of 1024 bytes. */
  readonly patchBytesUdp?: number;
  /** Largest patch over TCP; default 65 536. */
  readonly patchBytesTcp?: number;
  /** Removals remembered; a subscriber that is further behind starts from the beginning. Default 100 000. */
  readonly maxTombstones?: number;
}

/** Who follows a feed. */
export interface Follower {
  readonly address: string;
  readonly port: number;
  readonly transport: Peer["transport"];
  /** The name that it has proved to have; absent: none. */
  readonly name?: string;
  /** Everything that has changed was sent to it. */
  readonly isCurrent: boolean;
}

/** The replication feed of an RD (design section 3). */
export interface FeedPublisher {
  /** Answer a GET with Accept 51, and accept its observation. `criteria` are those of the query. */
  answer(kind: LookupInterface, criteria: readonly Criterion[], request: ServerRequest): ServerResponse;
  /** Returns who follows the feed now, each one once. */
  followers(): readonly Follower[];
  /** What the kept history is about has been loaded: whatever is not there any more was removed meanwhile. */
  resume(): void;
  /** End all observations with 5.03 and stop listening. Idempotent. */
  close(): void;
}

/**
 * Publish what is registered, and how it changes, to those who replicate it.
 * @throws {ReplicationError} `BAD_VERSION` when epoch or counter is out of range.
 */
export function createFeedPublisher(deps: FeedPublisherDeps, options: FeedPublisherOptions): FeedPublisher {
  return new Publisher(deps, options);
}

class Publisher implements FeedPublisher, PatchSource {
  readonly #deps: FeedPublisherDeps;
  readonly #published: PublishedRegistrations;
  readonly #log: ChangeLog;
  readonly #patchBytes: Record<"udp" | "tcp", number>;
  readonly #subscribers = new Set<FeedSubscriber>();
  readonly #copies: CopiesUnderWay;
  #publishing: Timer | null = null;
  readonly #clockRun: number;
  readonly #history: FeedHistory | undefined;
  /** The registrations that the history is about are being loaded. */
  #isResuming: boolean;
  /** Registrations that mean something on one link only: never replicated. */
  readonly #hidden = new Set<string>();
  /** Registrations whose content changed without a place in the history yet. */
  readonly #unplaced = new Set<string>();
  readonly #stopListening: () => void;

  constructor(deps: FeedPublisherDeps, options: FeedPublisherOptions) {
    this.#deps = deps;
    this.#published = options.publishes ?? registrationsOfSource(deps.directory, "local");
    this.#patchBytes = {
      udp: options.patchBytesUdp ?? FEED_PATCH_BYTES_UDP,
      tcp: options.patchBytesTcp ?? FEED_PATCH_BYTES_TCP,
    };
    const { history, maxTombstones } = options;
    this.#history = history;
    this.#isResuming = history !== undefined;
    this.#log = createChangeLog({
      epoch: options.epoch,
      ...(maxTombstones === undefined ? {} : { maxTombstones }),
      ...(history === undefined ? {} : { counter: history.counter, kept: history }),
      onForgotten: (href, horizon) => history?.forget(href, horizon),
    });
    this.#clockRun = Math.floor(deps.env.random() * EPOCH_LIMIT);
    this.#copies = new CopiesUnderWay(this.#log);
    this.#recordPresent();
    const stops = [
      this.#published.onChange((change) => this.#onChange(change)),
      deps.directory.on("retimed", () => this.#publishAllAgain()),
    ];
    this.#stopListening = () => {
      for (const stop of stops) stop();
    };
  }

  answer(kind: LookupInterface, criteria: readonly Criterion[], request: ServerRequest): ServerResponse {
    const { scope } = this.#published;
    const { directory, env } = this.#deps;
    directory.clock.follow(env.clock);
    for (const { name, value } of criteria) {
      const timeMs = name === TIME_CRITERION ? parseFederationTime(value) : null;
      if (timeMs !== null) directory.clock.observe(timeMs, env.clock.nowMs());
    }
    const asked = criteria.filter(({ name }) => name !== TIME_CRITERION);
    const filter = asked.filter((criterion) => !isFeedSelector(criterion, kind, scope));
    if (filter.length === asked.length) {
      return errorResponse(
        CODE.BAD_REQUEST,
        `a feed needs a criterion that selects it: ask with ${feedSelector(kind, scope)}`,
      );
    }
    const cursor = this.#open(kind, filter, request);
    const patch = this.nextPatch(cursor, request.peer);
    if (patch !== null) {
      const next = this.#log.advance(cursor, patch);
      // A version that the peer named already would not tell whether it received this.
      if (!request.etags.some((etag) => isVersion(etag, patch.version))) this.noteDelivered(request.peer, next);
      return this.#withObservation(request, patchResponse(patch), next);
    }
    return this.#withObservation(request, validResponse(cursor), cursor);
  }

  resume(): void {
    this.#isResuming = false;
    for (const href of [...this.#log.present()]) {
      if (!this.#published.has(href) || this.#hidden.has(href))
        this.#record({ href, kind: "removed", endpointChanged: true, linksChanged: true });
    }
  }

  /** A follower observes endpoints and resources, and may do so with several filters. */
  followers(): readonly Follower[] {
    const followers = new Map<string, Follower>();
    for (const { observer, sent } of this.#subscribers) {
      const { key, address, port, transport, identity } = observer.peer;
      const isCurrent = !this.#log.hasNews(sent) && followers.get(key)?.isCurrent !== false;
      followers.set(key, {
        address,
        port,
        transport,
        ...(identity === undefined ? {} : { name: identity.name }),
        isCurrent,
      });
    }
    return [...followers.values()];
  }

  close(): void {
    this.#stopListening();
    this.#publishing?.cancel();
    const farewell = errorResponse(CODE.UNAVAILABLE, "the feed ends");
    for (const { observer } of [...this.#subscribers]) observer.end(farewell);
    this.#subscribers.clear();
  }

  nextPatch(cursor: FeedCursor, peer: Peer): FeedPatch | null {
    this.#deps.directory.clock.follow(this.#deps.env.clock);
    const source: FeedSource = {
      get: (href) => shared(this.#published.get(href)),
      nowMs: this.#deps.env.clock.nowMs(),
      clockRun: this.#clockRun,
      ...(this.#deps.directory.clock.isSet ? { wallClock: this.#published.wallClock } : {}),
    };
    return this.#log.nextPatch(cursor, source, peer.transport === "udp" ? this.#patchBytes.udp : this.#patchBytes.tcp);
  }

  advance(cursor: FeedCursor, patch: FeedPatch): FeedCursor {
    return this.#log.advance(cursor, patch);
  }

  noteDelivered(peer: Peer, cursor: FeedCursor): void {
    this.#copies.note(peer, cursor);
  }

  forget(subscriber: FeedSubscriber): void {
    this.#subscribers.delete(subscriber);
  }

  /** Continues from the version that the subscriber holds (its ETag), or starts from the beginning. */
  #open(kind: LookupInterface, filter: readonly Criterion[], { etags, peer }: ServerRequest): FeedCursor {
    for (const etag of etags) {
      const held = versionFromETag(etag);
      if (held === null) continue;
      const copy = this.#copies.find(peer, kind, filter, held);
      if (copy !== null) return copy;
      const cursor = this.#log.open(kind, filter, held);
      if (cursor.version !== null) return cursor;
    }
    return this.#log.open(kind, filter, null);
  }

  /** The patch just sent counts as held: that it was lost, the subscriber notices by the next `test /version`. */
  #withObservation(request: ServerRequest, response: ServerResponse, cursor: FeedCursor): ServerResponse {
    if (request.observe !== 0) return response;
    const attach = (observer: Observer): ObservedResource => {
      const subscriber = new FeedSubscriber(this, this.#deps.env.clock, { observer, cursor });
      this.#subscribers.add(subscriber);
      if (this.#log.hasNews(cursor)) observer.wake();
      return subscriber;
    };
    return { ...response, observation: { attach } };
  }

  /**
   * Renewals mean another federation time than subscribers received: publishes all of them again, some at a time. Subscribers
   * know from the first of these patches how far federation time is ahead.
   */
  #publishAllAgain(): void {
    const hrefs = this.#published.hrefs()[Symbol.iterator]();
    const publishSome = () => {
      for (let count = 0; count < REPUBLISHED_PER_TURN; count++) {
        const { value: href, done } = hrefs.next();
        if (done === true) return this.#wake();
        if (this.#hidden.has(href) || this.#log.position(href) === undefined) continue;
        this.#record({ href, kind: "renewed", endpointChanged: false, linksChanged: false });
      }
      this.#wake();
      this.#publishing = this.#deps.env.clock.setTimer(0, publishSome);
    };
    this.#publishing?.cancel();
    // Not in the middle of what changed the clock, which may be the making of a patch.
    this.#publishing = this.#deps.env.clock.setTimer(0, publishSome);
  }

  #wake(): void {
    for (const subscriber of this.#subscribers) if (this.#log.hasNews(subscriber.sent)) subscriber.observer.wake();
  }

  /** What the source holds already is the beginning of this history. */
  #recordPresent(): void {
    for (const href of this.#published.hrefs()) {
      if (shared(this.#published.get(href)) === undefined) this.#hidden.add(href);
      else this.#record({ href, kind: "added", endpointChanged: true, linksChanged: true });
    }
  }

  #record(change: LoggedChange): void {
    const { positions } = this.#published;
    const position = positions === undefined ? undefined : (positions.current() ?? positions.take());
    const isContent = change.endpointChanged || change.linksChanged;
    // Several instances publish the same history: what the store does not know has no place in it.
    if (position === null) {
      if (isContent) this.#unplaced.add(change.href);
      return;
    }
    const isLate = this.#unplaced.delete(change.href) && !isContent;
    this.#log.record(isLate ? { ...change, endpointChanged: true, linksChanged: true } : change, position);
    const kept = this.#log.position(change.href);
    if (kept !== undefined) this.#history?.keep(kept);
  }

  #onChange(change: PublishedChange): void {
    const logged = this.#loggedChange(change);
    if (logged === null) return;
    // Subscribers know it as it was kept. One without a place in the history was written last before a crash.
    // One that the clocks here place at another time than was published is published again.
    const isKnown = logged.kind === "added" && this.#log.position(change.href)?.isRemoved === false;
    if (this.#isResuming && isKnown) {
      if (change.registration.stampMs === undefined)
        this.#record({ ...logged, kind: "renewed", endpointChanged: false, linksChanged: false });
      return;
    }
    this.#record(logged);
    this.#wake();
  }

  /** What subscribers get to know of a change; null: nothing. */
  #loggedChange({ href, kind, endpointChanged, linksChanged, registration }: PublishedChange): LoggedChange | null {
    const wasHidden = this.#hidden.has(href);
    const isHidden = kind !== "removed" && shared(registration) === undefined;
    if (isHidden) this.#hidden.add(href);
    else this.#hidden.delete(href);
    if (wasHidden && (isHidden || kind === "removed")) return null;
    if (wasHidden) return { href, kind: "added", endpointChanged: true, linksChanged: true };
    if (!isHidden) return { href, kind, endpointChanged, linksChanged };
    return kind === "added" ? null : { href, kind: "removed", endpointChanged: true, linksChanged: true };
  }
}

function isVersion(etag: Uint8Array, version: Version): boolean {
  const held = versionFromETag(etag);
  return held !== null && held.epoch === version.epoch && held.counter === version.counter;
}

/** RFC 9176 section 6.1: a link-local registration is for its own link. */
function shared<T extends { readonly zone?: string | undefined }>(registration: T | undefined): T | undefined {
  return registration?.zone === undefined ? registration : undefined;
}

function validResponse({ version }: FeedCursor): ServerResponse {
  return { code: CODE.VALID, maxAgeS: FEED_MAX_AGE_S, ...(version === null ? {} : { etag: versionToETag(version) }) };
}
