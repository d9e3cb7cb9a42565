import type { CoapClient, TableSizes } from "@tributary/coap-transport";
import type { Attribute } from "@tributary/link-model";
import type { SiteResource } from "@tributary/lookup-interface";
import type { Directory, RecordLimits, Registration } from "@tributary/merge-engine";
import type { KeptHistory, LogPosition } from "@tributary/replication";
import type { Environment } from "@tributary/runtime";

/** A registration as the RD keeps it: what the endpoint sent, and its lifetime. Persisted by a RegistrationStore. */
export interface StoredRegistration {
  /** Last part(s) of the registration resource path, e.g. `42` or `rd-c/42`; the key of the store. */
  readonly id: string;
  readonly ep: string;
  readonly d?: string;
  readonly base: string;
  /** False when `base` was taken from the source address: an update from elsewhere then moves it (RFC 9176 section 5.3.1). */
  readonly isBaseExplicit: boolean;
  readonly ltS: number;
  readonly attributes: readonly Attribute[];
  /** Link-format payload as submitted (UTF-8 text). */
  readonly links: string;
  /** Wall clock of the last renewal, ms since the epoch: survives restarts. */
  readonly renewedAtWallMs: number;
  /**
   * Time of the last renewal as published to proxies, ms since the Unix epoch, whole microseconds. Kept to the digit, so that
   * a restart does not change it. Absent: not published.
   */
  readonly stampMs?: number;
  /** IPv6 zone of the endpoint when its base is link-local. */
  readonly zone?: string;
  /** Registered by simple registration (RFC 9176 section 5.1). */
  readonly isSimple: boolean;
}

/** Keeps registrations. What `put` resolved for is durable by the promise of the store; the memory store promises nothing. */
export interface RegistrationStore {
  /** Everything kept, once, at start. */
  load(): AsyncIterable<StoredRegistration>;
  /** One of them, at any time. */
  get(id: string): StoredRegistration | undefined;
  /** Stores a registration, in place of an earlier one with its id. */
  put(registration: StoredRegistration): Promise<void> | void;
  /** Removes a registration. */
  delete(id: string): Promise<void> | void;
  /** Completes pending writes and closes the store. */
  close(): Promise<void>;
}

/** Keeps the history of the feed with the registrations, so that subscribers resume after a restart of the RD. */
export interface FeedHistory extends KeptHistory {
  /** 24 bits; another one when what was kept was lost. */
  readonly epoch: number;
  /** Counter to go on from: above all that was ever handed out. */
  readonly counter: number;
  /** Keep where a registration stands. Comes to rest in the order of calls, together with or after the writes of the store before it. */
  keep(position: LogPosition): void;
  /** A removal is remembered no longer. */
  forget(href: string, horizon: number): void;
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
  /** Entries by table: `live`, `dormant`, `on-disk`, `registrants`, `queued`, `simple-fetches`. */
  tableSizes(): TableSizes;
  /** Registrations that are valid and kept in the store, and not shown, because there is no memory for them. */
  readonly onDisk: number;
  /** The same registrations, for the feed. */
  readonly onDiskRegistrations: OnDiskRegistrations;
}
