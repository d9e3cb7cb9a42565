/**
 * `UNKNOWN_SOURCE`: written to before `openSource`. `DIRECTORY_FULL`: the limit of registrations is reached, or the part of it
 * that the source may fill. `MEMORY_FULL`: the same of the limit of bytes.
 * `SOURCE_CLOSED`: a lookup that was not read to its end when the records of a source went all at once: begin it again.
 * `BAD_REGISTRATION`: no endpoint name or base, an href that is not an absolute path, or a time that is no number. Codes are
 * never reused.
 */
export type MergeErrorCode = "UNKNOWN_SOURCE" | "DIRECTORY_FULL" | "MEMORY_FULL" | "SOURCE_CLOSED" | "BAD_REGISTRATION";

/** A write that the directory refuses, which changed nothing, or a lookup that cannot be continued. */
export class MergeError extends Error {
  override readonly name = "MergeError";
  readonly code: MergeErrorCode;
  constructor(code: MergeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
