import { type CoapClient, formatAuthority, parseCoapUri } from "@tributary/coap-transport";
import { type Attribute, firstValue, type Link } from "@tributary/link-model";
import type { LookupSource } from "@tributary/lookup-interface";
import type { Environment } from "@tributary/runtime";
import { NameAnnouncer } from "./announcing/name-announcer.js";
import { RecordPublisher } from "./announcing/record-publisher.js";
import { MAX_RECORD_URIS } from "./constants.js";
import { createGlobalSource } from "./finding/global-source.js";
import { NameFinder } from "./finding/name-finder.js";
import { isFollowable } from "./finding/rd-response.js";
import { type AddressPolicy, createAddressPolicy } from "./record/address-policy.js";
import type { AnnouncerKey } from "./record/announcer-key.js";
import { checkProof, isKeyName, PROOF_ATTRIBUTE } from "./record/endpoint-proof.js";
import { isEndpointName } from "./record/name-key.js";
import { canonicalAddress } from "./record/rd-record.js";
import type { Pool, PoolStatus } from "./types.js";

/** Collaborators of a `GlobalLookup`. */
export interface GlobalLookupDeps {
  readonly env: Environment;
  readonly client: Pick<CoapClient, "request">;
  readonly pool: Pool;
  readonly key: AnnouncerKey;
  /** Returns the addresses of this host, as IP literals. */
  readonly hostAddresses: () => readonly string[];
}

/** Settings of a `GlobalLookup`. */
export interface GlobalLookupOptions {
  /** Addresses out of records that may be asked besides those of the Internet: `loopback`, `private`, `any`, or CIDR blocks. */
  readonly allow: readonly string[];
  /** CoAP URIs by which this node is reached; absent: those of its listeners. */
  readonly addresses?: readonly string[];
  /** Announcements per second. */
  readonly rate: number;
  /** Time after which names are announced again, ms; at most 6 hours. */
  readonly refreshMs: number;
  /** Time of one search, ms. */
  readonly timeoutMs: number;
}

/** What a global lookup is doing, for operators. */
export interface GlobalLookupStatus {
  /** Public key of this node in base64url: what proofs of endpoints that register here are for. */
  readonly key: string;
  readonly pool: PoolStatus;
  /** Names that are to be announced, and those that are. */
  readonly names: { readonly wanted: number; readonly announced: number };
  /** Whether others can find out where this node is. */
  readonly isPublished: boolean;
  /** Announcements by outcome: `announced`, `withdrawn`, `failed`, `refused`. Monotonic, as all that follow. */
  readonly announcements: ReadonlyMap<string, number>;
  /** Searches by outcome: `found`, `cached`, `none`, `failed`, `busy`, `limited`. */
  readonly searches: ReadonlyMap<string, number>;
  /** Requests to RDs by outcome: `found`, `empty`, `nonsense`, `silent`, `limited`. */
  readonly requests: ReadonlyMap<string, number>;
  /** Records that were not used, by cause. */
  readonly rejectedRecords: ReadonlyMap<string, number>;
}

/** What an announcement depends on of a registration. */
export interface AnnouncedRegistration {
  readonly ep: string;
  readonly base: string;
  readonly attributes: readonly Attribute[];
}

const ANY_ADDRESS: ReadonlyMap<string, RegExp> = new Map([
  ["::", /./],
  ["0.0.0.0", /^[0-9.]+$/],
]);

/** The part of a node in a pool of RDs (draft 6.3): announces the names of its endpoints, and finds those of others. */
export class GlobalLookup {
  readonly #deps: GlobalLookupDeps;
  readonly #options: GlobalLookupOptions;
  readonly #isUsable: AddressPolicy;
  readonly #finder: NameFinder;
  readonly #announcer: NameAnnouncer;
  #listening: () => readonly string[] = () => [];
  #publisher: RecordPublisher | null = null;

  constructor(deps: GlobalLookupDeps, options: GlobalLookupOptions) {
    const { pool, env, client, key } = deps;
    this.#deps = deps;
    this.#options = options;
    this.#isUsable = createAddressPolicy(options.allow);
    const { timeoutMs, rate, refreshMs } = options;
    this.#finder = new NameFinder(
      { pool, env, client, isUsable: this.#isUsable },
      { timeoutMs, ownKey: key.publicKey },
    );
    this.#announcer = new NameAnnouncer({ pool, env }, { perSecond: rate, refreshMs });
  }

  /** Public key of this node in base64url. */
  get key(): string {
    return Buffer.from(this.#deps.key.publicKey).toString("base64url");
  }

  /** Returns `local` with searches of the pool for endpoints that it does not have. */
  source(
    local: LookupSource,
    options: { readonly isLocal: (name: string) => boolean; readonly needsName: boolean },
  ): LookupSource {
    const { isLocal, needsName } = options;
    return createGlobalSource(
      { local, isLocal, find: (name, client) => this.#finder.find(name, client) },
      { needsName },
    );
  }

  /** `listening` returns the URIs of the listeners of this node. Before `start`. */
  listenAt(listening: () => readonly string[]): void {
    this.#listening = listening;
  }

  /** Begins to announce. */
  start(): void {
    const listening = this.#listening;
    const uris = () => this.#addresses(listening());
    if (uris().length === 0) {
      const remedy = "write an address at which others reach this node as global.addresses";
      this.#deps.env.logger.warn("no listener can be announced to the pool", { remedy });
    }
    this.#publisher = new RecordPublisher(this.#deps, uris, () => this.#announcer.start());
    void this.#publisher.start();
  }

  /**
   * Whether a registration here may be announced: others would hold it against this node if it led to services of their own hosts, or if it
   * lacked the proof that its name asks for.
   */
  isAnnounceable({ ep, base, attributes }: AnnouncedRegistration): boolean {
    const [uri] = this.#addresses(this.#listening());
    const link: Link = { target: "/", attributes: [["base", base], ...attributes] };
    if (uri === undefined || !isFollowable({ ...link, target: uri }, uri)) return false;
    const { env, key } = this.#deps;
    const at = { announcer: key.publicKey, nowS: env.clock.wallMs() / 1000 };
    return !isKeyName(ep) || checkProof(ep, firstValue(link, PROOF_ATTRIBUTE), at) === "yes";
  }

  /** Announces a name from now on. */
  announce(name: string): void {
    if (isEndpointName(name)) this.#announcer.add(name);
  }

  /** Announces a name no longer. */
  withdraw(name: string): void {
    this.#announcer.remove(name);
  }

  /** Returns what it is doing. */
  status(): GlobalLookupStatus {
    return {
      key: this.key,
      pool: this.#deps.pool.status(),
      names: { wanted: this.#announcer.size, announced: this.#announcer.announced },
      isPublished: this.#publisher?.isPublished ?? false,
      announcements: this.#announcer.outcomes,
      searches: this.#finder.outcomes,
      requests: this.#finder.requests.outcomes,
      rejectedRecords: this.#finder.records.rejected,
    };
  }

  /** Returns the numbers of entries by table. */
  tableSizes(): Readonly<Record<string, number>> {
    return this.#finder.tableSizes();
  }

  /** Declares everything void that this node announced. Idempotent. */
  async leave(): Promise<void> {
    this.#announcer.close();
    await this.#publisher?.close();
  }

  /** Ends all searches and leaves the pool. Idempotent. */
  async close(): Promise<void> {
    await this.leave();
    this.#finder.close();
    await this.#deps.pool.close();
  }

  /** The addresses for the record of this node: those that others who are configured alike would use. */
  #addresses(listening: readonly string[]): string[] {
    const uris = (this.#options.addresses ?? listening).flatMap((uri) => this.#expanded(uri));
    const usable = uris.flatMap((uri) => canonicalAddress(uri) ?? []).filter(this.#isUsable);
    return [...new Set(usable)].slice(0, MAX_RECORD_URIS);
  }

  /** A listener on all addresses has those of this host. */
  #expanded(uri: string): string[] {
    const { scheme, host, port } = parseCoapUri(uri);
    const family = ANY_ADDRESS.get(host);
    if (family === undefined) return [uri];
    return this.#deps
      .hostAddresses()
      .filter((address) => family.test(address))
      .map((address) => `${scheme}://${formatAuthority(address, port)}`);
  }
}
