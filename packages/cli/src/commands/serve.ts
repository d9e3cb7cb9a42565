import { randomBytes } from "node:crypto";
import { getHeapStatistics } from "node:v8";
import { TransportError } from "@tributary/coap-transport";
import type { Node, NodeConfig } from "@tributary/node";
import {
  createMetrics,
  createNode,
  createProcessLogger,
  createRouter,
  createRoutes,
  formatConfigError,
  HttpBindError,
  type HttpServer,
  loadConfig,
  type Metrics,
  readVersion,
  startHttpServer,
  stateProblem,
  systemEnvironment,
  systemNetwork,
  systemState,
} from "@tributary/node";
import type { Environment, Logger } from "@tributary/runtime";
import { aborted, type CommandIo, EXIT_FAILURE, EXIT_USAGE } from "../command-io.js";

/** Time that HTTP answers under way get at an orderly close, ms. */
const HTTP_DRAIN_MS = 500;
/** Time that the last log entries get when the process fails, ms. */
const LAST_WORDS_MS = 500;
const NODE_ID_BYTES = 8;

/** `tributary serve`: run a node until interrupted. Returns the exit status. */
export async function serve(options: { readonly config?: string }, io: CommandIo): Promise<number> {
  const result = loadConfig(options.config);
  if (!result.ok) {
    for (const error of result.errors) io.err(formatConfigError(error));
    return EXIT_USAGE;
  }
  const { config } = result;
  const { logger, close: closeLog } = createProcessLogger({ stream: io.stderr, nowMs: Date.now }, config.log);
  const forgetFailures = failOnUncaught(logger, closeLog);
  try {
    return await run(config, options.config, systemEnvironment(logger), io);
  } finally {
    await closeLog();
    forgetFailures();
  }
}

async function run(config: NodeConfig, path: string | undefined, env: Environment, io: CommandIo): Promise<number> {
  const { logger } = env;
  const service = await start(config, env);
  if (typeof service === "string") {
    logger.error("cannot start", { reason: service });
    return EXIT_FAILURE;
  }
  const { node, metrics, http } = service;
  const stopReloading = io.onHangup(reloader(node, path, logger));
  io.out(`ready name=${node.name} listen=${node.listening.join(",")}`);
  logger.info("ready", { name: node.name, listen: node.listening, http: http?.uri });
  await aborted(io.interrupt);
  logger.info("closing", { name: node.name });
  stopReloading();
  await http?.close(HTTP_DRAIN_MS);
  metrics.close();
  await node.close();
  logger.info("closed", { name: node.name });
  return 0;
}

interface Service {
  readonly node: Node;
  readonly metrics: Metrics;
  readonly http: HttpServer | null;
}

/** Bind everything; the reason when that is impossible. */
async function start(config: NodeConfig, env: Environment): Promise<Service | string> {
  let node: Node;
  try {
    const nodeId = randomBytes(NODE_ID_BYTES).toString("hex");
    const network = systemNetwork(env, config.limits, config.amplification);
    const heapLimit = getHeapStatistics().heap_size_limit;
    node = await createNode({ env, network, nodeId, heapLimit, state: systemState(env, config) }, config);
  } catch (error) {
    const problem = error instanceof TransportError ? error.message : stateProblem(error);
    if (problem !== undefined) return problem;
    throw error;
  }
  const metrics = createMetrics(node, { withProcess: true });
  try {
    return { node, metrics, http: await startHttp(config, node, metrics, env) };
  } catch (error) {
    metrics.close();
    await node.close();
    if (error instanceof HttpBindError) return error.message;
    throw error;
  }
}

async function startHttp(
  config: NodeConfig,
  node: Node,
  metrics: Metrics,
  env: Environment,
): Promise<HttpServer | null> {
  if (config.http === null) return null;
  const roles = [
    ...(config.registration === undefined ? [] : (["rd"] as const)),
    ...(config.lookup === undefined ? [] : (["lp"] as const)),
  ];
  const routes = createRoutes({ node, metrics, clock: env.clock, version: readVersion(), roles });
  const handler = createRouter(env, routes, { names: [config.name, config.http.host, ...config.httpNames] });
  return await startHttpServer({ handler, logger: env.logger }, config.http);
}

/**
 * Reads the configuration again when it is called, one time after the other. However many calls come while one is under way, the
 * file is read once more after it. What is wrong leaves the node as it is.
 */
function reloader(node: Node, path: string | undefined, logger: Logger): () => void {
  let isRunning = false;
  let isAskedAgain = false;
  const run = async (): Promise<void> => {
    isRunning = true;
    do {
      isAskedAgain = false;
      await reload(node, path, logger).catch((error: unknown) => logger.error("reload failed", { error }));
    } while (isAskedAgain);
    isRunning = false;
  };
  return () => {
    if (isRunning) isAskedAgain = true;
    else void run();
  };
}

async function reload(node: Node, path: string | undefined, logger: Logger): Promise<void> {
  if (path === undefined) return logger.warn("there is no configuration file to read again");
  const result = loadConfig(path);
  if (!result.ok) {
    for (const error of result.errors) logger.error("configuration", { error: formatConfigError(error) });
    return logger.error("the configuration stays as it was", { file: path, errors: result.errors.length });
  }
  const { added, removed, changed, kept, needRestart } = await node.reload(result.config);
  logger.info("configuration taken over", { file: path, added, removed, changed, kept });
  if (needRestart.length > 0) logger.warn("these settings take effect after a restart", { settings: needRestart });
}

/** A failure that nobody caught leaves the process in an unknown state: it is logged, and the process ends. */
function failOnUncaught(logger: Logger, closeLog: () => Promise<void>): () => void {
  const fail = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error("uncaught failure; this is a fault of the program", { error, stack });
    setTimeout(() => process.exit(EXIT_FAILURE), LAST_WORDS_MS);
    void closeLog().then(() => process.exit(EXIT_FAILURE));
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  return () => {
    process.off("uncaughtException", fail);
    process.off("unhandledRejection", fail);
  };
}
