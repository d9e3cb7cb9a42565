export { type Participation, participation } from "./coverage.js";
export { LookupServerError, type LookupServerErrorCode } from "./errors.js";
export { createFederatedLookup, type FederatedLookupDeps, type FederatedLookupOptions } from "./federated-lookup.js";
export { type CacheAnswer, type CacheOutcome, ResponseCache, type ResponseCacheOptions } from "./response-cache.js";
export { type Contribution, type KnownElsewhere, type KnownEndpoint, union } from "./union.js";
