export { DEFAULT_LIMITS as DEFAULT_REGISTRATION_LIMITS } from "./constants.js";
export { createEndpointDocuments, type EndpointDocuments } from "./endpoint-documents.js";
export { ResourceDirectoryError, type ResourceDirectoryErrorCode } from "./errors.js";
export { startExpirySweep } from "./expiry-sweep.js";
export {
  createFeedPublisher,
  type FeedPublisher,
  type FeedPublisherDeps,
  type FeedPublisherOptions,
} from "./feed-publisher.js";
export { LookupInterfaceError, type LookupInterfaceErrorCode } from "./lookup-errors.js";
export { createLookupInterface, type LookupInterfaceDeps, type LookupInterfaceOptions } from "./lookup-interface.js";
export { type LookupScope, type LookupScopeOptions, lookupScope, scopeOfRequest } from "./lookup-scope.js";
export { directoryLookupSource } from "./lookup-source.js";
export { createMemoryStore } from "./memory-store.js";
export { pathReference } from "./paths.js";
export { type PublishedRegistrations, registrationsOfSource, visibleRegistrations } from "./published-registrations.js";
export { type Refusal, refusalAnswer } from "./refusal.js";
export { FORWARDED_BASE_ITEM, implicitBase } from "./registration-base.js";
export { createReplicaPolicy } from "./replica-policy.js";
export { createResourceDirectory } from "./resource-directory.js";
export { createSite } from "./site.js";
export type {
  FeedHistory,
  LookupAnswer,
  LookupContext,
  LookupObservation,
  LookupRefusal,
  LookupSource,
  RegistrationLimits,
  RegistrationStore,
  ReplicaPolicy,
  ResourceDirectory,
  ResourceDirectoryDeps,
  ResourceDirectoryOptions,
  SiteOptions,
  SiteResource,
  StoredRegistration,
} from "./types.js";
