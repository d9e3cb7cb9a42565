export { linkToJson } from "@tributary/lookup-interface";
export type { ImportOptions, ImportSummary } from "./backup/registration-backup.js";
export { exportRegistrations, importRegistrations } from "./backup/registration-backup.js";
export { createNode } from "./composition/create-node.js";
export type { GatewayLookup, GatewayLookups } from "./composition/gateway-lookups.js";
export { GATEWAY_FORMAT, GatewayRequest } from "./composition/gateway-lookups.js";
export type {
  LookupSample,
  Node,
  NodeCounters,
  NodeDamage,
  NodeDeps,
  NodeListener,
  NodeNetwork,
  NodeState,
  ReloadSummary,
} from "./composition/types.js";
export type { ConfigResult } from "./configuration/check-configuration.js";
export { checkConfig } from "./configuration/check-configuration.js";
export { parseCoapOrigin } from "./configuration/coap-origin.js";
export type { ConfigDocument, ConfigInput } from "./configuration/config-input.js";
export { effectiveFile } from "./configuration/effective-file.js";
export type { ConfigError } from "./configuration/errors.js";
export { formatConfigError } from "./configuration/errors.js";
export { configJsonSchema } from "./configuration/json-schema.js";
export { loadConfig } from "./configuration/load-configuration.js";
export { systemHostAddresses } from "./configuration/own-listeners.js";
export type {
  LimitsConfig,
  LogConfig,
  LookupConfig,
  NodeConfig,
  RegistrationConfig,
  UpstreamConfig,
} from "./configuration/types.js";
export type { ClientCredentialsResult } from "./credentials/read-credentials.js";
export { readClientCredentials } from "./credentials/read-credentials.js";
export type { FileProblem, UpstreamTlsConfig } from "./credentials/types.js";
export type { NodeErrorCode } from "./errors.js";
export { NodeError } from "./errors.js";
export { HttpBindError } from "./http/errors.js";
export { createRouter, send } from "./http/router.js";
export type { NodeView } from "./http/routes.js";
export { createRoutes } from "./http/routes.js";
export type { HttpServer } from "./http/server.js";
export { startHttpServer } from "./http/server.js";
export type { UpstreamView } from "./http/upstream-view.js";
export { viewUpstream } from "./http/upstream-view.js";
export type { Explanation } from "./http/why.js";
export { createProcessLogger } from "./observability/logging.js";
export type { Metrics } from "./observability/metrics.js";
export { createMetrics } from "./observability/metrics.js";
export { loadConfigAndContexts } from "./oscore/check-contexts.js";
export { protectedClient } from "./oscore/protected-client.js";
export type { SecurityContexts } from "./oscore/security-contexts.js";
export { openSecurityContexts } from "./oscore/security-contexts.js";
export type { RunningNode, StartOptions } from "./start-node.js";
export { startNode } from "./start-node.js";
export { type ConnectionFinding, checkConnections, unverified } from "./system/check-connections.js";
export { secureRandom, systemEnvironment } from "./system/environment.js";
export { systemGlobal } from "./system/global.js";
export { systemNetwork } from "./system/network.js";
export { stateProblem, systemState } from "./system/state.js";
export { readVersion } from "./version.js";
