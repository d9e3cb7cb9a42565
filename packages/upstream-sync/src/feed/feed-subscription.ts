import {
  type ClientResponse,
  CONTENT_FORMAT,
  METHOD,
  type Observation,
  TransportError,
} from "@tributary/coap-transport";
import { type AskedAt, type FeedKind, maxPatchBytes } from "@tributary/replication";
import { jittered, type Timer } from "@tributary/runtime";
import {
  FEED_POLL_MS,
  FIRST_RETRY_MS,
  GAP_PATIENCE_MS,
  HASTY_ASKS,
  HEARTBEAT_TIMEOUT_MS,
  LONGEST_HEARTBEAT_MS,
  MALFORMED_PAUSE_MS,
  MAX_EARLY_BYTES,
  MAX_EARLY_PATCHES,
} from "../constants.js";
import { toUpstreamError } from "../discovery/discovery.js";
import type { UpstreamError } from "../errors.js";
import type { FollowerDeps } from "../follower.js";
import { EarlyPatches } from "./early-patches.js";

/** What came by one feed. */
export interface Notification {
  readonly kind: FeedKind;
  readonly member: number;
  readonly response: ClientResponse;
  readonly asked: AskedAt;
  readonly receivedAtMs: number;
}

/** What a subscription asks for. */
export interface FeedPlan {
  readonly kind: FeedKind;
  readonly member: number;
  readonly uri: string;
  readonly query: readonly string[];
  readonly heldETag: () => Uint8Array[];
}

/** Callbacks of a subscription. */
export interface SubscriptionEvents {
  /** Returns a promise while enough is waiting. */
  received(kind: FeedKind, member: number, response: ClientResponse, asked: AskedAt): Promise<void> | undefined;
  failed(error: UpstreamError): void;
}

/** One observation of one feed, kept alive: silence for Max-Age is met by asking again with what is held. */
export class FeedSubscription {
  readonly kind: FeedKind;
  readonly member: number;
  readonly #deps: FollowerDeps;
  readonly #plan: FeedPlan;
  readonly #events: SubscriptionEvents;
  #observation: Observation | null = null;
  #timer: Timer | null = null;
  /** Asks for what is missing. */
  #dueAsk: Timer | null = null;
  #isAsking = false;
  #isClosed = false;
  #isPolled = false;
  #hastyAsks = 0;
  #hastySinceMs = 0;
  /** When the oldest request was sent that has not been answered, or else the last one. */
  #askedAtMs = 0;
  #isUnanswered = false;
  readonly #early = new EarlyPatches<Notification>({ maxPatches: MAX_EARLY_PATCHES, maxBytes: MAX_EARLY_BYTES });
  #gapTimer: Timer | null = null;

  constructor(deps: FollowerDeps, plan: FeedPlan, events: SubscriptionEvents) {
    this.kind = plan.kind;
    this.member = plan.member;
    this.#deps = deps;
    this.#plan = plan;
    this.#events = events;
  }

  open(): void {
    const { uri, query, heldETag } = this.#plan;
    this.#isAsking = true;
    // What comes first answers the request; nothing after it can be distinguished from a notification.
    let thisMs: number | undefined = this.#noteAsked();
    this.#observation = this.#deps.client.observe(
      { method: METHOD.GET, uri, query, accept: CONTENT_FORMAT.JSON_PATCH, etags: heldETag() },
      {
        onNotification: (response) => {
          this.#isAsking = false;
          this.#rest(response.maxAgeS * 1000);
          const someMs = this.#askedAtMs;
          this.#isUnanswered = false;
          const asked = thisMs === undefined ? { someMs } : { thisMs };
          thisMs = undefined;
          return this.#events.received(this.kind, this.member, response, asked);
        },
        onEnd: (reason) => this.#end(reason),
      },
      { timeoutMs: HEARTBEAT_TIMEOUT_MS, isSeries: true, maxBodyBytes: maxPatchBytes(this.#deps.recordLimits) },
    );
  }

  /** Ask for what is missing, once at a time. */
  askAgain(afterMs: number): void {
    if (this.#isClosed || this.#isAsking || this.#dueAsk !== null) return;
    // Not the timer of the heartbeat: notifications that go on arriving must not put off what is missing.
    const pauseMs = Math.max(afterMs, this.#isHasty() ? MALFORMED_PAUSE_MS : 0);
    this.#dueAsk = this.#deps.env.clock.setTimer(pauseMs, () => this.#ask());
  }

  /** Asked more than a few times within a short while: answers that fit nothing must not be asked for in a loop. */
  #isHasty(): boolean {
    const nowMs = this.#deps.env.clock.nowMs();
    if (nowMs - this.#hastySinceMs >= MALFORMED_PAUSE_MS) {
      this.#hastySinceMs = nowMs;
      this.#hastyAsks = 0;
    }
    return ++this.#hastyAsks > HASTY_ASKS;
  }

  /**
   * Keeps a patch until the one it builds on arrives; false when there is no room. If that one does not arrive in time, the feed is
   * asked again.
   */
  holdEarly(base: string, notification: Notification): boolean {
    if (this.#isClosed || !this.#early.add(base, notification)) return false;
    if (this.#gapTimer === null) this.#watchGap();
    return true;
  }

  /** Returns the waiting patch that builds on a version. */
  takeEarly(version: string): Notification | undefined {
    const early = this.#early.take(version);
    if (early === undefined && this.#early.size > 0) return undefined;
    // The gap was closed. There may be another one.
    this.#gapTimer?.cancel();
    this.#gapTimer = null;
    if (this.#early.size > 0) this.#watchGap();
    return early;
  }

  #watchGap(): void {
    this.#gapTimer = this.#deps.env.clock.setTimer(GAP_PATIENCE_MS, () => {
      this.#gapTimer = null;
      this.askAgain(0);
    });
  }

  #forgetEarly(): void {
    this.#early.clear();
    this.#gapTimer?.cancel();
    this.#gapTimer = null;
  }

  /** A polled feed that is not complete yet goes on at once. */
  noteApplied(isComplete: boolean): void {
    if (!this.#isPolled || isComplete || this.#isAsking || this.#isClosed) return;
    this.#isAsking = true;
    this.#setTimer(0, () => this.#ask());
  }

  async close(isReachable: boolean): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#forgetDueAsk();
    this.#forgetEarly();
    if (isReachable) await this.#observation?.close();
    else this.#observation?.cancel();
  }

  #ask(): void {
    if (this.#isClosed) return;
    this.#isAsking = true;
    this.#forgetDueAsk();
    // The response continues from the version that is held.
    this.#forgetEarly();
    this.#noteAsked();
    if (this.#isPolled) this.open();
    else this.#observation?.refresh(this.#plan.heldETag());
  }

  #forgetDueAsk(): void {
    this.#dueAsk?.cancel();
    this.#dueAsk = null;
  }

  #noteAsked(): number {
    const nowMs = this.#deps.env.clock.nowMs();
    if (!this.#isUnanswered) this.#askedAtMs = nowMs;
    this.#isUnanswered = true;
    return nowMs;
  }

  /** Heartbeat: the RD promised to say something, or that nothing is new, within Max-Age. */
  #rest(maxAgeMs: number): void {
    // Whatever Max-Age says: one of 136 years would be no heartbeat, one of 0 a loop.
    const withinReasonMs = Math.min(Math.max(maxAgeMs, FIRST_RETRY_MS), LONGEST_HEARTBEAT_MS);
    this.#setTimer(this.#jittered(this.#isPolled ? FEED_POLL_MS : withinReasonMs), () => this.#ask());
  }

  #jittered(ms: number): number {
    return jittered(this.#deps.env.random, ms, 1, 1.1);
  }

  #setTimer(ms: number, action: () => void): void {
    this.#timer?.cancel();
    if (!this.#isClosed) this.#timer = this.#deps.env.clock.setTimer(ms, action);
  }

  #end(reason: "not-observable" | "error-response" | Error): void {
    if (this.#isClosed || reason === "error-response") return;
    if (reason !== "not-observable") {
      this.#timer?.cancel();
      if (reason instanceof TransportError && reason.code === "TOO_LARGE") {
        this.#deps.remarks.add(`feed ${this.kind}: ${reason.message}`);
        this.#deps.leftOut.refused("beyond-limits");
      }
      this.#events.failed(toUpstreamError(reason));
      return;
    }
    if (!this.#isPolled) this.#deps.remarks.add(`feed ${this.kind}: no more observers are taken, it is polled`);
    this.#isPolled = true;
    this.#isAsking = false;
    this.#setTimer(this.#jittered(FEED_POLL_MS), () => this.#ask());
  }
}
