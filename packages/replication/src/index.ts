export { atOnce } from "./at-once.js";
export { EPOCH_LIMIT, MAX_PATCH_BYTES } from "./constants.js";
export type { EntryFault } from "./entry-fault.js";
export { fitsPatch } from "./entry-fit.js";
export type { ReplicationErrorCode } from "./errors.js";
export { ReplicationError } from "./errors.js";
export type { FeedScope } from "./feed-selector.js";
export { feedSelector, isFeedSelector } from "./feed-selector.js";
export { HERE_ONLY_HOP_LIMIT, TIER_HOP_LIMIT } from "./hop-limit.js";
export { maxPatchBytes } from "./patch-bounds.js";
export { createChangeLog } from "./publisher/change-log.js";
export { readClock } from "./reader/feed-clock.js";
export { createFeedReader } from "./reader/feed-reader.js";
export type { StagingMemory } from "./staging-memory.js";
export { federationTimeItem, parseFederationTime, TIME_CRITERION } from "./time/federation-time.js";
export type { AskedAt, ClockReading, WallReading } from "./time/remote-clock.js";
export { RemoteClock } from "./time/remote-clock.js";
export type { WallClock } from "./time/renewal-age.js";
export { lifetimeAgeS } from "./time/renewal-age.js";
export type {
  ChangeLog,
  ChangeLogOptions,
  CopyChange,
  FeedCursor,
  FeedFault,
  FeedKind,
  FeedOutcome,
  FeedPatch,
  FeedPosition,
  FeedReader,
  FeedReaderOptions,
  FeedSource,
  HeldRegistrations,
  LoggedChange,
  LogPosition,
  RememberedHistory,
} from "./types.js";
export type { Version } from "./version.js";
export { formatVersion, parseVersion, versionFromETag, versionToETag } from "./version.js";
