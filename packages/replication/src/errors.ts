/** `BAD_VERSION`: an epoch or counter outside its range. `EXHAUSTED`: the counter reached 2^40. Codes are never reused. */
export type ReplicationErrorCode = "BAD_VERSION" | "EXHAUSTED";

/** A broken contract in the use of this package. Bad input from the network is a returned outcome instead. */
export class ReplicationError extends Error {
  override readonly name = "ReplicationError";
  readonly code: ReplicationErrorCode;
  constructor(code: ReplicationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
