import { CODE } from "@tributary/coap-transport";
import type { LookupInterface } from "@tributary/merge-engine";
import { RECENT_DISCOVERY_MS } from "./constants.js";
import {
  type Discovered,
  type DiscoveryOptions,
  type DiscoveryResult,
  discover,
  isFeedGiven,
  lookupGone,
  lookupUri,
  normalOrigin,
} from "./discovery/discovery.js";
import { NotFoundMeaning, type ProbeControl } from "./discovery/not-found-meaning.js";
import { OwnNames, pathOf } from "./discovery/own-names.js";
import { Rediscovery } from "./discovery/rediscovery.js";
import { UpstreamError } from "./errors.js";
import type { CapabilityReport, Handover, UpstreamDeps, UpstreamOptions } from "./types.js";

/** What an attempt to discover an RD led to. */
export type DiscoveryOutcome =
  | { readonly kind: "found"; readonly found: Discovered }
  | { readonly kind: "refused"; readonly reason: string };

const UNKNOWN: CapabilityReport = {
  feed: "unknown",
  observe: "unknown",
  hrefFilter: "unknown",
  provenance: "unknown",
  lifetimeAge: "unknown",
  paging: "unknown",
  etag: "unknown",
  remarks: [],
};

/** What was found out about one RD: where its lookups are, what it can do, its names, and whether all that still holds. */
export class RdDiscovery {
  /** What 4.04 of its lookups means. */
  readonly notFound: NotFoundMeaning;
  readonly #deps: UpstreamDeps;
  readonly #options: UpstreamOptions;
  readonly #rediscovery: Rediscovery;
  #found: Discovered | null = null;
  #discoveredMs = Number.NEGATIVE_INFINITY;
  #capabilities = UNKNOWN;
  #names: OwnNames;
  /** A lookup that was advertised but missing when it was asked; it is asked again before the RD counts as found. */
  #missedLookup: LookupInterface | null = null;

  /** `onChange`: the RD is no longer what it was found to be. */
  constructor(deps: UpstreamDeps, options: UpstreamOptions, onChange: (reason: UpstreamError) => void) {
    this.#deps = deps;
    this.#options = options;
    this.notFound = new NotFoundMeaning(deps.env);
    this.#names = this.#ownNames(null);
    this.#rediscovery = new Rediscovery({ client: deps.client, env: deps.env, onChange }, this.#discoveryOptions());
  }

  /** Lookups that were found at the last successful discovery; null before it. */
  get found(): Discovered | null {
    return this.#found;
  }

  get capabilities(): CapabilityReport {
    return this.#capabilities;
  }

  /** URIs under which its registrations may appear. */
  get names(): OwnNames {
    return this.#names;
  }

  /** Until it is discovered again, the RD is asked where the upstream that this one replaces found it. */
  goOnFrom({ found, capabilities }: Handover): void {
    this.#found = found;
    this.#capabilities = capabilities;
  }

  /** Adds capabilities that showed in use. */
  learn(capabilities: Partial<CapabilityReport>): void {
    this.#capabilities = { ...this.#capabilities, ...capabilities };
  }

  /** Discovers the RD (RFC 9176 section 4.3). @throws {UpstreamError} also for an RD without lookups. */
  async run({ signal, onContact }: { readonly signal: AbortSignal; onContact(): void }): Promise<DiscoveryOutcome> {
    const result = await discover(this.#deps.client, this.#discoveryOptions(), signal);
    onContact();
    if (result.kind === "refused") return result;
    if (result.kind === "elsewhere") throw new UpstreamError("UPSTREAM_NO_LOOKUP", result.reason);
    if (result.kind === "nothing") throw new UpstreamError("UPSTREAM_NO_LOOKUP", NO_LOOKUPS);
    await this.#assertThere(result.found, signal);
    this.#noteFound(result.found, await this.#feedCapability(result.found, signal));
    return result;
  }

  /** Discovers what is at another origin, which is to be the same RD. @throws {UpstreamError | TransportError} */
  discoverAt(uri: string, signal: AbortSignal): Promise<DiscoveryResult> {
    return discover(this.#deps.client, { ...this.#discoveryOptions(), uri }, signal);
  }

  /** Looks now and then whether an RD that is followed by its lookups still advertises them, until `stopWatching`. */
  watch(found: Discovered): void {
    this.#rediscovery.watch(found);
  }

  stopWatching(): void {
    this.#rediscovery.stop();
  }

  /** @throws {UpstreamError} when the RD advertises other lookups than `found`, none, or does not answer. */
  async confirm(found: Discovered, signal: AbortSignal): Promise<void> {
    if (this.#now() - this.#discoveredMs <= RECENT_DISCOVERY_MS) return;
    await this.#rediscovery.confirm(found, signal);
    this.#discoveredMs = this.#now();
  }

  /**
   * Whether a query that was answered with 4.04 matched nothing. Otherwise the lookup is missing, which is remembered.
   * `signal`: of the query; `discoverySignal`: of the upstream. @throws {UpstreamError}
   */
  async matchesNothing(
    lookup: { readonly kind: LookupInterface; readonly items: readonly string[]; readonly found: Discovered },
    control: ProbeControl,
    discoverySignal: AbortSignal,
  ): Promise<boolean> {
    const { kind, items, found } = lookup;
    const isThere = await this.notFound.isThere(lookupUri(found, kind), control);
    if (isThere && items.length > 0) this.notFound.noteProof();
    if (isThere || (this.notFound.isNothing && (await this.#isStillAdvertised(found, discoverySignal)))) return true;
    this.#missedLookup = kind;
    return false;
  }

  #isStillAdvertised(found: Discovered, signal: AbortSignal): Promise<boolean> {
    return this.confirm(found, signal).then(
      () => true,
      () => false,
    );
  }

  /** An RD that is only asked has no follower that would notice a missing lookup. @throws {UpstreamError} */
  async #assertThere(found: Discovered, signal: AbortSignal): Promise<void> {
    const kind = this.#missedLookup;
    if (kind === null || this.#options.mode !== "forward") return;
    const control = { client: this.#deps.client, timeoutMs: this.#options.timeoutMs, signal };
    this.notFound.forLookups(found.endpointLookup, found.resourceLookup);
    const isThere = this.notFound.isNothing || (await this.notFound.isThere(lookupUri(found, kind), control));
    if (!isThere) throw lookupGone(kind, CODE.NOT_FOUND);
    this.#missedLookup = null;
  }

  /** An RD that is only asked is also asked for ages (design section 5, rule 1), if it shows them to this peer. */
  async #feedCapability(found: Discovered, signal: AbortSignal): Promise<CapabilityReport["feed"]> {
    if (!found.hasFeed) return "no";
    if (this.#options.mode !== "forward") return "unknown";
    const { timeoutMs } = this.#discoveryOptions();
    return (await isFeedGiven(this.#deps.client, found, { signal, timeoutMs })) ? "yes" : "refused";
  }

  /** Nothing that was found out before need hold any more: another program may be behind the same address. */
  #noteFound(found: Discovered, feed: CapabilityReport["feed"]): void {
    const { endpointLookup, resourceLookup, registration } = found;
    this.#found = found;
    this.#discoveredMs = this.#now();
    this.notFound.forLookups(endpointLookup, resourceLookup);
    this.#names = this.#ownNames(found);
    this.#capabilities = {
      ...UNKNOWN,
      feed,
      lifetimeAge: feed === "yes" ? "yes" : "unknown",
      endpointLookup,
      resourceLookup,
      ...(registration === undefined ? {} : { registration }),
      ...(found.isTributary ? { provenance: "yes", hrefFilter: "yes", paging: "yes" } : {}),
    };
  }

  #discoveryOptions(): DiscoveryOptions {
    const { uri, timeoutMs, isTier, authorities, elsewhere } = this.#options;
    const { nodeId, isConfigured } = this.#deps;
    return {
      uri,
      nodeId,
      timeoutMs: Math.max(timeoutMs, SHORTEST_TIMEOUT_MS),
      ...(isTier === undefined ? {} : { isTier }),
      ...(authorities === undefined ? {} : { authorities }),
      ...(elsewhere === undefined ? {} : { elsewhere }),
      ...(isConfigured === undefined ? {} : { isConfigured }),
    };
  }

  #ownNames(found: Discovered | null): OwnNames {
    const { directory, isConfigured, isThisNode } = this.#deps;
    const { name, uri, authorities = [] } = this.#options;
    const sourceOfRd = name.replace(/#\d+$/, "");
    return new OwnNames({
      authorities,
      // A lookup proxy takes no registrations itself; nodes of the project distinguish their own from those of others.
      mayGuess:
        found?.registration !== undefined &&
        normalOrigin(found.registration) === normalOrigin(uri) &&
        !found.isTributary &&
        !found.isTier,
      mayBeOwn: (origin) => isConfigured?.(origin) !== true && isThisNode?.(origin) !== true,
      isKnownFromElsewhere: ({ path, ep, d }) =>
        directory
          .candidates(ep, d)
          .some(({ source, href }) => source.replace(/#\d+$/, "") !== sourceOfRd && pathOf(href) === path),
    });
  }

  #now(): number {
    return this.#deps.env.clock.nowMs();
  }
}

/** Discovery has at least so long, ms: room for one retransmission (RFC 7252 section 4.8). */
const SHORTEST_TIMEOUT_MS = 5000;
const NO_LOOKUPS = "it advertises no lookup interfaces (core.rd-lookup-ep, core.rd-lookup-res)";
