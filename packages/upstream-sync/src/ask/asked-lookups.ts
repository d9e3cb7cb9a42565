import { DEFAULT_MAX_AGE_S } from "@tributary/coap-transport";
import type { LookupInterface, RecordLimits } from "@tributary/merge-engine";
import type { OwnedTurns } from "@tributary/runtime";
import { UpstreamError } from "../errors.js";
import { type LeftOut, NO_LOSSES } from "../left-out.js";
import type { RdDiscovery } from "../rd-discovery.js";
import type { Remarks } from "../remarks.js";
import type {
  AskedListener,
  AskedObservation,
  AskedResult,
  UnchangedResult,
  UpstreamDeps,
  UpstreamOptions,
} from "../types.js";
import { type AskDeps, askLookup, observeLookup } from "./ask-lookup.js";
import { AskedLosses } from "./asked-losses.js";
import { hopLimitedClient } from "./hop-limited-client.js";

/** What asked lookups need of the upstream that they belong to. */
export interface AskedLookupsDeps {
  readonly upstream: UpstreamDeps;
  readonly options: UpstreamOptions;
  readonly discovery: RdDiscovery;
  readonly remarks: Remarks;
  readonly leftOut: LeftOut;
  readonly recordLimits: RecordLimits;
  readonly turns: () => OwnedTurns;
  /** Aborted when the upstream is closed. */
  readonly closed: AbortSignal;
  /** The RD did not answer, or its lookup is gone. */
  readonly onFailure: (error: UpstreamError) => void;
}

/** Not aborted. */
const NEVER = new AbortController().signal;

/** Puts lookups to an RD itself (draft 4.2), and notes what of its responses had to be left out. */
export class AskedLookups {
  readonly #deps: AskedLookupsDeps;
  readonly #losses: AskedLosses;

  constructor(deps: AskedLookupsDeps) {
    this.#deps = deps;
    this.#losses = new AskedLosses(deps.leftOut);
  }

  /** See `Upstream.ask`. @throws {UpstreamError} */
  async ask(
    kind: LookupInterface,
    items: readonly string[],
    { signal, etag }: { readonly signal?: AbortSignal; readonly etag?: Uint8Array },
  ): Promise<AskedResult | UnchangedResult> {
    const startMs = this.#now();
    try {
      const result = await askLookup(this.#askDeps(signal), kind, items, { etag });
      this.#note(kind, items, result);
      return result;
    } catch (error) {
      if (isLookupGone(error)) return await this.#nothingOrGone(kind, items, error, signal);
      // An aborted lookup says something about the RD only if there was time to answer.
      const hadTime = this.#now() - startMs >= this.#deps.options.timeoutMs / 2;
      if (hadTime || signal?.aborted !== true) this.#notAnswered(error);
      throw error;
    }
  }

  /** See `Upstream.observe`. @throws {UpstreamError} */
  observe(
    kind: LookupInterface,
    items: readonly string[],
    listener: AskedListener,
    { etag }: { readonly etag?: Uint8Array },
  ): AskedObservation {
    const noting: AskedListener = {
      onResult: (result) => {
        this.#note(kind, items, result);
        listener.onResult(result);
      },
      onEnd: (error) => listener.onEnd(error),
    };
    return observeLookup(this.#askDeps(this.#deps.closed), kind, items, noting, { etag });
  }

  /** Forgets losses that were not seen again for long. */
  expireLosses(): void {
    this.#losses.expire(this.#now());
  }

  #note(kind: LookupInterface, items: readonly string[], result: AskedResult | UnchangedResult): void {
    if ("losses" in result) this.#losses.note(kind, items, result.losses, this.#now());
  }

  /**
   * Handles 4.04: the query matches nothing if the lookup answers others, otherwise the RD is discovered again.
   * @throws {UpstreamError}
   */
  async #nothingOrGone(
    kind: LookupInterface,
    items: readonly string[],
    error: UpstreamError,
    signal?: AbortSignal,
  ): Promise<AskedResult> {
    const { discovery, closed, onFailure } = this.#deps;
    const { client, found, timeoutMs, signal: aborted } = this.#askDeps(signal);
    if (await discovery.matchesNothing({ kind, items, found }, { client, timeoutMs, signal: aborted }, closed))
      return { links: [], received: 0, maxAgeS: DEFAULT_MAX_AGE_S, bytes: 0, losses: NO_LOSSES };
    onFailure(error);
    throw error;
  }

  /**
   * A lookup that is under way when another upstream takes the place of this one is still answered: only `signal` and its
   * deadline end it. @throws {UpstreamError}
   */
  #askDeps(signal: AbortSignal = NEVER): AskDeps {
    const { upstream, options, discovery, remarks, recordLimits, turns } = this.#deps;
    const { found, capabilities, names } = discovery;
    if (found === null) throw new UpstreamError("UPSTREAM_NO_LOOKUP", `${options.name} has not been discovered`);
    return {
      client: hopLimitedClient(upstream.client, found),
      found,
      capabilities,
      names,
      remarks,
      recordLimits,
      memory: upstream.directory.limits.memory,
      turns: turns(),
      timeoutMs: options.timeoutMs,
      signal,
    };
  }

  /** Nothing watches an upstream that is only asked: that it is lost shows when it does not answer. */
  #notAnswered(error: unknown): void {
    if (this.#deps.options.mode !== "forward" || !(error instanceof UpstreamError)) return;
    const isLost = error.code === "UPSTREAM_TIMEOUT" || error.code === "UPSTREAM_UNREACHABLE";
    if (isLost) this.#deps.onFailure(error);
  }

  #now(): number {
    return this.#deps.upstream.env.clock.nowMs();
  }
}

function isLookupGone(error: unknown): error is UpstreamError {
  return error instanceof UpstreamError && error.code === "UPSTREAM_LOOKUP_GONE";
}
