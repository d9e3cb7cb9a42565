export { FEDERATION_TOLERANCE_MS, LARGEST_MAX_REGISTRATIONS } from "./constants.js";
export { createDirectory } from "./directory.js";
export { EndpointTable } from "./endpoint-table.js";
export { MergeError, type MergeErrorCode } from "./errors.js";
export { FederationClock, wholeMicroseconds } from "./federation-clock.js";
export { covers, endpointLink, registrationMatches, resourceLink, resourceMatches } from "./matching.js";
export {
  DEFAULT_RECORD_LIMITS,
  findParameterFault,
  type RecordFault,
  type RecordLimits,
  type TakenLinks,
  takeLinks,
} from "./record-limits.js";
export { recordWeight, textWeight } from "./record-weight.js";
export { type LimitShare, type LimitUse, SharedLimit } from "./shared-limit.js";
export { compareRenewals, type Renewal } from "./total-order.js";
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
