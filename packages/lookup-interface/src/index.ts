export { LT_AGE } from "@tributary/merge-engine";
export { RETRY_AFTER_S } from "./constants.js";
export type { LookupInterfaceErrorCode } from "./errors.js";
export { LookupInterfaceError } from "./errors.js";
export type { AttributeValue, LinkJson } from "./link-json.js";
export { attributesToObject, linkToJson } from "./link-json.js";
export type { LookupInterfaceDeps, LookupInterfaceOptions } from "./lookup-interface.js";
export { createLookupInterface } from "./lookup-interface.js";
export type { LookupScope, LookupScopeOptions } from "./lookup-scope.js";
export { lookupScope, scopeOfRequest } from "./lookup-scope.js";
export { directoryLookupSource } from "./lookup-source.js";
export { pathReference } from "./paths.js";
export { createReplicaPolicy } from "./replica-policy.js";
export { createSite } from "./site/site.js";
export type {
  LookupContext,
  LookupObservation,
  LookupRefusal,
  LookupResult,
  LookupSource,
  ReplicaPolicy,
  SiteOptions,
  SiteResource,
} from "./types.js";
