export {
  DEFAULT_LIMITS as DEFAULT_REGISTRATION_LIMITS,
  MAX_DORMANT_MS,
  REGISTRATION_ATTRIBUTES,
  SIMPLE_REGISTRATION_PATH,
} from "./constants.js";
export type { ResourceDirectoryErrorCode } from "./errors.js";
export { ResourceDirectoryError } from "./errors.js";
export { startExpirySweep } from "./expiry-sweep.js";
export type { FeedPublisher, FeedPublisherDeps, FeedPublisherOptions, Follower } from "./feed/feed-publisher.js";
export { createFeedPublisher } from "./feed/feed-publisher.js";
export type { PublishedRegistrations } from "./feed/published-registrations.js";
export { registrationsOfSource, visibleRegistrations } from "./feed/published-registrations.js";
export type { ProxyLimits, ProxyListener, ProxyNaming, ProxyOptions, ProxyTransport } from "./proxy-types.js";
export { DEFAULT_PROXY_LIMITS } from "./proxy-types.js";
export { readStoredRegistration } from "./read-registration.js";
export type { Refusal } from "./refusal.js";
export { refusalAnswer } from "./refusal.js";
export type { EndpointDocuments } from "./registration/endpoint-documents.js";
export { createEndpointDocuments } from "./registration/endpoint-documents.js";
export { FORWARDED_BASE_ITEM, implicitBase } from "./registration/registration-base.js";
export { requireFreshness } from "./registration/request-freshness.js";
export { createResourceDirectory } from "./resource-directory.js";
export { createMemoryStore } from "./store/memory-store.js";
export { type OneWriterOptions, oneWriter, type RegistrationTable } from "./store/one-writer.js";
export type { PendingWrite, WriteJournal } from "./store/pending-write.js";
export type {
  RegistrationStore,
  SharedStore,
  StoreChange,
  StoreHealth,
  StoreOperation,
  StoreOutcome,
} from "./store/types.js";
export type { StoredRegistration } from "./stored-registration.js";
export type {
  FeedHistory,
  FeedPositions,
  OnDiskChange,
  OnDiskRegistrations,
  ProxyView,
  RegistrationLimits,
  RegistrationOperation,
  RequestCount,
  ResourceDirectory,
  ResourceDirectoryDeps,
  ResourceDirectoryOptions,
} from "./types.js";
