import {
  createProcessLogger,
  exportRegistrations,
  formatConfigError,
  importRegistrations,
  loadConfig,
  type NodeConfig,
  NodeError,
  stateProblem,
  systemEnvironment,
} from "@tributary/node";
import type { Environment } from "@tributary/runtime";
import { type CommandIo, EXIT_FAILURE, EXIT_USAGE } from "../command-io.js";

/** Arguments of `tributary store export` and `import`. */
export interface StoreOptions {
  /** Configuration of the node whose store it is. */
  readonly config: string;
  /** Path of the file of registrations. */
  readonly file: string;
  /** Import: takes registrations over although their paths change. */
  readonly newPaths?: boolean;
}

/** `tributary store export`: writes the registrations of a store to a file. Returns the exit status. */
export function storeExport({ config, file }: StoreOptions, io: CommandIo): Promise<number> {
  return withStore(config, io, async (env, node) => {
    const count = await exportRegistrations(env, node, file);
    io.out(`exported ${count} to ${file}`);
    return 0;
  });
}

/** `tributary store import`: brings the registrations of a file into a store. Returns the exit status. */
export function storeImport({ config, file, newPaths = false }: StoreOptions, io: CommandIo): Promise<number> {
  return withStore(config, io, async (env, node) => {
    const { imported, younger, ended, pathTaken } = await importRegistrations(env, node, file, { newPaths });
    io.out(`imported ${imported} from ${file}`);
    if (younger > 0) io.out(`left out ${younger}: the store has them, renewed at the same time or later`);
    if (ended > 0) io.out(`left out ${ended}: their lifetime is over`);
    if (pathTaken === 0) return 0;
    io.err(`tributary: left out ${pathTaken}: other endpoints have their paths`);
    return EXIT_FAILURE;
  });
}

async function withStore(
  file: string,
  io: CommandIo,
  run: (env: Environment, config: NodeConfig) => Promise<number>,
): Promise<number> {
  const result = loadConfig(file);
  if (!result.ok) {
    for (const error of result.errors) io.err(formatConfigError(error));
    return EXIT_USAGE;
  }
  const { config } = result;
  const { logger, close } = createProcessLogger(
    { stream: io.stderr, nowMs: Date.now },
    { ...config.log, level: "warn" },
  );
  try {
    return await run(systemEnvironment(logger), config);
  } catch (error) {
    const problem = problemOf(error);
    if (problem === undefined) throw error;
    io.err(`tributary: ${problem}`);
    return EXIT_FAILURE;
  } finally {
    await close();
  }
}

/** What is wrong with the store or the file; undefined: something else is. */
function problemOf(error: unknown): string | undefined {
  if (error instanceof NodeError) return error.message;
  const { syscall, message } = error as NodeJS.ErrnoException;
  return syscall === undefined ? stateProblem(error) : message;
}
