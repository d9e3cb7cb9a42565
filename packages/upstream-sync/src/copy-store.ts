import type { Registration } from "@tributary/merge-engine";
import type { FeedPosition } from "@tributary/replication";
import type { ReplicatedContent } from "./replicated-content.js";
import type { NoRoomCause } from "./without-room.js";

/** Times of a registration on the wall clock, ms since the Unix epoch, so that they mean something after a restart. */
export interface StoredTimes {
  readonly renewedAtWallMs: number;
  readonly expiresAtWallMs: number;
  /** Time of the renewal by the wall clock of the RD, as it was reported. */
  readonly stampMs?: number;
}

/** A registration of a copy, as stored. */
export interface StoredRegistration extends StoredTimes {
  readonly registration: ReplicatedContent;
}

/** What is stored of a copy besides its registrations. */
export interface StoredCopy {
  /** What was followed and how, as text: a copy of other settings is of no use. */
  readonly settings: string;
  /** Origin of the RD. */
  readonly authority: string;
  /** The copy had been complete once. */
  readonly isComplete: boolean;
}

/**
 * Keeps replicas across restarts of an LP. Writes return at once and come to rest in the order of the calls, so that a
 * position never claims more than the registrations that are there.
 */
export interface CopyStore {
  /** Returns the names of all upstreams of which there is a copy. */
  sources(): string[];
  /** Returns the head of a stored copy. */
  load(source: string): StoredCopy | undefined;
  /** Iterates over the registrations of a stored copy. */
  registrations(source: string): Iterable<StoredRegistration>;
  /** Versions of both feeds whose content the registrations hold; absent: they have to be copied again. */
  position(source: string): FeedPosition | undefined;
  /** Starts a copy, in place of an earlier one of that name. */
  open(source: string, copy: StoredCopy): void;
  /** Stores a registration. */
  put(source: string, kept: StoredRegistration): void;
  /** Stores the times of a registration that was renewed. */
  renew(source: string, href: string, times: StoredTimes): void;
  /** Removes a registration. */
  remove(source: string, href: string): void;
  /** Stores the position in the feed; undefined: the copy is not complete up to any position. */
  setPosition(source: string, position: FeedPosition | undefined): void;
  /** Removes a copy. */
  forget(source: string): void;
  /** Resolves when everything is at rest. */
  close(): Promise<void>;
}

/** The copy of an upstream when the previous process ended. */
export interface RestoredCopy {
  readonly isComplete: boolean;
  readonly position: FeedPosition | undefined;
  /** Registrations whose lifetimes have ended meanwhile; the RD may hold them as renewed. */
  readonly ended: readonly Registration[];
  /** Registrations that stay on disk, because there is no room for them. */
  readonly withoutRoom: readonly StoredWithoutRoom[];
}

/** A registration that is on disk only. */
export interface StoredWithoutRoom {
  /** Empty: of very many, only the number is known. */
  readonly href: string;
  /** What it needs, bytes. */
  readonly weight: number;
  readonly cause: NoRoomCause;
}
