import {
  CODE,
  CONTENT_FORMAT,
  type ObservedResource,
  type Observer,
  type Peer,
  type ServerResponse,
} from "@tributary/coap-transport";
import { type FeedCursor, type FeedPatch, versionToETag } from "@tributary/replication";
import type { Clock, Timer } from "@tributary/runtime";
import { FEED_GATHER_MS, FEED_MAX_AGE_S, FEED_PATCHES_IN_TRANSIT } from "../constants.js";

/** Makes the patches of a feed. */
export interface PatchSource {
  /** Returns the patch that continues from `cursor`; null when there is nothing new. */
  nextPatch(cursor: FeedCursor, peer: Peer): FeedPatch | null;
  /** Returns where a subscriber is that applied `patch` at `cursor`. */
  advance(cursor: FeedCursor, patch: FeedPatch): FeedCursor;
  /** Called with where `peer` is after each patch that it acknowledged. */
  noteDelivered(peer: Peer, cursor: FeedCursor): void;
  /** Called when the observation has ended. */
  forget(subscriber: FeedSubscriber): void;
}

/**
 * One observer of one feed. Each patch builds on the one sent before it, which need not be acknowledged yet: the transport
 * retransmits it if it was lost.
 */
export class FeedSubscriber implements ObservedResource {
  readonly maxInTransit = FEED_PATCHES_IN_TRANSIT;
  readonly observer: Observer;
  readonly #source: PatchSource;
  readonly #clock: Clock;
  #sent: FeedCursor;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  /** The same after each of the patches in transit, in the order of sending. */
  readonly #inTransit: FeedCursor[] = [];
  /** Set while changes are gathered. */
  #gathering: Timer | null = null;

  constructor(
    source: PatchSource,
    clock: Clock,
    { observer, cursor }: { readonly observer: Observer; readonly cursor: FeedCursor },
  ) {
    this.#source = source;
    this.#clock = clock;
    this.observer = observer;
    this.#sent = cursor;
  }

  /** Where the observer is when it has received everything that was sent. */
  get sent(): FeedCursor {
    return this.#sent;
  }

  next(): ServerResponse | null {
    const patch = this.#source.nextPatch(this.#sent, this.observer.peer);
    if (patch === null || this.#gathers(patch)) return null;
    this.#stopGathering();
    this.#sent = this.#source.advance(this.#sent, patch);
    this.#sentAtMs = this.#clock.nowMs();
    this.#inTransit.push(this.#sent);
    return patchResponse(patch);
  }

  delivered(): void {
    const cursor = this.#inTransit.shift();
    if (cursor !== undefined) this.#source.noteDelivered(this.observer.peer, cursor);
    if (this.#inTransit.length > 0 || this.#gathering === null) return;
    this.#stopGathering();
    this.observer.wake();
  }

  closed(): void {
    this.#stopGathering();
    this.#source.forget(this);
  }

  /** Whether a patch that is not full has to wait for more changes, as it does for a short time while others are in transit. */
  #gathers(patch: FeedPatch): boolean {
    const waitMs = this.#sentAtMs + FEED_GATHER_MS - this.#clock.nowMs();
    if (!patch.complete || this.#inTransit.length === 0 || waitMs <= 0) return false;
    this.#gathering ??= this.#clock.setTimer(waitMs, () => {
      this.#gathering = null;
      this.observer.wake();
    });
    return true;
  }

  #stopGathering(): void {
    this.#gathering?.cancel();
    this.#gathering = null;
  }
}

/** The response with a patch. */
export function patchResponse(patch: FeedPatch): ServerResponse {
  return {
    code: CODE.CONTENT,
    contentFormat: CONTENT_FORMAT.JSON_PATCH,
    etag: versionToETag(patch.version),
    maxAgeS: FEED_MAX_AGE_S,
    payload: Buffer.from(patch.text, "utf8"),
  };
}
