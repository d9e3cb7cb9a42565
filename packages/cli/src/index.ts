export { type ConfigResult, checkConfig } from "./config/check-config.js";
export { type ConfigError, formatConfigError } from "./config/errors.js";
export { loadConfig } from "./config/load-config.js";
export type {
  LimitsConfig,
  LogConfig,
  LookupConfig,
  NodeConfig,
  RegistrationConfig,
  UpstreamConfig,
} from "./config/types.js";
export { createNode } from "./node/create-node.js";
export type {
  LookupSample,
  Node,
  NodeCounters,
  NodeDeps,
  NodeNetwork,
  ReloadSummary,
} from "./node/types.js";
