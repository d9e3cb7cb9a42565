import type { CoapClient, RequestHandler, ServerRequest, TableSizes } from "@tributary/coap-transport";
import type { LookupScope, SiteResource } from "@tributary/lookup-interface";
import type { RegistrationLimits } from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";

/** An anycast peer: another node with the shared address (draft 6.2.2). */
export interface ForwardingPeer {
  /** Its name: the segment after `reg` in the paths of its registrations. */
  readonly name: string;
  /** Origin of its own address, not of the shared one. */
  readonly uri: string;
  readonly takesRegistrations: boolean;
  readonly answersLookups: boolean;
}

/** This node, as the routing table sees it. */
export interface ForwardingSelf {
  readonly name: string;
  readonly takesRegistrations: boolean;
  readonly answersLookups: boolean;
}

/** Collaborators of `createRequestForwarding`. */
export interface ForwardingDeps {
  readonly client: CoapClient;
  readonly env: Environment;
}

/** Settings of `createRequestForwarding`. */
export interface ForwardingOptions {
  readonly self: ForwardingSelf;
  /** In order of closeness. */
  readonly peers: readonly ForwardingPeer[];
  /** Time-out of a request when no other peer is left, ms; 5.04 afterwards. Covers a few retransmissions. */
  readonly timeoutMs: number;
  /** Time-out of a request when there is another peer to try, or when the peer did not respond last time, ms. */
  readonly failoverMs: number;
  /** Concurrent requests, at most half of them at one of several peers; 5.03 beyond. */
  readonly concurrency: number;
  /** Concurrent observations at peers; beyond it responses are sent without Observe. */
  readonly observations: number;
  /** Bytes of the observed states; beyond it responses are sent without Observe. Default: 256 MiB. */
  readonly observedBytes?: number;
  /** Requests that change something are forwarded only with a fresh Echo value of this node (RFC 9176 section 5.3.4). */
  readonly requiresFreshness: boolean;
  /** Limits of documents fetched for simple registration. */
  readonly limits: RegistrationLimits;
}

/** Outcome of a request at a peer. */
export type ForwardingOutcome = "answered" | "timeout" | "unreachable" | "failed";

/** An anycast peer, and what became of requests that were forwarded to it. */
export interface PeerStatus {
  readonly name: string;
  readonly uri: string;
  /** False after a request without a response, until the peer responds to a request or a ping. */
  readonly isUp: boolean;
  /** Requests by outcome. Monotonic. */
  readonly outcomes: Readonly<Record<ForwardingOutcome, number>>;
}

/** Request forwarding of a node with a shared address. */
export interface RequestForwarding {
  /** `/reg`, and `/rd` with simple registration where this node takes no registrations itself. */
  readonly resources: readonly SiteResource[];
  /**
   * Returns the handler of lookups: `local` where this node serves lookups, and for lookups of its own registrations; else the
   * closest peer that responds.
   */
  lookup(local: RequestHandler, scopeOf: (request: ServerRequest) => LookupScope): RequestHandler;
  /** Returns the state of all peers. */
  peers(): readonly PeerStatus[];
  /** Refusals by cause. Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
  /** Returns the numbers of entries by table. */
  tableSizes(): TableSizes;
  /** Ends the forwarded requests that are under way. */
  close(): void;
}
