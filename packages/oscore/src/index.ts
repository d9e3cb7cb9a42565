export type { SecurityContextDeps } from "./context/security-context.js";
export { SecurityContext } from "./context/security-context.js";
export type { ContextState, StateStore } from "./context/sequence-numbers.js";
export type { AeadAlgorithm } from "./crypto/algorithms.js";
export { ALGORITHM_NAMES, DEFAULT_ALGORITHM, findAlgorithm } from "./crypto/algorithms.js";
export type { ContextKeys, ContextParameters } from "./crypto/keys.js";
export { deriveKeys } from "./crypto/keys.js";
export type { OscoreErrorCode } from "./errors.js";
export { OscoreError } from "./errors.js";
