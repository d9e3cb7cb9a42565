/**
 * Why a request of the endpoint got no answer. `TIMEOUT` none came in time · `UNREACHABLE` the name or the network said no ·
 * `RESET` the peer rejected the message · `ABORTED` it was given up · `BAD_URI` not a URI that can be asked.
 */
export type EndpointErrorCode = "TIMEOUT" | "UNREACHABLE" | "RESET" | "ABORTED" | "BAD_URI";

export class EndpointError extends Error {
  override readonly name = "EndpointError";
  readonly code: EndpointErrorCode;
  constructor(code: EndpointErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
