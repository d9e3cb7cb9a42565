/** One thing that is wrong with a configuration, and what would be right. */
export interface ConfigError {
  /** The file as it was named; `-` for text that came from elsewhere. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** `what is wrong; what would be right`. */
  readonly message: string;
}

/** One error as a line of text: `file:line:column: what is wrong; what would be right`. Pure. */
export function formatConfigError({ file, line, column, message }: ConfigError): string {
  return `${file}:${line}:${column}: ${message}`;
}
