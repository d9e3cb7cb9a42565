import type { CoapClient, RequestHandler, ServerRequest, TableSizes } from "@tributary/coap-transport";
import type { LookupScope, SiteResource } from "@tributary/lookup-interface";
import type { RegistrationLimits } from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";

/** Another node of the group that shares an address with this one (draft 6.2.2). */
export interface ForwardingPeer {
  /** Its name, which is the segment after `reg` in the paths of its registrations. */
  readonly name: string;
  /** Origin of its own address, never of the shared one. */
  readonly uri: string;
  readonly takesRegistrations: boolean;
  readonly answersLookups: boolean;
}

/** This node, as far as routing goes. */
export interface ForwardingSelf {
  readonly name: string;
  readonly takesRegistrations: boolean;
  readonly answersLookups: boolean;
}

export interface ForwardingDeps {
  readonly client: CoapClient;
  readonly env: Environment;
}

export interface ForwardingOptions {
  readonly self: ForwardingSelf;
  /** In order of closeness. */
  readonly peers: readonly ForwardingPeer[];
  /** How long a peer that is the only choice may take to answer, ms; 5.04 then. Covers a few retransmissions. */
  readonly timeoutMs: number;
  /** How long a peer may take while there is another to turn to, and one that was silent last time, ms. */
  readonly failoverMs: number;
  /** Requests under way at once, and half of it at each of several peers; 5.03 beyond. */
  readonly concurrency: number;
  /** Observations at peers at once; beyond it answers come without Observe. */
  readonly observations: number;
  /** Bytes of what is observed through this node; beyond it answers come without Observe. Default: 256 MiB. */
  readonly observedBytes?: number;
  /** Changes are forwarded only with a fresh Echo value of this node (RFC 9176 section 5.3.4). */
  readonly requiresFreshness: boolean;
  /** Of documents fetched for simple registrations. */
  readonly limits: RegistrationLimits;
}

/** What became of a request at a peer. */
export type ForwardingOutcome = "answered" | "timeout" | "unreachable" | "failed";

export interface PeerStatus {
  readonly name: string;
  readonly uri: string;
  /** False from a request that it did not answer until it gives a sign of life. */
  readonly isUp: boolean;
  /** Requests by outcome. Monotonic. */
  readonly outcomes: Readonly<Record<ForwardingOutcome, number>>;
}

/** The forwarding side of a node with a shared address. */
export interface RequestForwarding {
  /** `/reg`, and `/rd` with simple registration where this node takes no registrations itself. */
  readonly resources: readonly SiteResource[];
  /**
   * What serves a lookup here: `local` where this node answers lookups, and for what asks for its own registrations; else the
   * closest peer that answers.
   */
  lookup(local: RequestHandler, scopeOf: (request: ServerRequest) => LookupScope): RequestHandler;
  peers(): readonly PeerStatus[];
  /** Refusals by cause. Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
  tableSizes(): TableSizes;
  close(): void;
}
