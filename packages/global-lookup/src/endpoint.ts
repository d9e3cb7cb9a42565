// What endpoints and their clients need of global lookup, without the pool.
export type { GlobalLookupErrorCode } from "./errors.js";
export { GlobalLookupError } from "./errors.js";
export { AnnouncerKey, generateAnnouncerKey as generateEndpointKey, loadAnnouncerKey } from "./record/announcer-key.js";
export type { EndpointProof } from "./record/endpoint-proof.js";
export { isKeyName, keyName, PROOF_ATTRIBUTE, writeProof } from "./record/endpoint-proof.js";
export type { Alternatives, HostAbilities, Unusable } from "./resolving/alternatives.js";
export { alternativesOf } from "./resolving/alternatives.js";
export type { OscoreUri, ReadOscoreUri } from "./resolving/oscore-uri.js";
export { parseOscoreUri } from "./resolving/oscore-uri.js";
