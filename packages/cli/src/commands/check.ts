import { formatConfigError, loadConfig } from "@tributary/node";
import { type CommandIo, EXIT_USAGE } from "../command-io.js";

/** `tributary check`: prints OK, or every error. Returns the exit status. */
export function check(options: { readonly config: string }, io: CommandIo): number {
  const result = loadConfig(options.config);
  if (result.ok) {
    io.out("OK");
    return 0;
  }
  for (const error of result.errors) io.err(formatConfigError(error));
  return EXIT_USAGE;
}
