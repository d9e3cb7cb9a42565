export { StateError, type StateErrorCode } from "./errors.js";
export { hostUptime } from "./host-uptime.js";
export type { Damage } from "./rebuild-state.js";
export {
  openRegistrationState,
  type RegistrationState,
  type RegistrationStateDeps,
  type RegistrationStateOptions,
} from "./registration-state.js";
export { openReplicaSnapshot, type ReplicaSnapshot } from "./replica-snapshot.js";
export type { HostUptime } from "./state-clock.js";
