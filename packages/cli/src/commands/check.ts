import { checkConnections, formatConfigError, loadConfig, unverified } from "@tributary/node";
import { type CommandIo, EXIT_FAILURE, EXIT_USAGE } from "../command-io.js";
import { formatTable } from "../table.js";

/** Arguments of `tributary check`. */
export interface CheckOptions {
  readonly config: string;
  /** Whether to look at what the configuration refers to. */
  readonly connect?: boolean;
}

/** `tributary check`: prints OK, or every error. Returns the exit status: 2 for errors in the file, 1 where something it refers to is not as it should be. */
export async function check({ config: file, connect = false }: CheckOptions, io: CommandIo): Promise<number> {
  const result = loadConfig(file);
  if (!result.ok) {
    for (const error of result.errors) io.err(formatConfigError(error));
    return EXIT_USAGE;
  }
  io.out("OK");
  if (!connect) {
    const [first, ...others] = unverified(result.config);
    if (first !== undefined)
      io.err(`tributary: not verified: ${[first, ...others].join(", ")}; check --connect asks them`);
    return 0;
  }
  const findings = await checkConnections(result.config);
  if (findings.length === 0) io.out("it refers to no other server");
  else
    for (const line of formatTable(
      ["", "WHAT", "FOUND"],
      findings.map(({ subject, state, detail }) => [MARKS[state], subject, detail]),
    ))
      io.out(line);
  return findings.some(({ state }) => state === "wrong") ? EXIT_FAILURE : 0;
}

const MARKS = { right: "ok", wrong: "WRONG", unknown: "?" } as const;
