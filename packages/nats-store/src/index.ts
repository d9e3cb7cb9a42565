export { NatsStoreError, type NatsStoreErrorCode } from "./errors.js";
export { type InspectionOptions, inspectServers, type ServerFinding } from "./inspect-servers.js";
export type { SharedStoreFigures } from "./nats-store.js";
export { SharedRegistrations, type SharedRegistrationsDeps } from "./nats-store.js";
export {
  epochOf,
  type MissingStream,
  type NatsStoreDeps,
  type NatsStoreOptions,
  openNatsStore,
} from "./open-nats-store.js";
export type {
  GroupOutcome,
  SharedStream,
  StreamMessage,
  StreamState,
  Submission,
  SubmissionOutcome,
} from "./shared-stream.js";
export { type DiscardedWrite, SplitStore, type SplitStoreDeps } from "./split-store.js";
