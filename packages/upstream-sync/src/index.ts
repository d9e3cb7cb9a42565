export type { AutoOptions } from "./auto/auto-upstream.js";
export { createAutoUpstream } from "./auto/auto-upstream.js";
export { FEED_RESOURCE_TYPES, NODE_ATTRIBUTE, TCP_ATTRIBUTE, TIER_ATTRIBUTE } from "./constants.js";
export type { CopyStore, StoredCopy, StoredRegistration, StoredTimes } from "./copy-store.js";
export type { Discovered, DiscoveryResult } from "./discovery/discovery.js";
export type { UpstreamErrorCode } from "./errors.js";
export { UpstreamError } from "./errors.js";
export { failoverClient } from "./failover-client.js";
export type { LeftOutCause, Losses } from "./left-out.js";
export { createMemoryCopyStore } from "./persistence/memory-copy-store.js";
export type {
  AskedListener,
  AskedObservation,
  AskedResult,
  Capability,
  CapabilityReport,
  FamilyStatus,
  Handover,
  UnchangedResult,
  Upstream,
  UpstreamDeps,
  UpstreamMode,
  UpstreamOptions,
  UpstreamPhase,
  UpstreamPlanning,
  UpstreamStatus,
} from "./types.js";
export { createUpstream } from "./upstream.js";
