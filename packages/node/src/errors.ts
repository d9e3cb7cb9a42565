import { type ConfigError, formatConfigError } from "./configuration/errors.js";

/**
 * Why a node could not be started, or its store not be exported or imported. Codes are API: callers match them, never the text.
 *
 * `CONFIG_INVALID` the configuration is wrong, see `errors` · `BAD_ARGUMENT` an option has a value that it cannot have ·
 * `BACKUP_DAMAGED` a file of registrations is not as it was written · `BACKUP_REFUSED` the store and the file do not go together, or the
 * store does not take it.
 */
export type NodeErrorCode = "CONFIG_INVALID" | "BAD_ARGUMENT" | "BACKUP_DAMAGED" | "BACKUP_REFUSED";

/** A mistake of the caller, or a file of registrations that cannot be used. */
export class NodeError extends Error {
  override readonly name = "NodeError";
  readonly code: NodeErrorCode;
  /** With `CONFIG_INVALID`: everything that is wrong with the configuration, in the order of its text. */
  readonly errors: readonly ConfigError[];
  constructor(code: NodeErrorCode, message: string, errors: readonly ConfigError[] = []) {
    super(message, {});
    this.code = code;
    this.errors = errors;
  }
}

/** All errors of a configuration as one. `hasText`: their positions mean something to the caller. */
export function invalidConfiguration(errors: readonly ConfigError[], hasText: boolean): NodeError {
  const lines = errors.map((error) => (hasText ? formatConfigError(error) : error.message));
  return new NodeError("CONFIG_INVALID", lines.join("\n"), errors);
}
