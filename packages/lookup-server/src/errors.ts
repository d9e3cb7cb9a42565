/** `BAD_OPTIONS`: an option outside its range. Codes are never reused. */
export type LookupServerErrorCode = "BAD_OPTIONS";

/** A broken contract in the use of this package. Failures of upstreams are part of a result instead. */
export class LookupServerError extends Error {
  override readonly name = "LookupServerError";
  readonly code: LookupServerErrorCode;
  constructor(code: LookupServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
