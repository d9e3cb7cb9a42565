export { type AutoOptions, createAutoUpstream } from "./auto-upstream.js";
export { FEED_RESOURCE_TYPES, NODE_ATTRIBUTE, TIER_ATTRIBUTE } from "./constants.js";
export type { Discovered, DiscoveryResult } from "./discovery.js";
export { UpstreamError, type UpstreamErrorCode } from "./errors.js";
export type { Handover } from "./handover.js";
export type { LeftOutCause, Losses } from "./left-out.js";
export { createMemoryReplicaStore } from "./memory-replica-store.js";
export type { KeptRegistration, KeptReplica, KeptTimes, ReplicaStore } from "./replica-store.js";
export type {
  Capability,
  CapabilityReport,
  FamilyStatus,
  ForwardedAnswer,
  ForwardedListener,
  ForwardedObservation,
  UnchangedAnswer,
  Upstream,
  UpstreamDeps,
  UpstreamMode,
  UpstreamOptions,
  UpstreamPhase,
  UpstreamStatus,
} from "./types.js";
export { createUpstream } from "./upstream.js";
