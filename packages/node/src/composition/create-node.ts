import type { PeerStatus, RequestForwarding } from "@tributary/anycast-forwarding";
import { type CoapClient, parseCoapUri, type TableSizes } from "@tributary/coap-transport";
import type { GlobalLookup, GlobalLookupStatus } from "@tributary/global-lookup";
import {
  createReplicaPolicy,
  directoryLookupSource,
  type LookupObservation,
  type LookupSource,
} from "@tributary/lookup-interface";
import { createFederatedLookup, ResponseCache } from "@tributary/lookup-server";
import {
  createDirectory,
  DEFAULT_RECORD_LIMITS,
  type Directory,
  LARGEST_MAX_REGISTRATIONS,
  type LimitUse,
  SharedLimit,
  type SourcedRegistration,
} from "@tributary/merge-engine";
import { EPOCH_LIMIT } from "@tributary/replication";
import {
  createFeedPublisher,
  type FeedPublisher,
  type ProxyView,
  type ResourceDirectory,
  startExpirySweep,
  visibleRegistrations,
} from "@tributary/resource-directory";
import { addCount, addCounts } from "@tributary/runtime";
import type { UpstreamStatus } from "@tributary/upstream-sync";
import type { NodeConfig } from "../configuration/types.js";
import { announceNames } from "./announced-names.js";
import { changedSettings } from "./changed-settings.js";
import { proxyOptions } from "./endpoint-proxy.js";
import { createGatewayLookups, type GatewayLookups } from "./gateway-lookups.js";
import { defaultMemory, LOCAL_SOURCE, type MemoryPlan, planMemory, shareLimit } from "./memory-plan.js";
import { NodeFeeds } from "./node-feeds.js";
import { createNodeForwarding, resourcePathOf } from "./node-forwarding.js";
import { createNodeSite } from "./node-site.js";
import { openOwnDirectory } from "./own-directory.js";
import { readiness } from "./readiness.js";
import type {
  DiscardedRegistration,
  LookupSample,
  Node,
  NodeCounters,
  NodeDamage,
  NodeDeps,
  NodeListener,
  NodeState,
  ReloadSummary,
  SharedStoreStatus,
} from "./types.js";
import { UpstreamSet } from "./upstream-set.js";

export { LOCAL_SOURCE } from "./memory-plan.js";

/** Time for exchanges that are under way when the node is closed, ms. */
const DRAIN_MS = 500;

/**
 * Starts a node: RD, LP or both, as configured. Resolves when every listener is bound and the store is loaded.
 * @throws {TransportError} `BIND_FAILED`
 */
export async function createNode(deps: NodeDeps, config: NodeConfig): Promise<Node> {
  const node = new RunningNode(deps, config);
  try {
    await node.start();
  } catch (error) {
    await node.close();
    throw error;
  }
  return node;
}

type Opened<K extends keyof NodeState> = Awaited<ReturnType<NonNullable<NodeState[K]>>>;

class RunningNode implements Node {
  readonly name: string;
  readonly directory: Directory;
  readonly #deps: NodeDeps;
  readonly #memory: MemoryPlan;
  readonly #evictions = new Map<string, number>();
  readonly #lookupListeners = new Set<(sample: LookupSample) => void>();
  #config: NodeConfig;
  #wasEveryoneTried = false;
  #gatewayLookups: GatewayLookups | null = null;
  #client: CoapClient | null = null;
  #upstreams: UpstreamSet | null = null;
  #registrations: ResourceDirectory | null = null;
  readonly #coverageListeners: (() => void)[] = [];
  #ownFeed: FeedPublisher | null = null;
  #feeds: NodeFeeds | null = null;
  #forwarding: RequestForwarding | null = null;
  #cache: ResponseCache | null = null;
  #listeners: NodeListener[] = [];
  #sweep: { close(): void } | null = null;
  #global: GlobalLookup | null = null;
  #stopAnnouncing: () => void = () => {};
  #stored: Opened<"openRegistrations"> | null = null;
  #copies: Opened<"openCopies"> | null = null;
  #closing: Promise<void> | null = null;

  constructor(deps: NodeDeps, config: NodeConfig) {
    this.#deps = deps;
    this.#config = config;
    this.name = config.name;
    const { limits } = config;
    const total = limits.memory ?? (deps.heapLimit === undefined ? Infinity : defaultMemory(deps.heapLimit));
    this.#memory = planMemory(total, config);
    this.directory = createDirectory({
      maxRegistrations: new SharedLimit(Math.min(limits.registrations, LARGEST_MAX_REGISTRATIONS)),
      memory: new SharedLimit(this.#memory.registrations),
    });
    this.#shareLimits(config);
    this.directory.on("visible", ({ cause, before }) => {
      if (before !== undefined && cause !== "renewed" && cause !== "updated") addCount(this.#evictions, cause);
    });
  }

  async start(): Promise<void> {
    const { env, network, nodeId } = this.#deps;
    const client = await network.openClient();
    this.#client = client;
    this.directory.clock.follow(env.clock);
    this.#sweep = startExpirySweep({ directory: this.directory, env });
    if (this.#config.registration !== undefined) await this.#startRegistration(client);
    if (this.#config.lookup !== undefined) {
      this.#copies = (await this.#deps.state?.openCopies?.()) ?? null;
      const replicas = this.#copies === null ? {} : { replicas: this.#copies };
      const { auto } = this.#config.lookup;
      const onCoverageChange = () => this.#coverageChanged();
      const { listen, limits } = this.#config;
      const upstreamDeps = {
        listen,
        client,
        directory: this.directory,
        env,
        nodeId,
        auto,
        recordLimits: { ...DEFAULT_RECORD_LIMITS, registrationBytes: limits.registrationBytes },
        onCoverageChange,
        ...replicas,
      };
      this.#upstreams = new UpstreamSet(upstreamDeps);
    }
    this.#forwarding = createNodeForwarding({ client, env }, this.#config);
    if (this.#config.global !== undefined) this.#global = (await this.#deps.openGlobal?.({ client })) ?? null;
    const feeds = new NodeFeeds(this.#ownFeed, this.#config.lookup === undefined ? null : () => this.#openUnionFeed());
    this.#feeds = feeds;
    const lookups = {
      directory: this.directory,
      env,
      source: this.#lookupSource(),
      mayReplicate: createReplicaPolicy(replicasOf(this.#config)),
      replicasSetting: this.#config.registration === undefined ? "lookup.replicas" : "registration.replicas",
      ...(this.#ownFeed !== null && this.#upstreams !== null ? { ownSource: LOCAL_SOURCE } : {}),
      onCoverageChange: (listener: () => void) => void this.#coverageListeners.push(listener),
      onLookup: (...[kind, answer, durationMs]: Parameters<LookupObservation>) =>
        this.#sample({ interface: kind, answer, durationMs }),
    };
    const isDirectoryOnly = this.#config.lookup === undefined;
    // Operators see everything that is registered here.
    const forGateways = { ...lookups, source: this.#withPool(lookups.source, { needsName: false }) };
    this.#gatewayLookups = createGatewayLookups(forGateways, { resourcePath: resourcePathOf(this.#config) });
    const site = createNodeSite(
      { ...lookups, source: this.#withPool(lookups.source, { needsName: isDirectoryOnly }), feed: feeds },
      {
        nodeId,
        advertise: this.#config.advertise,
        registration: this.#registrations?.resources ?? [],
        isLookupProxy: this.#config.lookup !== undefined,
        isDirectory: this.#ownFeed !== null,
        resourcePath: resourcePathOf(this.#config),
        forwarding: this.#forwarding,
        poolKey: this.#global?.key ?? null,
        hasTcp: hasTcpTwin(this.#config.listen),
      },
    );
    const handler = this.#registrations?.proxy?.around(site) ?? site;
    const isConfigured = createReplicaPolicy(replicasOf(this.#config));
    for (const uri of this.#config.listen) this.#listeners.push(await network.listen(uri, handler, { isConfigured }));
    this.#startAnnouncing();
    await this.#upstreams?.follow(this.#config.lookup?.upstreams ?? []);
  }

  get listening(): readonly string[] {
    return this.#listeners.map(({ uri }) => uri);
  }

  get gatewayLookups(): GatewayLookups {
    if (this.#gatewayLookups === null) throw new Error("the node has not started");
    return this.#gatewayLookups;
  }

  get counters(): NodeCounters {
    return {
      evictions: this.#evictions,
      rejected: () => this.#rejected(),
      registrationRequests: () => this.#registrations?.requests ?? [],
      cache: () => this.#cache?.outcomes ?? new Map(),
      transport: this.#listeners.map(({ counters }) => counters),
    };
  }

  tableSizes(): TableSizes {
    const sum: Record<string, number> = {
      ...this.#registrations?.tableSizes(),
      ...this.#cache?.tableSizes(),
      ...this.#forwarding?.tableSizes(),
      ...this.#global?.tableSizes(),
    };
    for (const listener of this.#listeners) {
      for (const [table, size] of Object.entries(listener.tableSizes())) {
        // The verified peers are the same for all listeners.
        sum[table] = table === "verified-peers" ? size : (sum[table] ?? 0) + size;
      }
    }
    return sum;
  }

  memory(): LimitUse {
    return this.directory.limits.memory.use();
  }

  get onDisk(): number {
    return this.#registrations?.onDisk ?? 0;
  }

  peers(): readonly PeerStatus[] {
    return this.#forwarding?.peers() ?? [];
  }

  followers() {
    return this.#feeds?.followers() ?? [];
  }

  sharedStore(): SharedStoreStatus | undefined {
    return this.#stored?.sharedStore?.();
  }

  onDiscarded(listener: (discarded: DiscardedRegistration) => void): void {
    this.#stored?.onDiscarded?.(listener);
  }

  proxy(): ProxyView | null {
    return this.#registrations?.proxy ?? null;
  }

  global(): GlobalLookupStatus | undefined {
    return this.#global?.status();
  }

  damage(): NodeDamage {
    const store = this.#stored?.damage;
    const snapshot = this.#copies?.damage;
    return {
      ...(store === undefined ? {} : { "registration.store": store }),
      ...(snapshot === undefined ? {} : { snapshot }),
    };
  }

  upstreams(): readonly UpstreamStatus[] {
    return (this.#upstreams?.list() ?? []).map((upstream) => upstream.status());
  }

  isReady(): boolean {
    const { lookup, registration } = this.#config;
    if (lookup === undefined) return true;
    const upstreams = this.upstreams();
    // Only at the start: an upstream that is added later must not take a working proxy out of service.
    this.#wasEveryoneTried ||= upstreams.every(({ wasTried }) => wasTried);
    return this.#wasEveryoneTried && readiness(upstreams, lookup.ready, registration !== undefined).isReady;
  }

  async reload(config: NodeConfig): Promise<ReloadSummary> {
    const needRestart = changedSettings(this.#config, config);
    const changes =
      this.#upstreams === null
        ? { added: [], removed: [], changed: [], kept: [] }
        : await this.#upstreams.follow(config.lookup?.upstreams ?? []);
    this.#shareLimits({ ...this.#config, ...(config.lookup === undefined ? {} : { lookup: config.lookup }) });
    if (this.#config.lookup !== undefined && config.lookup !== undefined) {
      this.#config = { ...this.#config, lookup: { ...this.#config.lookup, upstreams: config.lookup.upstreams } };
    }
    return { ...changes, needRestart };
  }

  onLookup(listener: (sample: LookupSample) => void): () => void {
    this.#lookupListeners.add(listener);
    return () => this.#lookupListeners.delete(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stopAnnouncing();
    await this.#global?.leave();
    // Stop listening first, so that nothing is acknowledged that would not be stored.
    await Promise.all(this.#listeners.map((listener) => listener.close(DRAIN_MS)));
    this.#sweep?.close();
    this.#forwarding?.close();
    this.#cache?.close();
    await this.#upstreams?.close();
    await this.#copies?.close();
    this.#feeds?.close();
    await this.#registrations?.close();
    await this.#global?.close();
    await this.#client?.close();
  }

  /** Shares the limits among sources: before new upstreams use theirs, and after removed ones have released theirs. */
  #shareLimits({ lookup, registration }: NodeConfig): void {
    const holding = (lookup?.upstreams ?? []).filter(({ mode }) => mode !== "forward").map(({ name }) => name);
    const { registrations, memory } = this.directory.limits;
    for (const limit of [registrations, memory]) shareLimit(limit, registration !== undefined, holding);
  }

  #coverageChanged(): void {
    for (const listener of this.#coverageListeners) listener();
  }

  /** Stored registrations are loaded before the feed continues, so that they are no news to it. */
  async #startRegistration(client: CoapClient): Promise<void> {
    const { env, state } = this.#deps;
    const onCompleteness = () => this.#coverageChanged();
    const proxy = proxyOptions(this.#deps.network, this.#config);
    const deps = {
      ...{ directory: this.directory, client, env, onCompleteness },
      ...(state === undefined ? {} : { state }),
      ...(proxy === undefined ? {} : { proxy }),
    };
    const { registrations, feed, stored } = await openOwnDirectory(deps, this.#config);
    this.#stored = stored;
    this.#registrations = registrations;
    this.#ownFeed = feed;
    await registrations.start();
    feed.resume();
  }

  #openUnionFeed(): FeedPublisher {
    const { env, nodeId } = this.#deps;
    const { directory } = this;
    const publishes = visibleRegistrations(directory, nodeId);
    return createFeedPublisher({ directory, env }, { publishes, epoch: Math.floor(env.random() * EPOCH_LIMIT) });
  }

  #lookupSource(): LookupSource {
    const { env } = this.#deps;
    const { lookup, registration } = this.#config;
    const upstreams = this.#upstreams;
    const missing = () => (this.onDisk > 0 || this.#registrations?.isBehind === true ? [LOCAL_SOURCE] : []);
    if (lookup === undefined || upstreams === null) return directoryLookupSource(this.directory, env, missing);
    const { concurrency, cache } = lookup;
    this.#cache = new ResponseCache({ env }, { concurrency, ...cache, bytes: this.#memory.cache });
    return createFederatedLookup(
      { directory: this.directory, upstreams: () => upstreams.list(), env, cache: this.#cache, missing },
      {
        timeoutMs: lookup.timeoutMs,
        onPartial: lookup.onPartial,
        ...(registration === undefined ? {} : { ownSource: LOCAL_SOURCE }),
      },
    );
  }

  #withPool(local: LookupSource, { needsName }: { readonly needsName: boolean }): LookupSource {
    if (this.#global === null) return local;
    const isLocal = (name: string) => {
      const query = { criteria: [{ name: "ep", value: name, isPrefix: false }], showProvenance: false };
      return this.directory.select(query, this.#deps.env.clock.nowMs()).next().done !== true;
    };
    return this.#global.source(local, { isLocal, needsName });
  }

  #startAnnouncing(): void {
    const global = this.#global;
    if (global === null || this.#registrations === null) return;
    const { proxy } = this.#registrations;
    const isWanted = (one: SourcedRegistration) =>
      (this.#config.global?.names === "all" || proxy?.isProxied(one) === true) && global.isAnnounceable(one);
    global.listenAt(() => this.listening);
    this.#stopAnnouncing = announceNames({ directory: this.directory, global, isWanted });
    global.start();
  }

  #sample(sample: LookupSample): void {
    for (const listener of this.#lookupListeners) listener(sample);
  }

  #rejected(): ReadonlyMap<string, number> {
    const sum = new Map<string, number>(this.#registrations?.rejected ?? []);
    const states = [this.#stored, this.#copies, this.#forwarding].map((state) => state?.rejected ?? new Map());
    const upstreams = this.#upstreams?.rejected() ?? new Map();
    const parts = [...this.#listeners.map(({ counters }) => counters.rejected), upstreams, ...states];
    for (const rejected of parts) addCounts(sum, rejected);
    return sum;
  }
}

/** Whether the node serves CoAP over UDP and over TCP at the same port number. */
function hasTcpTwin(listen: readonly string[]): boolean {
  const listeners = listen.map(parseCoapUri);
  const isServed = (scheme: string, port: number) =>
    listeners.some((one) => one.scheme === scheme && one.port === port);
  return listeners.some(({ scheme, port }) => scheme === "coap" && port !== 0 && isServed("coap+tcp", port));
}

/** Returns the rules for proxies that may replicate from this node. */
function replicasOf({ registration, lookup }: NodeConfig): readonly string[] {
  return registration?.replicas ?? lookup?.replicas ?? [];
}
