import { randomBytes } from "node:crypto";
import { getHeapStatistics } from "node:v8";
import type { Directory } from "@tributary/merge-engine";
import type { Environment, Logger } from "@tributary/runtime";
import { createNode, LOCAL_SOURCE } from "./composition/create-node.js";
import type { Node, ReloadSummary } from "./composition/types.js";
import { type ConfigInput, readConfigInput } from "./configuration/config-input.js";
import { systemHostAddresses } from "./configuration/own-listeners.js";
import type { NodeConfig } from "./configuration/types.js";
import { type NodeCredentials, readCredentials } from "./credentials/read-credentials.js";
import type { FileProblem } from "./credentials/types.js";
import { invalidConfiguration, NodeError } from "./errors.js";
import { createRouter } from "./http/router.js";
import { createRoutes, type HttpSite, type NodeView, viewNode } from "./http/routes.js";
import { startHttpServer } from "./http/server.js";
import { type UpstreamView, viewUpstream } from "./http/upstream-view.js";
import { EventLog } from "./observability/event-log.js";
import { createProcessLogger } from "./observability/logging.js";
import { createMetrics } from "./observability/metrics.js";
import { contextProblems } from "./oscore/check-contexts.js";
import { openSecurityContexts, type SecurityContexts } from "./oscore/security-contexts.js";
import { systemEnvironment } from "./system/environment.js";
import { systemGlobal } from "./system/global.js";
import { type SystemNetwork, systemNetwork } from "./system/network.js";
import { registrationHrefPrefix, systemState } from "./system/state.js";
import { readVersion } from "./version.js";

/** Settings of `startNode` that are not part of the configuration. */
export interface StartOptions {
  /** Where the log goes. Default: standard error, in the format and from the level that `log` says. */
  readonly logger?: Logger;
  /** Name of the configuration in errors; relative paths in it are relative to its folder. Default: `config` in the working directory. */
  readonly file?: string;
  /** Whether `/metrics` also has the metrics of the process. Default: false. */
  readonly processMetrics?: boolean;
}

/** A node that runs with sockets, clock and disk of this machine. */
export interface RunningNode {
  readonly name: string;
  /** URIs of the CoAP listeners, with their real ports. */
  readonly uris: readonly string[];
  /** URI of the HTTP interface; null where `http: false` turns it off. */
  readonly httpUri: string | null;
  /** What the node has copies of: its own registrations and those of replicated upstreams. Read it, don't change it. */
  readonly directory: Directory;
  /** Whether lookups are served as far as `lookup.ready` asks for. */
  isReady(): boolean;
  /** The node in the form of `GET /api/node`. */
  status(): NodeView;
  /** The upstreams in the form of `GET /api/upstreams`. */
  upstreams(): readonly UpstreamView[];
  /** Applies the upstreams and `tls` of another configuration, and reads the files of `tls` and the security contexts again. Rejects with `NodeError` `CONFIG_INVALID`, and nothing changes. */
  reload(config: ConfigInput): Promise<ReloadSummary>;
  /** Serves what is under way for half a second, then closes every socket and file. Idempotent. */
  close(): Promise<void>;
}

/** Time that HTTP responses under way get at an orderly close, ms. */
const HTTP_DRAIN_MS = 500;
const NODE_ID_BYTES = 8;
/** Time before the end of a certificate from which on the log says so, ms. */
const SOON_MS = 14 * 86_400_000;

/**
 * Starts a node as `tributary serve` does: RD, lookup proxy or both, on real sockets, with its HTTP interface. Without
 * `config` it is a node with all defaults. Resolves when every address is bound and stored registrations are
 * loaded. Signals and reloading a file are left to the caller.
 * @throws {NodeError} `CONFIG_INVALID`, `BAD_ARGUMENT`
 * @throws {TransportError} `BIND_FAILED`
 * @throws {HttpBindError} `HTTP_BIND_FAILED`
 */
export async function startNode(config?: ConfigInput, options: StartOptions = {}): Promise<RunningNode> {
  checkOptions(options);
  const { file = "config" } = options;
  const checked = checkInput(config, file);
  const log = options.logger === undefined ? openLog(checked) : { logger: options.logger, close: async () => {} };
  try {
    return await run(checked, { ...options, file }, systemEnvironment(log.logger), log.close);
  } catch (error) {
    await log.close();
    throw error;
  }
}

function openLog({ log }: NodeConfig) {
  return createProcessLogger({ stream: process.stderr, nowMs: Date.now }, log);
}

async function run(
  config: NodeConfig,
  { file, processMetrics = false }: StartOptions & { readonly file: string },
  env: Environment,
  closeLog: () => Promise<void>,
): Promise<RunningNode> {
  const credentials = credentialsOf(config, file);
  warnOfEnds(credentials, env.logger);
  const contexts = await contextsOf(config, file, env);
  const network = systemNetwork(env, config.limits, config.amplification, credentials, contexts);
  const node = await createSystemNode(config, network, env).catch((error: unknown) => {
    contexts?.close();
    throw error;
  });
  const { clock } = env;
  const version = readVersion();
  const metrics = createMetrics(node, { withProcess: processMetrics && config.http !== null, clock, version });
  const events = new EventLog({ directory: node.directory, clock });
  node.onDiscarded?.(({ registration: { id, ep, d }, what, takenBy }) => {
    const place = { source: LOCAL_SOURCE, href: `${registrationHrefPrefix(config)}${id}` };
    events.add({ kind: "discarded", ep, ...(d === undefined ? {} : { d }), ...place, what, takenBy });
  });
  const site: HttpSite = { node, metrics, clock, events, logger: env.logger, version, roles: rolesOf(config) };
  const startedMs = env.clock.nowMs();
  const http = await startHttp(config, site, env).catch(async (error: unknown) => {
    metrics.close();
    events.close();
    await node.close();
    contexts?.close();
    throw error;
  });
  const close = async () => {
    await http?.close(HTTP_DRAIN_MS);
    metrics.close();
    events.close();
    await node.close();
    contexts?.close();
    await closeLog();
  };
  let closing: Promise<void> | undefined;
  return {
    name: node.name,
    uris: node.listening,
    httpUri: http?.uri ?? null,
    directory: node.directory,
    isReady: () => node.isReady(),
    status: () => viewNode(site, startedMs),
    upstreams: () => node.upstreams().map((status) => viewUpstream(status, clock)),
    async reload(input) {
      const next = checkInput(input, file);
      const nextCredentials = credentialsOf(next, file);
      await checkContexts(next, file);
      // Another folder takes effect after a restart.
      if (next.oscore?.contexts === config.oscore?.contexts) contexts?.reload();
      network.replaceCredentials(nextCredentials);
      warnOfEnds(nextCredentials, env.logger);
      return await node.reload(withVersions(next, contexts));
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function createSystemNode(config: NodeConfig, network: SystemNetwork, env: Environment): Promise<Node> {
  const nodeId = randomBytes(NODE_ID_BYTES).toString("hex");
  const heapLimit = getHeapStatistics().heap_size_limit;
  const openGlobal = systemGlobal(env, config.global);
  const deps = { env, network, nodeId, heapLimit, state: systemState(env, config) };
  return createNode(openGlobal === undefined ? deps : { ...deps, openGlobal }, config);
}

async function startHttp({ http, httpNames, httpOrigins, name }: NodeConfig, site: HttpSite, env: Environment) {
  if (http === null) return null;
  const handler = createRouter(env, createRoutes(site), {
    names: [name, http.host, ...httpNames],
    origins: httpOrigins,
  });
  return await startHttpServer({ handler, logger: env.logger }, http);
}

function rolesOf({ registration, lookup }: NodeConfig): HttpSite["roles"] {
  return [...(registration === undefined ? [] : (["rd"] as const)), ...(lookup === undefined ? [] : (["lp"] as const))];
}

function checkInput(input: unknown, file: string): NodeConfig {
  const result = readConfigInput(input, file, systemHostAddresses);
  if (result.ok) return result.config;
  throw invalidConfiguration(result.errors, typeof input === "string");
}

/** @throws {NodeError} `CONFIG_INVALID` when a file cannot be used. */
function credentialsOf(config: NodeConfig, file: string): NodeCredentials {
  const result = readCredentials(config);
  if (result.ok) return result.credentials;
  throw unusableFiles(result.problems, file);
}

/** @throws {NodeError} `CONFIG_INVALID` when the folder cannot be used, {OscoreError} `IN_USE`. */
async function contextsOf(
  config: NodeConfig,
  file: string,
  { logger }: Environment,
): Promise<SecurityContexts | undefined> {
  if (config.oscore === undefined) return undefined;
  await checkContexts(config, file);
  return await openSecurityContexts(logger, config.oscore.contexts);
}

/** Upstreams whose contexts have got other keys are others: what was begun under the old ones is begun again. */
function withVersions(config: NodeConfig, contexts: SecurityContexts | undefined): NodeConfig {
  const { lookup } = config;
  if (lookup === undefined || contexts === undefined) return config;
  const upstreams = lookup.upstreams.map((upstream) => {
    const contextVersion = upstream.oscore === undefined ? 0 : contexts.version(upstream.oscore);
    return contextVersion === 0 ? upstream : { ...upstream, contextVersion };
  });
  return { ...config, lookup: { ...lookup, upstreams } };
}

async function checkContexts(config: NodeConfig, file: string): Promise<void> {
  const problems = await contextProblems(config);
  if (problems.length > 0) throw unusableFiles(problems, file);
}

function unusableFiles(problems: readonly FileProblem[], file: string): NodeError {
  const errors = problems.map(({ path, message }) => ({
    file,
    line: 1,
    column: 1,
    message: `${path.join(".")}: ${message}`,
  }));
  return invalidConfiguration(errors, false);
}

/** Certificates end by the time of the calendar, which the clock of the environment does not have. */
function warnOfEnds({ ends }: NodeCredentials, logger: Logger): void {
  for (const { file, endsAtMs } of ends) {
    const leftMs = endsAtMs - Date.now();
    if (leftMs < SOON_MS)
      logger.warn(leftMs < 0 ? "a certificate of this node has expired" : "a certificate of this node expires soon", {
        file,
        end: new Date(endsAtMs).toISOString(),
      });
  }
}

const LOG_METHODS = ["debug", "info", "warn", "error"] as const;

/** Callers in JavaScript pass anything. */
function checkOptions(options: unknown): asserts options is StartOptions {
  if (typeof options !== "object" || options === null) throw new NodeError("BAD_ARGUMENT", "options is not an object");
  const { logger, file, processMetrics } = options as Record<string, unknown>;
  if (logger !== undefined && !isLogger(logger))
    throw new NodeError("BAD_ARGUMENT", `options.logger lacks one of ${LOG_METHODS.join(", ")}`);
  if (file !== undefined && typeof file !== "string") throw new NodeError("BAD_ARGUMENT", "options.file is not a text");
  if (processMetrics !== undefined && typeof processMetrics !== "boolean")
    throw new NodeError("BAD_ARGUMENT", "options.processMetrics is not true or false");
}

function isLogger(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    LOG_METHODS.every((name) => typeof Reflect.get(value, name) === "function")
  );
}
