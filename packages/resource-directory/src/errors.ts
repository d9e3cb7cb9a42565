/** `BAD_OPTIONS`: an option that cannot be used. Codes are never reused. */
export type ResourceDirectoryErrorCode = "BAD_OPTIONS";

/** A broken contract in the use of this package. What a client does wrong is answered instead. */
export class ResourceDirectoryError extends Error {
  override readonly name = "ResourceDirectoryError";
  readonly code: ResourceDirectoryErrorCode;
  constructor(code: ResourceDirectoryErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
