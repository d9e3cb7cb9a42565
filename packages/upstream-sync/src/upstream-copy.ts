import { DEFAULT_RECORD_LIMITS, type Registration } from "@tributary/merge-engine";
import type { FeedPosition } from "@tributary/replication";
import type { RestoredCopy } from "./copy-store.js";
import { FeedCopy } from "./feed/feed-copy.js";
import { type LeftOut, LossCount } from "./left-out.js";
import { CopyRecorder } from "./persistence/copy-recorder.js";
import { PlainRdCopy } from "./plain-rd/plain-rd-copy.js";
import type { UpstreamDeps, UpstreamOptions } from "./types.js";

/** What is held of one upstream, in the way in which it is followed at present, and kept across restarts where that is wanted. */
export class UpstreamCopy {
  readonly #deps: UpstreamDeps;
  readonly #options: UpstreamOptions;
  readonly #leftOut: LeftOut;
  readonly #recorder: CopyRecorder | null;
  /** What was there before a restart, until the RD is followed again. */
  #restored: RestoredCopy | null = null;
  #ofFeed: FeedCopy | null = null;
  #ofLookups: PlainRdCopy | null = null;

  constructor(deps: UpstreamDeps, options: UpstreamOptions, leftOut: LeftOut) {
    const { replicas: store, directory, env } = deps;
    const isKept = store !== undefined && options.mode === "replicate";
    this.#deps = deps;
    this.#options = options;
    this.#leftOut = leftOut;
    this.#recorder = isKept ? new CopyRecorder({ store, directory, clock: env.clock }, options) : null;
  }

  /** Bring back what was kept, or go on from what was handed over; whether that is everything. */
  restore(handedOver: RestoredCopy | null): boolean {
    const kept = this.#recorder?.restore() ?? null;
    this.#restored = handedOver ?? kept;
    this.#reportRestoredLosses();
    return this.#restored?.isComplete ?? false;
  }

  /** What of it stayed on disk, until the RD is followed again. */
  #reportRestoredLosses(): void {
    const losses = new LossCount();
    for (const { cause } of this.#restored?.withoutRoom ?? [])
      losses.add(cause, "the snapshot holds more than there is room for; the rest stays on disk");
    this.#leftOut.replace(SNAPSHOT, losses.losses);
  }

  /** Where another one can go on in the RD's feed; null when it is not followed, or before it is there. */
  handOverFeed(): RestoredCopy | null {
    return this.#ofFeed === null ? this.#untouched() : this.#ofFeed.handOver();
  }

  /** What was restored and not followed yet. */
  #untouched(): RestoredCopy | null {
    return this.#restored?.isComplete === true && this.#restored.position !== undefined ? this.#restored : null;
  }

  /** The RD was found at `authority`; `isComplete`: all of it is here. */
  noteState(authority: string, isComplete: boolean): void {
    this.#recorder?.noteState(authority, isComplete);
  }

  /** The RD is followed by its feed from now on; what was held of its feed before goes on. */
  openForFeed(): FeedCopy {
    const { name: source, filters, assumedLifetimeMs, defaultSector, isTier } = this.#options;
    const options = {
      source,
      account: accountOf(this.#options),
      filters,
      assumedLifetimeMs,
      limits: this.#deps.recordLimits ?? DEFAULT_RECORD_LIMITS,
      ...(defaultSector === undefined ? {} : { defaultSector }),
      ...(isTier === true ? { tier: { nodeId: this.#deps.nodeId } } : {}),
      ...(this.#restored === null ? {} : { restored: this.#restored }),
      onPosition: (position: FeedPosition) => this.#recorder?.notePosition(position),
      onLeftOut: (registration: Registration | undefined) => this.#recorder?.noteLeftOut(registration),
      onCopy: () => this.#recorder?.noteCopy(),
      onGone: (href: string) => this.#recorder?.noteGone(href),
    };
    this.#restored = null;
    this.#leftOut.clear(SNAPSHOT);
    this.#leftOut.clear("document ep");
    this.#ofLookups?.close();
    this.#ofLookups = null;
    this.#ofFeed ??= new FeedCopy(this.#deps.directory, options, this.#leftOut, this.#deps.env.clock);
    this.#recorder?.noteFollowed();
    return this.#ofFeed;
  }

  /** The RD is followed by its lookups from now on. */
  openForLookups(): PlainRdCopy {
    const { name: source, filters, assumedLifetimeMs } = this.#options;
    this.#ofFeed?.close();
    this.#ofFeed = null;
    this.#leftOut.clear(SNAPSHOT);
    this.#recorder?.noteWithoutFeed();
    const account = accountOf(this.#options);
    const limits = this.#deps.recordLimits ?? DEFAULT_RECORD_LIMITS;
    const options = { source, account, filters, assumedLifetimeMs, limits };
    this.#ofLookups ??= new PlainRdCopy(this.#deps.directory, options, this.#leftOut, this.#deps.env.clock);
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

/** Part of what is left out: records of the snapshot for which there is no room. */
const SNAPSHOT = "snapshot";

/** Who the records of an upstream count for in the limits of the directory. Pure. */
export function accountOf({ name, account = name }: Pick<UpstreamOptions, "name" | "account">): string {
  return account;
}
