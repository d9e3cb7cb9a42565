/**
 * Why a request of the endpoint got no response. `TIMEOUT` none arrived in time · `UNREACHABLE` the name has no address or the network
 * reported an error · `RESET` the peer rejected the message · `ABORTED` by the caller · `BAD_URI` not a usable URI.
 */
export type EndpointErrorCode = "TIMEOUT" | "UNREACHABLE" | "RESET" | "ABORTED" | "BAD_URI";

/** A request of the endpoint without a response. */
export class EndpointError extends Error {
  override readonly name = "EndpointError";
  readonly code: EndpointErrorCode;
  constructor(code: EndpointErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
