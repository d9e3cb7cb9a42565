export { createChangeLog } from "./change-log.js";
export { COUNTER_LIMIT, EPOCH_LIMIT, MAX_PATCH_BYTES } from "./constants.js";
export { ReplicationError, type ReplicationErrorCode } from "./errors.js";
export { federationTimeItem, parseFederationTime, TIME_CRITERION } from "./federation-time.js";
export { readClock } from "./feed-clock.js";
export type { EntryFault } from "./feed-entry.js";
export type { StagingMemory } from "./feed-half.js";
export { createFeedReader } from "./feed-reader.js";
export { HERE_ONLY_HOP_LIMIT, TIER_HOP_LIMIT } from "./hop-limit.js";
export { type AskedAt, type ClockReading, RemoteClock, type WallReading } from "./remote-clock.js";
export { lifetimeAgeS, type WallClock } from "./renewal-age.js";
export type {
  ChangeLog,
  ChangeLogOptions,
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
  KeptHistory,
  LoggedChange,
  LogPosition,
  ReplicaChange,
} from "./types.js";
export type { Version } from "./version.js";
export { formatVersion, parseVersion, versionFromETag, versionToETag } from "./version.js";
