import { TransportError } from "@tributary/coap-transport";
import {
  type ConfigResult,
  checkConfig,
  createProcessLogger,
  formatConfigError,
  HttpBindError,
  loadConfigAndContexts,
  type NodeConfig,
  type RunningNode,
  startNode,
  stateProblem,
  systemHostAddresses,
} from "@tributary/node";
import type { Logger } from "@tributary/runtime";
import { aborted, type CommandIo, EXIT_FAILURE, EXIT_USAGE, UsageError } from "../command-io.js";

/** Time to write the last log entries when the process fails, ms. */
const LAST_WORDS_MS = 500;

/** Name of a configuration that is in no file. */
const COMMAND_LINE = "command line";

/** Arguments of `tributary serve`. */
export interface ServeOptions {
  /** Path of the configuration file. */
  readonly config?: string;
  readonly trace?: string;
  readonly name?: string;
  readonly listen?: readonly string[];
  /** URIs of RDs to follow. */
  readonly upstream?: readonly string[];
  readonly http?: string;
}

/** `tributary serve`: runs a node until interrupted. Returns the exit status. */
export async function serve(options: ServeOptions, io: CommandIo): Promise<number> {
  const result = await readOptions(options);
  if (!result.ok) {
    for (const error of result.errors)
      io.err(error.file === COMMAND_LINE ? `tributary: ${error.message}` : formatConfigError(error));
    return EXIT_USAGE;
  }
  const { log } = result.config;
  const config: NodeConfig =
    options.trace === undefined ? result.config : { ...result.config, log: { ...log, level: "trace" } };
  const { logger, close: closeLog } = createProcessLogger({ stream: io.stderr, nowMs: Date.now }, config.log);
  const forgetFailures = failOnUncaught(logger, closeLog);
  try {
    return await run(config, options.config, logger, io);
  } finally {
    await closeLog();
    forgetFailures();
  }
}

/** The configuration of a file, or that of a node which is both RD and proxy, with what the command line says. */
async function readOptions({ config, name, listen = [], upstream = [], http }: ServeOptions): Promise<ConfigResult> {
  const given = {
    ...(name === undefined ? {} : { name }),
    ...(listen.length === 0 ? {} : { listen }),
    ...(upstream.length === 0 ? {} : { upstream }),
    ...(http === undefined ? {} : { http }),
  };
  const [flag] = Object.keys(given);
  if (flag === undefined) return await loadConfigAndContexts(config);
  if (config !== undefined) throw new UsageError(`--${flag} and --config exclude each other; write it into ${config}`);
  const document = {
    ...given,
    ...(http === "false" ? { http: false } : {}),
    lookup: { upstreams: upstream },
    registration: {},
    upstream: undefined,
  };
  return checkConfig(JSON.stringify(document), COMMAND_LINE, systemHostAddresses);
}

async function run(config: NodeConfig, path: string | undefined, logger: Logger, io: CommandIo): Promise<number> {
  const node = await start(config, logger);
  if (typeof node === "string") {
    logger.error("cannot start", { reason: node });
    return EXIT_FAILURE;
  }
  const stopReloading = io.onHangup(reloader(node, path, logger));
  io.out(`ready name=${node.name} listen=${node.uris.join(",")}`);
  logger.info("ready", { name: node.name, listen: node.uris, http: node.httpUri ?? undefined });
  await aborted(io.interrupt);
  logger.info("closing", { name: node.name });
  stopReloading();
  await node.close();
  logger.info("closed", { name: node.name });
  return 0;
}

/** Starts the node; returns the reason where that is impossible. */
async function start(config: NodeConfig, logger: Logger): Promise<RunningNode | string> {
  try {
    return await startNode(config, { logger, processMetrics: true });
  } catch (error) {
    if (error instanceof TransportError || error instanceof HttpBindError) return error.message;
    const problem = stateProblem(error);
    if (problem !== undefined) return problem;
    throw error;
  }
}

/**
 * Returns a function that reloads the configuration. Reloads do not overlap: any number of calls during one cause one more after it.
 * A configuration with errors changes nothing.
 */
function reloader(node: RunningNode, path: string | undefined, logger: Logger): () => void {
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

async function reload(node: RunningNode, path: string | undefined, logger: Logger): Promise<void> {
  if (path === undefined) return logger.warn("there is no configuration file to reload");
  const result = await loadConfigAndContexts(path);
  if (!result.ok) {
    for (const error of result.errors) logger.error("configuration", { error: formatConfigError(error) });
    return logger.error("the configuration is unchanged", { file: path, errors: result.errors.length });
  }
  const { added, removed, changed, kept, needRestart } = await node.reload(result.config);
  logger.info("configuration reloaded", { file: path, added, removed, changed, kept });
  if (needRestart.length > 0) logger.warn("these settings take effect after a restart", { settings: needRestart });
}

/** Logs uncaught errors and ends the process, whose state is unknown then. */
function failOnUncaught(logger: Logger, closeLog: () => Promise<void>): () => void {
  const fail = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error("uncaught error; this is a bug", { error, stack });
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
