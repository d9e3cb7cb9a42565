export type { NameAnnouncerDeps, NameAnnouncerOptions } from "./announcing/name-announcer.js";
export { NameAnnouncer } from "./announcing/name-announcer.js";
export type { RecordPublisherDeps } from "./announcing/record-publisher.js";
export { RecordPublisher } from "./announcing/record-publisher.js";
export type { GlobalLookupErrorCode } from "./errors.js";
export { GlobalLookupError } from "./errors.js";
export type { AnnouncerRecordsDeps, KnownAnnouncer } from "./finding/announcer-records.js";
export { AnnouncerRecords } from "./finding/announcer-records.js";
export { AnnouncerTrust } from "./finding/announcer-trust.js";
export type { GlobalSourceDeps, GlobalSourceOptions } from "./finding/global-source.js";
export { createGlobalSource, exactName } from "./finding/global-source.js";
export type { FoundName, NameFinderDeps, NameFinderOptions } from "./finding/name-finder.js";
export { NameFinder } from "./finding/name-finder.js";
export type { AskedName, RdOutcome, RdRequestsDeps } from "./finding/rd-requests.js";
export { RdRequests } from "./finding/rd-requests.js";
export type { AskedRd, RdResult } from "./finding/rd-response.js";
export type {
  AnnouncedRegistration,
  GlobalLookupDeps,
  GlobalLookupOptions,
  GlobalLookupStatus,
} from "./global-lookup.js";
export { GlobalLookup } from "./global-lookup.js";
export type { OpenGlobalLookupOptions } from "./open-global-lookup.js";
export { openGlobalLookup } from "./open-global-lookup.js";
export type { HyperdhtPoolDeps, HyperdhtPoolOptions } from "./pool/hyperdht-pool.js";
export { openHyperdhtPool } from "./pool/hyperdht-pool.js";
export type { AddressPolicy } from "./record/address-policy.js";
export { createAddressPolicy } from "./record/address-policy.js";
export { AnnouncerKey, generateAnnouncerKey, loadAnnouncerKey } from "./record/announcer-key.js";
export type { EndpointProof, Proven } from "./record/endpoint-proof.js";
export { checkProof, isKeyName, keyName, PROOF_ATTRIBUTE, writeProof } from "./record/endpoint-proof.js";
export { isEndpointName, nameKey } from "./record/name-key.js";
export type { RdRecord, ReadRecord } from "./record/rd-record.js";
export { canonicalAddress, readRecord, writeRecord } from "./record/rd-record.js";
export type { Alternatives, HostAbilities, Unusable } from "./resolving/alternatives.js";
export { alternativesOf } from "./resolving/alternatives.js";
export type { OscoreUri, ReadOscoreUri } from "./resolving/oscore-uri.js";
export { parseOscoreUri } from "./resolving/oscore-uri.js";
export type { Pool, PoolStatus } from "./types.js";
