import { DEFAULT_RECORD_LIMITS } from "@tributary/merge-engine";
import type { FeedPosition } from "@tributary/replication";
import { FeedReplica } from "./feed-replica.js";
import { ForeignReplica } from "./foreign-replica.js";
import type { LeftOut } from "./left-out.js";
import { ReplicaRecorder, type RestoredReplica } from "./replica-recorder.js";
import type { UpstreamDeps, UpstreamOptions } from "./types.js";

/** What is held of one upstream, in the way in which it is followed at present, and kept across restarts where that is wanted. */
export class UpstreamReplica {
  readonly #deps: UpstreamDeps;
  readonly #options: UpstreamOptions;
  readonly #leftOut: LeftOut;
  readonly #recorder: ReplicaRecorder | null;
  /** What was there before a restart, until the RD is followed again. */
  #restored: RestoredReplica | null = null;
  #ofFeed: FeedReplica | null = null;
  #ofLookups: ForeignReplica | null = null;

  constructor(deps: UpstreamDeps, options: UpstreamOptions, leftOut: LeftOut) {
    const { replicas: store, directory, env } = deps;
    const isKept = store !== undefined && options.mode === "replicate";
    this.#deps = deps;
    this.#options = options;
    this.#leftOut = leftOut;
    this.#recorder = isKept ? new ReplicaRecorder({ store, directory, clock: env.clock }, options) : null;
  }

  /** Bring back what was kept; whether that was everything. */
  restore(): boolean {
    this.#restored = this.#recorder?.restore() ?? null;
    return this.#restored?.isComplete ?? false;
  }

  /** The RD was found at `authority`; `isComplete`: all of it is here. */
  noteState(authority: string, isComplete: boolean): void {
    this.#recorder?.noteState(authority, isComplete);
  }

  /** The RD is followed by its feed from now on; what was held of its feed before goes on. */
  openForFeed(): FeedReplica {
    const { name: source, filters, assumedLifetimeMs, defaultSector, isTier } = this.#options;
    const options = {
      source,
      filters,
      assumedLifetimeMs,
      limits: this.#deps.recordLimits ?? DEFAULT_RECORD_LIMITS,
      ...(defaultSector === undefined ? {} : { defaultSector }),
      ...(isTier === true ? { tier: { nodeId: this.#deps.nodeId } } : {}),
      ...(this.#restored === null ? {} : { restored: this.#restored }),
      onPosition: (position: FeedPosition) => this.#recorder?.notePosition(position),
      onGone: (href: string) => this.#recorder?.noteGone(href),
    };
    this.#restored = null;
    this.#ofLookups?.close();
    this.#ofLookups = null;
    this.#ofFeed ??= new FeedReplica(this.#deps.directory, options, this.#leftOut, this.#deps.env.clock);
    this.#recorder?.noteFollowed();
    return this.#ofFeed;
  }

  /** The RD is followed by its lookups from now on. */
  openForLookups(): ForeignReplica {
    const { name: source, filters, assumedLifetimeMs } = this.#options;
    this.#ofFeed?.close();
    this.#ofFeed = null;
    this.#recorder?.noteWithoutFeed();
    this.#ofLookups ??= new ForeignReplica(
      this.#deps.directory,
      { source, filters, assumedLifetimeMs, limits: this.#deps.recordLimits ?? DEFAULT_RECORD_LIMITS },
      this.#leftOut,
    );
    return this.#ofLookups;
  }

  /** Follow nothing any more. `isKept`: the records stay, in the directory and on disk. */
  close({ isKept }: { readonly isKept: boolean }): void {
    this.#ofFeed?.close();
    this.#ofLookups?.close();
    this.#recorder?.stop({ forget: !isKept });
    if (!isKept) this.#deps.directory.closeSource(this.#options.name, this.#deps.env.clock.nowMs());
  }
}
