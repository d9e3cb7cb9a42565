import { type ClientResponse, CODE, CONTENT_FORMAT, formatCode } from "@tributary/coap-transport";
import { formatCriterion } from "@tributary/link-model";
import {
  type AskedAt,
  type FeedKind,
  feedSelector,
  formatVersion,
  parseVersion,
  type Version,
  versionFromETag,
  versionToETag,
} from "@tributary/replication";
import {
  MALFORMED_PAUSE_MS,
  MANY_WAITING_NOTIFICATIONS,
  MAX_WAITING_BYTES,
  MAX_WAITING_NOTIFICATIONS,
} from "../constants.js";
import {
  type Discovered,
  deniesLookup,
  feedScope,
  lookupGone,
  retryAfter,
  toUpstreamError,
} from "../discovery/discovery.js";
import { UpstreamError } from "../errors.js";
import type { Follower, FollowerDeps } from "../follower.js";
import { ClockWatch } from "./clock-watch.js";
import type { FeedCopy } from "./feed-copy.js";
import { FeedSubscription, type Notification } from "./feed-subscription.js";
import { NotificationQueue } from "./notification-queue.js";

/** Follows an RD by its feed: two observations for each conjunction of filters (design section 3). */
export class FeedFollower implements Follower {
  readonly method = "feed";
  lagMs: number | undefined;
  readonly #deps: FollowerDeps;
  readonly #copy: FeedCopy;
  #subscriptions: FeedSubscription[] = [];
  #clockWatch: ClockWatch | null = null;
  #isStopped = false;
  /** Received and not worked on yet. */
  readonly #waiting = new NotificationQueue<Notification>({
    maxNotifications: MAX_WAITING_NOTIFICATIONS,
    maxBytes: MAX_WAITING_BYTES,
  });
  /** Feeds of which notifications were dropped. */
  readonly #behind = new Set<FeedSubscription>();
  #isWorking = false;
  /** The feed is to be copied from the start when what has been received is worked in. */
  #isCopyDue = false;
  /** Settled when what has been received is worked in. Never rejects. */
  #working: Promise<void> = Promise.resolve();
  /** Settled when few notifications wait, or none is worked in any more; null: nobody waits for it. */
  #fewWait: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;

  constructor(deps: FollowerDeps, copy: FeedCopy) {
    this.#deps = deps;
    this.#copy = copy;
  }

  start(found: Discovered): void {
    const filters = this.#deps.options.filters.length === 0 ? [[]] : this.#deps.options.filters;
    this.#clockWatch = new ClockWatch(this.#deps, this.#copy, found);
    const events = {
      received: (kind: FeedKind, member: number, response: ClientResponse, asked: AskedAt) => {
        this.#receive(kind, member, response, asked);
        return this.#waiting.length >= MANY_WAITING_NOTIFICATIONS ? this.#whenFewWait() : undefined;
      },
      failed: (error: UpstreamError) => this.#fail(error),
    };
    this.#subscriptions = filters.flatMap((criteria, member) =>
      (["ep", "res"] as const).map((kind) => {
        const uri = kind === "ep" ? found.endpointLookup : found.resourceLookup;
        const query = [feedSelector(kind, feedScope(found)), ...criteria.map(formatCriterion)];
        return new FeedSubscription(
          this.#deps,
          { kind, member, uri, query, heldETag: () => this.#heldETag(kind, member) },
          events,
        );
      }),
    );
    this.#copy.onRoom = () => this.#copyAgain();
    for (const subscription of this.#subscriptions) subscription.open();
  }

  async stop(isReachable: boolean): Promise<void> {
    this.#isStopped = true;
    this.#copy.onRoom = () => {};
    this.#clockWatch?.stop();
    this.#waiting.clear();
    // What has been begun is brought to its end: the next follower goes on from there.
    await Promise.all([this.#working, ...this.#subscriptions.map((subscription) => subscription.close(isReachable))]);
  }

  #whenFewWait(): Promise<void> {
    if (this.#fewWait === null) {
      let resolve = (): void => {};
      const promise = new Promise<void>((settle) => {
        resolve = settle;
      });
      this.#fewWait = { promise, resolve };
    }
    return this.#fewWait.promise;
  }

  #noteFewWait(): void {
    this.#fewWait?.resolve();
    this.#fewWait = null;
  }

  /** There is room for what was left out. */
  #copyAgain(): void {
    this.#deps.env.logger.info("there is room for what was left out, copying again", {
      upstream: this.#deps.options.name,
    });
    if (this.#isWorking) {
      this.#isCopyDue = true;
      return;
    }
    this.#copy.restart();
    for (const subscription of this.#subscriptions) subscription.askAgain(0);
  }

  #fail(error: UpstreamError): void {
    if (!this.#isStopped) this.#deps.events.failed(error);
  }

  #heldETag(kind: FeedKind, member: number): Uint8Array[] {
    const version = this.#copy.reader(member).version(kind);
    return version === null ? [] : [versionToETag(version)];
  }

  #subscription(kind: FeedKind, member: number): FeedSubscription | undefined {
    return this.#subscriptions.find((one) => one.kind === kind && one.member === member);
  }

  #receive(kind: FeedKind, member: number, response: ClientResponse, asked: AskedAt): void {
    if (this.#isStopped) return;
    const { env, events } = this.#deps;
    events.contact();
    events.bytes(response.wireBytes);
    const subscription = this.#subscription(kind, member);
    const isTaken = this.#waiting.add({ kind, member, response, asked, receivedAtMs: env.clock.nowMs() });
    if (!isTaken && subscription !== undefined) this.#behind.add(subscription);
    if (!this.#isWorking) this.#working = this.#workAll();
  }

  /** Work in what was received, one after the other, in later turns of the event loop where it takes long. Never rejects. */
  async #workAll(): Promise<void> {
    const { turns } = this.#deps;
    this.#isWorking = true;
    try {
      for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) {
        const steps = this.#workIn(next);
        const rest = turns.start((untilMs) => {
          do if (steps.next().done === true) return false;
          while (turns.nowMs() < untilMs);
          return true;
        });
        // What is short is done when the next message is received.
        if (rest !== undefined) await rest;
        if (this.#waiting.length < MANY_WAITING_NOTIFICATIONS) this.#noteFewWait();
      }
      for (const subscription of this.#behind) subscription.askAgain(0);
      this.#behind.clear();
    } catch (error) {
      // What is held, and where in the feeds that is, may not belong together any more.
      for (const { member } of this.#subscriptions) this.#copy.reader(member).restart();
      this.#fail(toUpstreamError(error));
    } finally {
      this.#isWorking = false;
      this.#noteFewWait();
    }
    if (this.#isCopyDue && !this.#isStopped) this.#copyAgain();
    this.#isCopyDue = false;
  }

  *#workIn(notification: Notification): Generator<void, void> {
    const { kind, response } = notification;
    if (response.code === CODE.CONTENT && response.contentFormat === CONTENT_FORMAT.JSON_PATCH) {
      yield* this.#apply(notification);
    } else if (response.code === CODE.VALID) {
      yield* this.#confirm(notification);
    } else this.#refused(kind, response);
    if (!this.#isStopped) this.#clockWatch?.check();
  }

  #refused(kind: FeedKind, response: ClientResponse): void {
    const reason = `${formatCode(response.code)} ${new TextDecoder().decode(response.payload.subarray(0, 200))}`.trim();
    if (response.code === CODE.UNAVAILABLE) {
      this.#fail(new UpstreamError("UPSTREAM_REFUSED", reason, retryAfter(response)));
      return;
    }
    if (deniesLookup(response.code)) {
      this.#fail(lookupGone(kind, response.code));
      return;
    }
    const isRefusal = response.code === CODE.FORBIDDEN || response.code === CODE.UNAUTHORIZED;
    this.#deps.report({ feed: isRefusal ? "refused" : "no" });
    const isOtherFormat = response.code === CODE.CONTENT;
    this.#deps.events.feedUnavailable(isOtherFormat ? "the answer to format 51 has another format" : reason, isRefusal);
  }

  *#apply(notification: Notification): Generator<void, void> {
    const { kind, member, response, asked, receivedAtMs } = notification;
    const { events } = this.#deps;
    const outcome = yield* this.#copy.apply(member, kind, response.payload, receivedAtMs, asked);
    if (outcome === undefined || this.#isStopped) return;
    const subscription = this.#subscription(kind, member);
    switch (outcome.kind) {
      case "applied":
        subscription?.noteApplied(this.#copy.reader(member).isComplete(kind));
        events.receiving();
        if (outcome.changes.length > 0) events.changed();
        this.#restartOtherHistory(kind, member);
        this.#applyEarly(kind, member);
        this.#settle();
        return;
      case "gap":
        this.#noteGap(notification, outcome.expected);
        return;
      case "malformed":
        this.#copy.reader(member).restart(kind);
        subscription?.askAgain(MALFORMED_PAUSE_MS);
        return;
      default:
        outcome satisfies never;
    }
  }

  /** Handles 2.03: what is held is all there is. The patch that said so may have been lost. */
  *#confirm({ kind, member, response, receivedAtMs }: Notification): Generator<void, void> {
    const version = response.etag === undefined ? null : versionFromETag(response.etag);
    if (version !== null) yield* this.#copy.confirm(member, kind, version, receivedAtMs);
    if (!this.#isStopped) this.#settle();
  }

  /** Handles a patch that does not fit what is held; it builds on the version `base`. */
  #noteGap(notification: Notification, base: string): void {
    const { kind, member, response } = notification;
    const { env, options } = this.#deps;
    const subscription = this.#subscription(kind, member);
    const reader = this.#copy.reader(member);
    const held = reader.version(kind);
    if (held !== null && isBefore(base, held)) return;
    const isSame = held !== null && base === formatVersion(held);
    if (!isSame && response.peer.transport === "udp" && subscription?.holdEarly(base, notification) === true) return;
    // The patch builds on what is held and still does not fit: the copies differ, and only new ones help.
    if (isSame) {
      reader.restart();
      this.#subscription(kind === "ep" ? "res" : "ep", member)?.askAgain(0);
    }
    env.logger.debug("feed has a gap, asking again", { upstream: options.name, feed: kind, expected: base });
    subscription?.askAgain(0);
  }

  /** Queues the early patch that builds on the one just applied, as the next one. */
  #applyEarly(kind: FeedKind, member: number): void {
    const version = this.#copy.reader(member).version(kind);
    const early = version === null ? undefined : this.#subscription(kind, member)?.takeEarly(formatVersion(version));
    if (early !== undefined) this.#waiting.addFirst(early);
  }

  /** Halves of two histories never join: when one feed moved to a new epoch, ask for the other at once. */
  #restartOtherHistory(kind: FeedKind, member: number): void {
    const other = kind === "ep" ? "res" : "ep";
    const reader = this.#copy.reader(member);
    const [own, its] = [reader.version(kind), reader.version(other)];
    if (own !== null && its !== null && own.epoch !== its.epoch) this.#subscription(other, member)?.askAgain(0);
  }

  #settle(): void {
    if (!this.#copy.isComplete) return;
    this.#deps.report({
      feed: "yes",
      observe: "yes",
      hrefFilter: "yes",
      provenance: "yes",
      lifetimeAge: "yes",
      paging: "yes",
      etag: "yes",
      attribution: "feed",
    });
    this.#deps.events.complete();
  }
}

/** Whether a patch that builds on `base` has been applied, or superseded, already. */
function isBefore(base: string, held: Version): boolean {
  const version = parseVersion(base);
  return version !== null && version.epoch === held.epoch && version.counter < held.counter;
}
