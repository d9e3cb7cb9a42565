/** `BAD_TARGET`, `BAD_ATTRIBUTE_NAME`, `CONTROL_CHARACTER`: a link that link format cannot express. Codes are never reused. */
export type LinkModelErrorCode = "BAD_TARGET" | "BAD_ATTRIBUTE_NAME" | "CONTROL_CHARACTER";

/** Wrong use of this package. Bad input from the network is a returned result instead. */
export class LinkModelError extends Error {
  override readonly name = "LinkModelError";
  readonly code: LinkModelErrorCode;
  constructor(code: LinkModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
