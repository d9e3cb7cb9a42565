export type { LookupServerErrorCode } from "./errors.js";
export { LookupServerError } from "./errors.js";
export type { FederatedLookupDeps, FederatedLookupOptions } from "./federated-lookup.js";
export { createFederatedLookup } from "./federated-lookup.js";
export type { CacheOutcome, ResponseCacheOptions } from "./response-cache.js";
export { ResponseCache } from "./response-cache.js";
