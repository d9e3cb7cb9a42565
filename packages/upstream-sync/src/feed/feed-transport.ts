import { originOf } from "@tributary/link-model";
import { jittered } from "@tributary/runtime";
import { TCP_PAUSE_MS } from "../constants.js";
import type { Discovered, DiscoveryResult } from "../discovery/discovery.js";
import { toUpstreamError } from "../discovery/discovery.js";
import { UpstreamError } from "../errors.js";
import type { UpstreamDeps, UpstreamOptions } from "../types.js";

/** Collaborators of `FeedTransport`. */
export interface FeedTransportDeps {
  readonly env: UpstreamDeps["env"];
  /** Discovers what is at an origin. @throws {TransportError | UpstreamError} */
  readonly discoverAt: (uri: string, signal: AbortSignal) => Promise<DiscoveryResult>;
}

/**
 * Chooses between UDP and TCP for the feed of one RD. Everything else is asked by the scheme of its URI, under which its
 * registrations are also shown.
 */
export class FeedTransport {
  readonly #deps: FeedTransportDeps;
  readonly #options: Pick<UpstreamOptions, "name" | "uri" | "transport">;
  #avoidUntilMs = Number.NEGATIVE_INFINITY;
  #isUpgraded = false;
  #isProven = false;

  constructor(deps: FeedTransportDeps, options: Pick<UpstreamOptions, "name" | "uri" | "transport">) {
    this.#deps = deps;
    this.#options = options;
  }

  /** How the feed is read now. */
  get current(): "udp" | "tcp" {
    return this.#isUpgraded || /^coaps?\+tcp:/.test(this.#options.uri) ? "tcp" : "udp";
  }

  /** Whether `route` has to ask at all. */
  mayUpgrade(found: Discovered): boolean {
    this.#isUpgraded = false;
    this.#isProven = false;
    if (!found.hasFeed || !found.endpointLookup.startsWith("coap:")) return false;
    // What is at another host than the configured one is asked in the way that was advertised.
    if (originOf(found.endpointLookup) !== found.authority || originOf(found.resourceLookup) !== found.authority)
      return false;
    const { transport = "auto" } = this.#options;
    if (transport === "auto") return found.hasTcp && this.#deps.env.clock.nowMs() >= this.#avoidUntilMs;
    return transport === "tcp";
  }

  /**
   * Returns where to read the feed: at the same host and port by TCP, if the same node responds there, otherwise `found`.
   * @throws {UpstreamError} when only TCP is allowed and does not work.
   */
  async route(found: Discovered, signal: AbortSignal): Promise<Discovered> {
    const overTcp = (uri: string) => uri.replace(/^coap:/, "coap+tcp:");
    try {
      const result = await this.#deps.discoverAt(overTcp(found.authority), signal);
      if (result.kind !== "found" || result.found.node === undefined || result.found.node !== found.node)
        throw new UpstreamError("UPSTREAM_NO_LOOKUP", "another server responds there");
    } catch (error) {
      if (signal.aborted) return found;
      this.#avoid(toUpstreamError(error));
      return found;
    }
    this.#isUpgraded = true;
    return {
      ...found,
      endpointLookup: overTcp(found.endpointLookup),
      resourceLookup: overTcp(found.resourceLookup),
    };
  }

  /** The copy that is read is complete: a later failure is an outage like any other. */
  noteComplete(): void {
    this.#isProven = true;
  }

  /** Whether a failure is one of TCP only, so that UDP is worth trying at once. */
  shouldFallBack(error: UpstreamError): boolean {
    if (error.code !== "UPSTREAM_TIMEOUT" && error.code !== "UPSTREAM_UNREACHABLE") return false;
    if (!this.#isUpgraded) {
      // The RD was lost altogether: that TCP failed before says nothing about TCP.
      this.#avoidUntilMs = Number.NEGATIVE_INFINITY;
      return false;
    }
    if (this.#isProven || this.#options.transport === "tcp") return false;
    this.#avoid(error);
    return true;
  }

  #avoid(error: UpstreamError): void {
    const { name, transport } = this.#options;
    if (transport === "tcp") throw error;
    const { env } = this.#deps;
    env.logger.info("feed is read over UDP, because TCP does not work", { upstream: name, error: error.message });
    this.#avoidUntilMs = env.clock.nowMs() + jittered(env.random, TCP_PAUSE_MS, 0.9, 1.1);
  }
}
