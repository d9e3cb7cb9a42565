export {
  AGE_ATTRIBUTES,
  FEDERATION_TOLERANCE_MS,
  LARGEST_MAX_REGISTRATIONS,
  LT_AGE,
  LT_REMAINING,
} from "./constants.js";
export { createDirectory } from "./directory.js";
export type { MergeErrorCode } from "./errors.js";
export { MergeError } from "./errors.js";
export { FederationClock } from "./federation-clock.js";
export { LargeMap } from "./large-map.js";
export { covers, endpointLink, registrationMatches, resourceLink, resourceMatches } from "./lookup/matching.js";
export type { RecordFault, RecordLimits, TakenLinks } from "./record-limits.js";
export { DEFAULT_RECORD_LIMITS, findParameterFault, takeLinks } from "./record-limits.js";
export { recordWeight, textWeight } from "./record-weight.js";
export { EndpointTable } from "./records/endpoint-table.js";
export type { Renewal } from "./records/total-order.js";
export { compareRenewals } from "./records/total-order.js";
export type { LimitShare, LimitUse } from "./shared-limit.js";
export { SharedLimit } from "./shared-limit.js";
export type {
  ChangeCause,
  Directory,
  DirectoryCounts,
  DirectoryEvents,
  DirectoryLimits,
  DirectoryOptions,
  LookupInterface,
  LookupOptions,
  Registration,
  RegistrationState,
  RenewalTimes,
  SourceChange,
  SourcedRegistration,
  SourcedRenewal,
  SourceOptions,
  VisibleChange,
} from "./types.js";
