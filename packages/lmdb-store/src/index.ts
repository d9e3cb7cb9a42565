export type { CopySnapshot } from "./copy-snapshot.js";
export { openCopySnapshot } from "./copy-snapshot.js";
export type { StateErrorCode } from "./errors.js";
export { StateError } from "./errors.js";
export type { Damage } from "./rebuild-state.js";
export type { RegistrationState, RegistrationStateDeps, RegistrationStateOptions } from "./registration-state.js";
export { openRegistrationState } from "./registration-state.js";
export { hostUptime } from "./time/host-uptime.js";
export type { HostUptime } from "./time/state-clock.js";
