/** A mistake in a configuration, with a correction. */
export interface ConfigError {
  /** Name of the file, or of another origin of the text. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** `mistake; correction`. */
  readonly message: string;
}

/** Formats an error as `file:line:column: mistake; correction`. Pure. */
export function formatConfigError({ file, line, column, message }: ConfigError): string {
  return `${file}:${line}:${column}: ${message}`;
}
