export type StateErrorCode = "STATE_IN_USE" | "STATE_UNAVAILABLE";

/** State cannot be kept in the folder that was named; the message says why. */
export class StateError extends Error {
  readonly code: StateErrorCode;

  constructor(code: StateErrorCode, message: string) {
    super(message);
    this.name = "StateError";
    this.code = code;
  }
}
