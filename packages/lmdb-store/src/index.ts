export { StateError, type StateErrorCode } from "./errors.js";
export {
  openRegistrationState,
  type RegistrationState,
  type RegistrationStateDeps,
  type RegistrationStateOptions,
} from "./registration-state.js";
export { openReplicaSnapshot, type ReplicaSnapshot } from "./replica-snapshot.js";
