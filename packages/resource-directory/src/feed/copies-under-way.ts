import type { Peer } from "@tributary/coap-transport";
import type { Criterion } from "@tributary/link-model";
import type { ChangeLog, FeedCursor, FeedKind, Version } from "@tributary/replication";
import { MAX_COPIES_UNDER_WAY } from "../constants.js";

/**
 * Where first copies stand that a peer has not received whole yet. The version that it names when it asks again (its ETag)
 * does not say when its copy began, and without that a copy that is fetched in several requests would have to start again
 * whenever removals were forgotten before it began. The oldest is given up for the newest, and starts again.
 */
export class CopiesUnderWay {
  readonly #log: ChangeLog;
  readonly #cursors = new Map<string, FeedCursor>();

  constructor(log: ChangeLog) {
    this.#log = log;
  }

  note(peer: Peer, cursor: FeedCursor): void {
    const key = keyOf(peer, cursor.kind, cursor.filter);
    this.#cursors.delete(key);
    if (cursor.isComplete || cursor.copyBegan === 0) return;
    this.#cursors.set(key, cursor);
    if (this.#cursors.size > MAX_COPIES_UNDER_WAY) this.#cursors.delete(this.#cursors.keys().next().value as string);
  }

  /** The copy of `peer` that stands at `held` and can go on, or null. */
  find(peer: Peer, kind: FeedKind, filter: readonly Criterion[], held: Version): FeedCursor | null {
    const cursor = this.#cursors.get(keyOf(peer, kind, filter));
    const version = cursor?.version;
    if (cursor === undefined || version == null) return null;
    if (version.epoch !== held.epoch || version.counter !== held.counter) return null;
    return this.#log.canContinue(cursor) ? cursor : null;
  }
}

function keyOf(peer: Peer, kind: FeedKind, filter: readonly Criterion[]): string {
  return JSON.stringify([peer.key, kind, filter]);
}
