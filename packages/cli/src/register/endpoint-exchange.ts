/** A request of an endpoint. */
export interface EndpointRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Absolute URI with scheme `coap`, `coap+tcp` or `coaps+tcp`. */
  readonly uri: string;
  /** Further Uri-Query items, decoded. */
  readonly query?: readonly string[];
  /** Link-format text. */
  readonly payload?: string;
}

/** A response to an endpoint. */
export interface EndpointResponse {
  /** E.g. `2.05`. */
  readonly code: string;
  readonly payload: Uint8Array;
  readonly locationPath: readonly string[];
  readonly locationQuery: readonly string[];
}
