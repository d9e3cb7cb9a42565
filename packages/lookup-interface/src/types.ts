import type { Peer, RequestHandler, ServerRequest } from "@tributary/coap-transport";
import type { Attribute, Link, LookupQuery } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import type { LookupScope } from "./lookup-scope.js";

/** One resource of a node: where it is, how it is advertised, what it does. */
export interface SiteResource {
  readonly path: readonly string[];
  /** Handles every path below as well. */
  readonly isSubtree?: boolean;
  /** How `/.well-known/core` shows it; absent: not shown. */
  readonly attributes?: readonly Attribute[];
  readonly handle: RequestHandler;
  /**
   * Is there a resource at the path of the request? For the conditions of requests that change something (RFC 7252 section
   * 5.10.8). Absent: yes. `elsewhere`: the node that the request is forwarded to decides.
   */
  readonly exists?: (request: ServerRequest) => boolean | "elsewhere";
}

/** Settings of `createSite`. */
export interface SiteOptions {
  /** Further links for `/.well-known/core` (draft 4.2, 6.2), after the node's own. */
  readonly advertise?: readonly Link[];
  /** Content-Format number of application/linkset+json (RFC 9264), when one is agreed upon; absent: not offered. */
  readonly linksetFormat?: number;
}

/** The result of a lookup before it is rendered. */
export interface LookupResult {
  readonly links: Iterable<Link>;
  /** The same links, with null wherever others may have their turn; absent: they are all there. */
  readonly steps?: () => Iterable<Link | null>;
  /** All of the links in link format, if that takes little time; null: use `links` or `steps`. */
  readonly text?: () => string | null;
  /** Seconds; absent: the default of 60. */
  readonly maxAgeS?: number;
  /** Upstreams whose part is missing. */
  readonly missing?: readonly string[];
  /** local, cached, forwarded or partial: for metrics. */
  readonly origin?: "local" | "cached" | "forwarded" | "partial";
  /** Only a change of the directory, or of what it covers, would change it: it may be remembered. */
  readonly isCacheable?: boolean;
}

/** Refusal of a lookup, e.g. 5.04 when nothing is known. */
export interface LookupRefusal {
  readonly code: number;
  readonly message: string;
}

/** A lookup as its source sees it. */
export interface LookupContext {
  readonly kind: LookupInterface;
  readonly query: LookupQuery;
  readonly scope: LookupScope;
  /** Query items as received, for forwarding. */
  readonly items: readonly string[];
  readonly request: ServerRequest;
}

/** Produces the result of a lookup: an RD's from its directory, an LP's possibly from upstreams. */
export type LookupSource = (
  context: LookupContext,
) => LookupResult | LookupRefusal | Promise<LookupResult | LookupRefusal>;

/** Whether a peer may read ages and the feed (`registration.replicas`, draft 5.2). */
export type ReplicaPolicy = (peer: Peer) => boolean;

/** Called for every finished lookup, for metrics. */
export type LookupObservation = (
  kind: LookupInterface,
  origin: NonNullable<LookupResult["origin"]> | "error",
  durationMs: number,
) => void;
