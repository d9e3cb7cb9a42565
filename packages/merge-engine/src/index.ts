export { createDirectory } from "./directory.js";
export { EndpointTable } from "./endpoint-table.js";
export { MergeError, type MergeErrorCode } from "./errors.js";
export { covers, endpointLink, registrationMatches, resourceLink, resourceMatches } from "./matching.js";
export type {
  ChangeCause,
  Directory,
  DirectoryCounts,
  DirectoryEvents,
  DirectoryOptions,
  LookupInterface,
  LookupOptions,
  Registration,
  RegistrationState,
  SourceChange,
  SourcedRegistration,
  SourceOptions,
  VisibleChange,
} from "./types.js";
