import {
  type ConnectionFinding,
  checkConnections,
  configJsonSchema,
  effectiveFile,
  formatConfigError,
  loadConfigAndContexts,
  type NodeConfig,
  unverified,
} from "@tributary/node";
import { type CommandIo, EXIT_FAILURE, EXIT_USAGE } from "../command-io.js";
import { formatTable } from "../table.js";

/** Arguments of `tributary check`. */
export interface CheckOptions {
  readonly config: string;
  /** Whether to look at what the configuration refers to. */
  readonly connect?: boolean;
  /** Whether to print JSON: `ok`, `errors` with file, line, column and message, and `findings` with `connect`. */
  readonly json?: boolean;
  /** Whether to print the configuration with every default instead of OK. */
  readonly print?: boolean;
}

/** `tributary check`: prints OK or the whole configuration, or every error. Returns the exit status: 2 for errors in the file, 1 where something it refers to is not as it should be. */
export async function check(options: CheckOptions, io: CommandIo): Promise<number> {
  const { config: file, connect = false, json = false, print = false } = options;
  const result = await loadConfigAndContexts(file);
  const findings = result.ok && connect ? await checkConnections(result.config) : null;
  if (json) {
    const errors = result.ok ? [] : result.errors;
    io.out(JSON.stringify({ ok: result.ok, errors, ...(findings === null ? {} : { findings }) }, null, 2));
  } else if (!result.ok) {
    for (const error of result.errors) io.err(formatConfigError(error));
  } else if (print) {
    io.out(effectiveFile(result.config).trimEnd());
  } else {
    io.out("OK");
    if (findings === null) noteUnverified(result.config, io);
    else for (const line of findingLines(findings)) io.out(line);
  }
  if (!result.ok) return EXIT_USAGE;
  return findings?.some(({ state }) => state === "wrong") === true ? EXIT_FAILURE : 0;
}

/** `tributary check --schema`: prints a JSON Schema of configurations. Returns the exit status. */
export function printSchema(io: CommandIo): number {
  io.out(JSON.stringify(configJsonSchema(), null, 2));
  return 0;
}

function noteUnverified(config: NodeConfig, io: CommandIo): void {
  const subjects = unverified(config);
  if (subjects.length > 0) io.err(`tributary: not verified: ${subjects.join(", ")}; check --connect asks them`);
}

function findingLines(findings: readonly ConnectionFinding[]): string[] {
  if (findings.length === 0) return ["it refers to no other server"];
  const rows = findings.map(({ subject, state, detail }) => [MARKS[state], subject, detail]);
  return formatTable(["", "WHAT", "FOUND"], rows);
}

const MARKS = { right: "ok", wrong: "WRONG", unknown: "?" } as const;
