import type { CoapClient } from "@tributary/coap-transport";
import type { Directory, RecordLimits } from "@tributary/merge-engine";
import { addCounts, type Environment } from "@tributary/runtime";
import {
  type AutoOptions,
  type CopyStore,
  createAutoUpstream,
  createUpstream,
  failoverClient,
  type Handover,
  type Upstream,
  type UpstreamDeps,
  type UpstreamOptions,
} from "@tributary/upstream-sync";
import { parseCoapOrigin } from "../configuration/coap-origin.js";
import type { UpstreamConfig } from "../configuration/types.js";
import { protectedClient } from "../oscore/protected-client.js";

/** Concurrent requests for attribution per upstream. */
const ATTRIBUTION_CONCURRENCY = 4;

/** Collaborators of `UpstreamSet`. */
export interface UpstreamSetDeps {
  readonly client: CoapClient;
  readonly directory: Directory;
  readonly env: Environment;
  readonly nodeId: string;
  readonly recordLimits?: RecordLimits;
  readonly replicas?: CopyStore;
  /** Origins of this node. */
  readonly listen?: readonly string[];
  /** For upstreams in mode auto. */
  readonly auto: AutoOptions;
  /** Called when coverage changes: what decides, besides the directory, how lookups are served. */
  readonly onCoverageChange: () => void;
}

/** Names of the upstreams, by what `follow` did with them. */
export interface UpstreamChanges {
  readonly added: string[];
  readonly removed: string[];
  readonly changed: string[];
  readonly kept: string[];
}

interface Followed {
  readonly config: UpstreamConfig;
  readonly upstream: Upstream;
}

/** The upstreams of a node; they can be replaced while it runs. */
export class UpstreamSet {
  readonly #deps: UpstreamSetDeps;
  readonly #upstreamDeps: UpstreamDeps;
  /** Origins of all upstreams, including their configured `authorities`. */
  #origins: ReadonlySet<string> = new Set();
  readonly #followed = new Map<string, Followed>();
  /** Rejections by upstreams that are no longer followed: counters never decrease. */
  readonly #rejectedBefore = new Map<string, number>();
  #list: readonly Upstream[] = [];

  constructor(deps: UpstreamSetDeps) {
    this.#deps = deps;
    const listen = new Set(deps.listen);
    this.#upstreamDeps = {
      ...deps,
      isConfigured: (origin) => this.#origins.has(canonicalOrigin(origin)),
      isThisNode: (origin) => listen.has(canonicalOrigin(origin)),
    };
  }

  list(): readonly Upstream[] {
    return this.#list;
  }

  /** Documents and records that were rejected since the start, by cause. */
  rejected(): ReadonlyMap<string, number> {
    const sum = new Map(this.#rejectedBefore);
    for (const { upstream } of this.#followed.values()) addCounts(sum, upstream.status().rejected);
    return sum;
  }

  /**
   * Follows exactly `configs`. Unchanged upstreams continue undisturbed; the records of removed ones are removed. An upstream that
   * replaces another of the same RD takes over its copy, in any phase, without a lookup in between that lacks it.
   */
  async follow(configs: readonly UpstreamConfig[]): Promise<UpstreamChanges> {
    const changes: UpstreamChanges = { added: [], removed: [], changed: [], kept: [] };
    this.#origins = new Set(configs.flatMap(({ uris, authorities }) => [...uris, ...authorities.map(canonicalOrigin)]));
    const wanted = new Map(configs.map((config) => [config.name, config]));
    const closing: Promise<void>[] = [];
    const handovers = new Map<string, Handover>();
    for (const [name, { config, upstream }] of [...this.#followed]) {
      const next = wanted.get(name);
      if (next !== undefined && isSame(config, next)) {
        changes.kept.push(name);
        continue;
      }
      // The copy survives a change of settings of the same RD, so that lookups are served meanwhile.
      const isSameDirectory = next?.uri === config.uri;
      const handover = isSameDirectory ? upstream.handOver?.() : undefined;
      if (handover !== undefined) handovers.set(name, handover);
      closing.push(upstream.close({ keepCopy: isSameDirectory && next?.mode === "replicate" }));
      this.#followed.delete(name);
      addCounts(this.#rejectedBefore, upstream.status().rejected);
      (next === undefined ? changes.removed : changes.changed).push(name);
    }
    for (const name of this.#deps.replicas?.sources() ?? []) if (!wanted.has(name)) this.#deps.replicas?.forget(name);
    for (const config of configs) {
      if (this.#followed.has(config.name)) continue;
      if (!changes.changed.includes(config.name)) changes.added.push(config.name);
      this.#start(config, handovers.get(config.name));
    }
    this.#list = [...this.#followed.values()].map(({ upstream }) => upstream);
    this.#deps.onCoverageChange();
    await Promise.all(closing);
    return changes;
  }

  /** The client for requests to one upstream: protected, and to the instance that is in use, as configured. */
  #clientOf({ name, uris, oscore }: UpstreamConfig): CoapClient {
    const { client: plain, env } = this.#deps;
    const client = oscore === undefined ? plain : protectedClient(plain, oscore);
    if (uris.length === 1) return client;
    return failoverClient(client, uris, (move) =>
      env.logger.warn("an address of an upstream fails, the next one is used", { upstream: name, ...move }),
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#followed.values()].map(({ upstream }) => upstream.close({ keepCopy: true })));
    this.#followed.clear();
    this.#list = [];
  }

  #start(config: UpstreamConfig, handover: Handover | undefined): void {
    const { mode, uris, tls: _credentials, oscore: _context, contextVersion: _version, ...settings } = config;
    const isAuto = mode === "auto";
    const options: UpstreamOptions = {
      ...settings,
      // Instances may name themselves in their own URIs.
      authorities: config.isTier ? [] : [...config.authorities, ...uris.slice(1)],
      mode: isAuto ? "forward" : mode,
      concurrency: ATTRIBUTION_CONCURRENCY,
    };
    const deps = {
      ...this.#upstreamDeps,
      client: this.#clientOf(config),
      ...(handover === undefined ? {} : { handover }),
    };
    const upstream = isAuto ? createAutoUpstream(deps, options, this.#deps.auto) : createUpstream(deps, options);
    this.#followed.set(config.name, { config, upstream });
    upstream.onStatus(() => this.#deps.onCoverageChange());
    upstream.start();
  }
}

/** Converts an origin to the form of the configuration. Returns other URIs unchanged. */
function canonicalOrigin(text: string): string {
  const result = parseCoapOrigin(text);
  return result.ok ? result.origin.uri : text;
}

function isSame(one: UpstreamConfig, other: UpstreamConfig): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
