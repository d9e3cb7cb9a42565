export type { Participation } from "./coverage.js";
export { participation } from "./coverage.js";
export type { LookupServerErrorCode } from "./errors.js";
export { LookupServerError } from "./errors.js";
export type { FederatedLookupDeps, FederatedLookupOptions } from "./federated-lookup.js";
export { createFederatedLookup } from "./federated-lookup.js";
export type { CacheOutcome, CacheResult, ResponseCacheOptions } from "./response-cache.js";
export { ResponseCache } from "./response-cache.js";
export type { Contribution, KnownElsewhere, KnownEndpoint } from "./union.js";
