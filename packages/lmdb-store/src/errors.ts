/** `STATE_IN_USE`: locked by another process; `STATE_UNAVAILABLE`: it cannot be created, read or written. */
export type StateErrorCode = "STATE_IN_USE" | "STATE_UNAVAILABLE";

/** The configured folder cannot be used for state; the message says why. */
export class StateError extends Error {
  readonly code: StateErrorCode;

  constructor(code: StateErrorCode, message: string) {
    super(message);
    this.name = "StateError";
    this.code = code;
  }
}
