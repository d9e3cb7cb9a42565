/** Why a shared store cannot be opened. */
export type NatsStoreErrorCode =
  /** No server could be reached, or it refused. */
  | "STATE_UNAVAILABLE"
  /** A server or stream is not as this store needs it. */
  | "STATE_UNSUITABLE";

/** A shared store cannot be opened; the message names the cause and the remedy. */
export class NatsStoreError extends Error {
  readonly code: NatsStoreErrorCode;

  constructor(code: NatsStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NatsStoreError";
    this.code = code;
  }
}
