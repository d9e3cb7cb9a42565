import type { CoapClient } from "@tributary/coap-transport";
import { type Environment, jittered, type Timer } from "@tributary/runtime";
import { REDISCOVERY_MS } from "../constants.js";
import { UpstreamError } from "../errors.js";
import { type Discovered, type DiscoveryOptions, discover, isFeedGiven } from "./discovery.js";

export interface RediscoveryDeps {
  readonly client: CoapClient;
  readonly env: Environment;
  /** The RD is not what it was found to be: following it starts again. */
  readonly onChange: (reason: UpstreamError) => void;
}

/**
 * Looks now and then whether an RD that is followed by its lookups still advertises the same, or has come to offer a feed:
 * nothing else would tell, since lookups that have moved may go on answering, and a refusal may have been a passing one.
 */
export class Rediscovery {
  readonly #deps: RediscoveryDeps;
  readonly #options: DiscoveryOptions;
  #abort = new AbortController();
  #timer: Timer | null = null;

  constructor(deps: RediscoveryDeps, options: DiscoveryOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Begin to look; `found` is what it was followed by. */
  watch(found: Discovered): void {
    this.stop();
    this.#abort = new AbortController();
    this.#schedule(found, this.#abort.signal);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#abort.abort();
  }

  /** @throws {UpstreamError} when the RD advertises other lookups than `found`, none, or does not answer. */
  async confirm(found: Discovered, signal: AbortSignal): Promise<void> {
    const result = await discover(this.#deps.client, this.#options, signal);
    if (result.kind !== "found" || !hasSameLookups(result.found, found))
      throw new UpstreamError("UPSTREAM_LOOKUP_GONE", CHANGED);
    if (result.found.isTributary !== found.isTributary)
      throw new UpstreamError("UPSTREAM_LOOKUP_GONE", "it is another program than before");
  }

  #schedule(found: Discovered, signal: AbortSignal): void {
    const { clock, random } = this.#deps.env;
    this.#timer = clock.setTimer(jittered(random, REDISCOVERY_MS, 0.8, 1.2), () => void this.#look(found, signal));
  }

  async #look(found: Discovered, signal: AbortSignal): Promise<void> {
    const change = await this.#change(found, signal).catch(() => null);
    if (signal.aborted) return;
    if (change === null) this.#schedule(found, signal);
    else this.#deps.onChange(new UpstreamError("UPSTREAM_NO_LOOKUP", change));
  }

  async #change(found: Discovered, signal: AbortSignal): Promise<string | null> {
    const result = await discover(this.#deps.client, this.#options, signal);
    if (result.kind !== "found") return null;
    const now = result.found;
    if (!hasSameLookups(now, found)) return CHANGED;
    const { timeoutMs } = this.#options;
    const isOffered = now.hasFeed && (await isFeedGiven(this.#deps.client, now, { signal, timeoutMs }));
    return isOffered ? "it gives its feed now" : null;
  }
}

const CHANGED = "it advertises other lookups than before";

function hasSameLookups(one: Discovered, other: Discovered): boolean {
  return one.endpointLookup === other.endpointLookup && one.resourceLookup === other.resourceLookup;
}
