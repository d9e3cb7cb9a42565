import type { RequestHandler } from "@tributary/coap-transport";

/** Bounds of the reverse proxy for endpoints (draft 6.3). */
export interface ProxyLimits {
  /** Endpoints that are proxied, each with a connection of its own; 5.03 beyond. Default 1000. */
  readonly endpoints: number;
  /** Requests that are relayed at once, to all endpoints; 5.03 beyond. Default 1024. */
  readonly requests: number;
  /** The same to one endpoint, of which one client address gets half. Default 16. */
  readonly requestsPerEndpoint: number;
  /** Memory for the bodies of relayed messages, bytes; 5.03 beyond. Default 67 108 864. */
  readonly bytes: number;
  /** Largest body of a response, bytes; 5.02 beyond. Default 65 536. */
  readonly bodyBytes: number;
  /** Observations that are relayed, of all endpoints; beyond, requests get a response without Observe. Default 4096. */
  readonly observations: number;
  /** The same of one endpoint. Default 32. */
  readonly observationsPerEndpoint: number;
}

/** A listener for the requests to one endpoint. */
export interface ProxyListener {
  /** Stops listening; what is under way ends. */
  close(): Promise<void>;
}

/** A server address of this RD, apart from the host. */
export interface ProxyTransport {
  readonly scheme: "coap" | "coap+tcp";
  readonly port: number;
}

/** How endpoints are distinguished: by a port for each, or by Uri-Host (RFC 7252 section 5.7.3). */
export type ProxyNaming =
  | {
      readonly kind: "ports";
      /** First and last port. */
      readonly from: number;
      readonly to: number;
      /** Schemes that are served on the port of an endpoint; the first makes the base, the others are in `at`. */
      readonly schemes: readonly ProxyTransport["scheme"][];
      /** Host of announced addresses; absent: the address that the endpoint connected to. */
      readonly host?: string;
      /** Serves `handler` on a port. Rejects when the port cannot be bound. */
      readonly listen: (at: ProxyTransport, handler: RequestHandler) => Promise<ProxyListener>;
    }
  | {
      readonly kind: "names";
      /** Domain of which every name below leads here, in lower case. */
      readonly domain: string;
      /** Where this RD is served; the first makes the base, the others are in `at`. */
      readonly transports: readonly ProxyTransport[];
    };

/** Settings of the reverse proxy for endpoints. */
export interface ProxyOptions {
  readonly naming: ProxyNaming;
  readonly limits: ProxyLimits;
  /** How long a registration outlives its connection, ms. */
  readonly graceMs: number;
  /** Time that an endpoint has for a response, ms; 5.04 after it. */
  readonly timeoutMs: number;
}

/** Default limits of the reverse proxy for endpoints (draft 6.3). */
export const DEFAULT_PROXY_LIMITS: ProxyLimits = {
  endpoints: 1000,
  requests: 1024,
  requestsPerEndpoint: 16,
  bytes: 67_108_864,
  bodyBytes: 65_536,
  observations: 4096,
  observationsPerEndpoint: 32,
};
