/** Codes are API. `BAD_OPTIONS`: an option of a factory is out of range. */
export type LookupInterfaceErrorCode = "BAD_OPTIONS";

/** Invalid use of this package; requests never cause one. */
export class LookupInterfaceError extends Error {
  override readonly name = "LookupInterfaceError";
  readonly code: LookupInterfaceErrorCode;
  constructor(code: LookupInterfaceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
