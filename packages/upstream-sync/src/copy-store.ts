import type { FeedPosition } from "@tributary/replication";
import type { ReplicatedContent } from "./replicated-content.js";

/** Times of a registration on the wall clock, ms since the Unix epoch, so that they mean something after a restart. */
export interface KeptTimes {
  readonly renewedAtWallMs: number;
  readonly expiresAtWallMs: number;
  /** What the RD told of the time of the renewal, by its own wall clock; kept as it is. */
  readonly stampMs?: number;
}

/** A registration of a replica as it is kept. */
export interface KeptRegistration extends KeptTimes {
  readonly registration: ReplicatedContent;
}

/** What is kept of a replica besides its registrations. */
export interface KeptReplica {
  /** What was followed and how, as text: a replica of other settings is of no use. */
  readonly settings: string;
  /** Origin of the RD. */
  readonly authority: string;
  /** The replica had been complete once. */
  readonly isComplete: boolean;
}

/**
 * Keeps replicas across restarts of an LP. Writes return at once and come to rest in the order of the calls, so that a
 * position never claims more than the registrations that are there.
 */
export interface ReplicaStore {
  sources(): string[];
  load(source: string): KeptReplica | undefined;
  registrations(source: string): Iterable<KeptRegistration>;
  /** Versions of both feeds whose content the registrations hold; absent: they have to be copied anew. */
  position(source: string): FeedPosition | undefined;
  open(source: string, replica: KeptReplica): void;
  put(source: string, kept: KeptRegistration): void;
  renew(source: string, href: string, times: KeptTimes): void;
  remove(source: string, href: string): void;
  setPosition(source: string, position: FeedPosition | undefined): void;
  forget(source: string): void;
  /** Resolves when everything is at rest. */
  close(): Promise<void>;
}
