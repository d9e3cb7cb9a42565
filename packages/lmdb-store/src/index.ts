export type { StateErrorCode } from "./errors.js";
export { StateError } from "./errors.js";
export type { Damage } from "./rebuild-state.js";
export type { RegistrationState, RegistrationStateDeps, RegistrationStateOptions } from "./registration-state.js";
export { openRegistrationState } from "./registration-state.js";
export type { ReplicaSnapshot } from "./replica-snapshot.js";
export { openReplicaSnapshot } from "./replica-snapshot.js";
export { hostUptime } from "./time/host-uptime.js";
export type { HostUptime } from "./time/state-clock.js";
