/** Why something of the global lookup does not work. */
export type GlobalLookupErrorCode =
  /** The pool does not respond, or nobody is in it. */
  | "POOL_AWAY"
  /** The socket of the pool cannot be bound. */
  | "POOL_BIND_FAILED"
  /** The key of the announcer cannot be read, or is of another kind. */
  | "KEY_UNSUITABLE";

/** An error of the global lookup; the message names the cause and, where there is one, the remedy. */
export class GlobalLookupError extends Error {
  override readonly name = "GlobalLookupError";
  readonly code: GlobalLookupErrorCode;

  constructor(code: GlobalLookupErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
