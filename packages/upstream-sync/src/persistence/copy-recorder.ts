import {
  type Directory,
  MergeError,
  type Registration,
  recordWeight,
  type SourceChange,
} from "@tributary/merge-engine";
import type { FeedPosition } from "@tributary/replication";
import type { Clock } from "@tributary/runtime";
import { MAX_NAMES_WITHOUT_ROOM, UNPACKED_FACTOR } from "../constants.js";
import type { CopyStore, RestoredCopy, StoredRegistration, StoredTimes, StoredWithoutRoom } from "../copy-store.js";
import { contentOf } from "../replicated-content.js";
import type { UpstreamOptions } from "../types.js";
import { type NoRoomCause, noRoomCause } from "../without-room.js";

export interface CopyRecorderDeps {
  readonly store: CopyStore;
  readonly directory: Directory;
  readonly clock: Clock;
}

const UNNAMED: Record<NoRoomCause, StoredWithoutRoom> = {
  memory: { href: "", weight: 0, cause: "memory" },
  "directory-full": { href: "", weight: 0, cause: "directory-full" },
};

/** Writes down what the directory holds of one upstream as it changes, and brings it back after a restart. */
export class CopyRecorder {
  readonly #deps: CopyRecorderDeps;
  readonly #source: string;
  readonly #settings: string;
  readonly #account: string;
  readonly #stopListening: () => void;
  #authority: string | null = null;
  /** What ends after it was brought back and before the RD is followed again belongs to what had ended before. */
  #ended: Registration[] = [];
  /** What these take, bytes. */
  #endedWeight = 0;
  #withoutRoom: StoredWithoutRoom[] = [];
  /** Something that the RD holds is neither in the directory nor on disk: no position holds until it is copied again. */
  #isLacking = false;
  /** By its position in the feed, the copy claims what has ended as well: the RD may hold it as renewed. */
  #hasPosition = false;
  #isFollowed = false;
  #isComplete = false;

  constructor(deps: CopyRecorderDeps, options: UpstreamOptions) {
    this.#deps = deps;
    this.#source = options.name;
    this.#account = options.account ?? options.name;
    this.#settings = JSON.stringify([
      ...[options.uri, options.filters, options.defaultSector ?? null],
      ...(options.isTier === true ? ["tier"] : []),
    ]);
    this.#stopListening = deps.directory.on("source", (change) => {
      if (change.source === this.#source) this.#record(change);
    });
  }

  /** Bring back what was kept, unless it was followed in another way; null: there is nothing. */
  restore(): RestoredCopy | null {
    const { store, directory } = this.#deps;
    const isHeld = directory.sources().includes(this.#source);
    const kept = store.load(this.#source);
    if (kept === undefined || kept.settings !== this.#settings) {
      store.forget(this.#source);
      if (isHeld) this.#recordAll();
      return null;
    }
    this.#authority = kept.authority;
    this.#isComplete = kept.isComplete;
    // Settings that concern only the way of asking have changed: everything is in its place.
    if (!isHeld) this.#bringBack(kept.authority);
    const position = store.position(this.#source);
    this.#hasPosition = position !== undefined;
    return { isComplete: kept.isComplete, position, ended: this.#ended, withoutRoom: this.#withoutRoom };
  }

  #bringBack(authority: string): void {
    const { store, directory, clock } = this.#deps;
    directory.openSource(this.#source, { authority, account: this.#account });
    for (const one of store.registrations(this.#source)) {
      const registration = this.#onThisClock(one);
      if (registration.expiresAtMs <= clock.nowMs()) this.#restoreEnded(registration);
      else this.#show(registration);
    }
  }

  #restoreEnded(registration: Registration): void {
    const { memory } = this.#deps.directory.limits;
    const weight = UNPACKED_FACTOR * recordWeight(registration);
    if (!memory.fits(this.#account, this.#endedWeight + weight)) {
      this.#leaveOnDisk(registration, "memory");
      return;
    }
    this.#endedWeight += weight;
    this.#ended.push(registration);
  }

  #leaveOnDisk(registration: Registration, cause: NoRoomCause): void {
    const isNamed = this.#withoutRoom.length < MAX_NAMES_WITHOUT_ROOM;
    const { href } = registration;
    this.#withoutRoom.push(isNamed ? { href, weight: recordWeight(registration), cause } : UNNAMED[cause]);
  }

  /** What there is no room for stays on disk. */
  #show(registration: Registration): void {
    const { store, directory, clock } = this.#deps;
    const { href } = registration;
    try {
      directory.put(this.#source, registration, clock.nowMs());
    } catch (error) {
      if (!(error instanceof MergeError)) throw error;
      const cause = noRoomCause(error);
      if (cause !== undefined) this.#leaveOnDisk(registration, cause);
      else {
        store.remove(this.#source, href);
        store.setPosition(this.#source, undefined);
      }
    }
  }

  #recordAll(): void {
    const { directory } = this.#deps;
    for (const href of directory.hrefs(this.#source)) {
      const registration = directory.get(this.#source, href);
      if (registration !== undefined) this.#put(registration);
    }
  }

  #put(registration: Registration): void {
    this.#deps.store.put(this.#source, { registration: contentOf(registration), ...this.#onWallClock(registration) });
  }

  /** The RD is followed again: what it was before is history. */
  noteFollowed(): void {
    this.#isFollowed = true;
    this.#ended = [];
    this.#endedWeight = 0;
    this.#withoutRoom = [];
  }

  /** It is followed by its lookups: what was kept of a feed means nothing any more. */
  noteWithoutFeed(): void {
    this.noteFollowed();
    if (this.#hasPosition) this.#deps.store.setPosition(this.#source, undefined);
    this.#hasPosition = false;
  }

  /** The RD was found at `authority`; `isComplete`: all of it is here. */
  noteState(authority: string, isComplete: boolean): void {
    if (authority === this.#authority && isComplete === this.#isComplete) return;
    this.#authority = authority;
    this.#isComplete = isComplete;
    this.#deps.store.open(this.#source, { settings: this.#settings, authority, isComplete });
  }

  notePosition(position: FeedPosition): void {
    if (this.#isLacking) return;
    this.#hasPosition = true;
    this.#deps.store.setPosition(this.#source, position);
  }

  /** A registration of the RD has no room here: it is on disk only; undefined: not even that, and the feed has to be copied again. */
  noteLeftOut(registration: Registration | undefined): void {
    if (registration !== undefined) this.#put(registration);
    else if (!this.#isLacking) {
      this.#isLacking = true;
      this.#hasPosition = false;
      this.#deps.store.setPosition(this.#source, undefined);
    }
  }

  /** A copy from the start begins: what it leaves out will be noted again. */
  noteCopy(): void {
    this.#isLacking = false;
  }

  /** The RD does not hold a registration any more that had ended here before. */
  noteGone(href: string): void {
    this.#deps.store.remove(this.#source, href);
  }

  /** Write nothing down any more; what was written stays unless it is forgotten. */
  stop({ forget }: { readonly forget: boolean }): void {
    this.#stopListening();
    if (forget) this.#deps.store.forget(this.#source);
  }

  #record({ kind, href, cause, registration }: SourceChange): void {
    const { store } = this.#deps;
    if (kind === "removed" && cause === "expired" && this.#hasPosition) {
      if (!this.#isFollowed) this.#ended.push(registration);
    } else if (kind === "removed") store.remove(this.#source, href);
    else if (kind === "renewed") store.renew(this.#source, href, this.#onWallClock(registration));
    else this.#put(registration);
  }

  #onWallClock({ renewedAtMs, expiresAtMs, stampMs }: Registration): StoredTimes {
    const { clock } = this.#deps;
    const offsetMs = clock.wallMs() - clock.nowMs();
    const stamp = stampMs === undefined ? {} : { stampMs };
    return { renewedAtWallMs: renewedAtMs + offsetMs, expiresAtWallMs: expiresAtMs + offsetMs, ...stamp };
  }

  #onThisClock({ registration, renewedAtWallMs, expiresAtWallMs, stampMs }: StoredRegistration): Registration {
    const { clock } = this.#deps;
    // A wall clock that was set back must not make a registration younger than new.
    const renewedAtMs = clock.nowMs() - Math.max(0, clock.wallMs() - renewedAtWallMs);
    const expiresAtMs = renewedAtMs + (expiresAtWallMs - renewedAtWallMs);
    return { ...registration, renewedAtMs, expiresAtMs, ...(stampMs === undefined ? {} : { stampMs }) };
  }
}
