import type { CoapClient, RequestHandler, TableSizes } from "@tributary/coap-transport";
import type { SiteResource } from "@tributary/lookup-interface";
import type { Directory, RecordLimits, Registration } from "@tributary/merge-engine";
import type { LogPosition, RememberedHistory } from "@tributary/replication";
import type { Environment } from "@tributary/runtime";
import type { ProxyOptions } from "./proxy-types.js";
import type { RegistrationStore } from "./store/types.js";

/** Keeps the history of the feed with the registrations, so that subscribers resume after a restart of the RD. */
export interface FeedHistory extends RememberedHistory {
  /** Counter to go on from: above all that was ever handed out. */
  readonly counter: number;
  /** Keep where a registration stands. Comes to rest in the order of calls, together with or after the writes of the store before it. */
  keep(position: LogPosition): void;
  /** A removal is remembered no longer. */
  forget(href: string, horizon: number): void;
}

/** What a request to the registration side of an RD is for (RFC 9176 section 5). */
export type RegistrationOperation = "register" | "simple" | "update" | "remove" | "read";

/** Requests of one operation that got one response code, such as 2.01. */
export interface RequestCount {
  readonly operation: RegistrationOperation;
  readonly code: string;
  readonly count: number;
}

export interface RegistrationLimits extends RecordLimits {
  /** Registrations kept, 5.03 beyond. Default 1 000 000. */
  readonly registrations: number;
}

/** Collaborators of `createResourceDirectory`. */
export interface ResourceDirectoryDeps {
  readonly directory: Directory;
  readonly store: RegistrationStore;
  /** For simple registration: fetches the endpoint's /.well-known/core. */
  readonly client: CoapClient;
  readonly env: Environment;
}

/** Settings of `createResourceDirectory`. */
export interface ResourceDirectoryOptions {
  /** Name of the directory source that holds this RD's registrations; default `local`. */
  readonly source?: string;
  /** Path of the registration interface; default `["rd"]`. */
  readonly registrationPath?: readonly string[];
  /** Path above the registration resources; default `["reg"]`; with a node name in it under anycast (draft 6.2.2). */
  readonly resourcePath?: readonly string[];
  readonly limits?: Partial<RegistrationLimits>;
  /**
   * Registrations are changed by requests only that carry an Echo value made for their sender lately (RFC 9176 section
   * 5.3.4). Needs a transport that looks at source addresses. Default false.
   */
  readonly requiresFreshness?: boolean;
  /** Endpoints are proxied that ask for it (draft 6.3). Absent: `proxy` is an attribute like any other. */
  readonly proxy?: ProxyOptions;
  /** Called when lookups begin, or cease, to miss registrations that are kept on disk only. */
  readonly onCompleteness?: () => void;
}

/** A registration that is kept on disk only came or went. */
export interface OnDiskChange {
  readonly href: string;
  readonly kind: "added" | "removed";
  /** What is known of it without reading it. */
  readonly registration: Partial<Pick<Registration, "zone" | "stampMs">>;
}

/** Registrations that an RD keeps on disk only, because there is no memory for them. Lookups do not show them; the feed publishes them. */
export interface OnDiskRegistrations {
  /** Whether it is kept on disk only, without reading it where possible. */
  has(href: string): boolean;
  /** Reads one from disk, as lookups would show it; undefined: it is not on disk only, or its lifetime has ended. */
  get(href: string): Registration | undefined;
  /** Iterates over the hrefs of all registrations that are only on disk. */
  hrefs(): Iterable<string>;
  /** Returns the unsubscribe function. */
  onChange(listener: (change: OnDiskChange) => void): () => void;
}

/** Where the changes of an RD stand in the history of its store. */
export interface FeedPositions {
  /** Position of the change that is being applied at this moment; null: none is. */
  current(): number | null;
  /** A position for a change that the store does not know; null where several writers share the store. */
  take(): number | null;
}

/** The reverse proxy for endpoints, as the node sees it. */
export interface ProxyView {
  /** Whether the endpoint with this name and sector is proxied. */
  isProxied(endpoint: { readonly ep: string; readonly d?: string }): boolean;
  /** Returns `handler` with requests relayed that name a proxied endpoint in Uri-Host. */
  around(handler: RequestHandler): RequestHandler;
  /** Requests by outcome: `relayed`, `refused`, `away`, `failed`. Monotonic. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** Bytes of relayed bodies by direction: `request`, `response`. Monotonic. */
  readonly bytes: ReadonlyMap<string, number>;
  /** Registrations that ended with their connection, by cause: `connection-lost`, `not-restored`. Monotonic. */
  readonly ends: ReadonlyMap<string, number>;
}

/** RFC 9176 registration side of an RD. */
export interface ResourceDirectory {
  /** Registration interface, simple registration and registration resources. */
  readonly resources: readonly SiteResource[];
  /** Load the store. Registrations whose lifetime ended meanwhile are not shown. */
  start(): Promise<void>;
  /** Completes pending changes and closes the store. Idempotent. */
  close(): Promise<void>;
  /** Refusals by cause, for metrics: `bad-request`, `too-large`, `full`, … Monotonic. */
  readonly rejected: ReadonlyMap<string, number>;
  /** Requests by operation and response code, for metrics. Monotonic. */
  readonly requests: Iterable<RequestCount>;
  /** Entries by table: `live`, `dormant`, `on-disk`, `registrants`, `queued`, `simple-fetches`. */
  tableSizes(): TableSizes;
  /** Registrations that are valid and kept in the store, and not shown, because there is no memory for them. */
  readonly onDisk: number;
  /** Whether lookups may miss changes of other instances, because the store that they share is away. */
  readonly isBehind: boolean;
  /** The same registrations, for the feed. */
  readonly onDiskRegistrations: OnDiskRegistrations;
  /** Positions of the changes that the feed publishes. */
  readonly positions: FeedPositions;
  /** Present where endpoints are proxied. */
  readonly proxy?: ProxyView;
}
