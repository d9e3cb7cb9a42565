import type { Criterion } from "@tributary/link-model";
import { type Registration, registrationMatches } from "@tributary/merge-engine";
import { COUNTER_LIMIT, DEFAULT_MAX_TOMBSTONES, MAX_ITEMS_PER_PATCH } from "../constants.js";
import { ReplicationError } from "../errors.js";
import { endpointEntryText, linksEntryText } from "../feed-entry.js";
import { PatchBuilder } from "../patch-builder.js";
import { formatClockReading } from "../time/remote-clock.js";
import { reportedRenewal } from "../time/renewal-age.js";
import type {
  ChangeLog,
  ChangeLogOptions,
  FeedCursor,
  FeedKind,
  FeedPatch,
  FeedSource,
  LoggedChange,
  LogPosition,
  RememberedHistory,
} from "../types.js";
import type { Version } from "../version.js";
import { assertVersion } from "../version.js";
import { ChangeList, type LogNode } from "./change-list.js";

/**
 * Make the change log of an RD (design section 3). Pure.
 * @throws {ReplicationError} `BAD_VERSION` when epoch or counter is out of range.
 */
export function createChangeLog(options: ChangeLogOptions): ChangeLog {
  assertVersion({ epoch: options.epoch, counter: options.counter ?? 0 });
  return new CompactedChangeLog(options);
}

class CompactedChangeLog implements ChangeLog {
  readonly #epoch: number;
  readonly #maxTombstones: number;
  readonly #onForgotten: (href: string, horizon: number) => void;
  readonly #nodes = new Map<string, LogNode>();
  readonly #lists = { ep: new ChangeList("ep"), res: new ChangeList("res"), renewed: new ChangeList("renewed") };
  /** Removed nodes, oldest first; one that came back meanwhile is skipped when its turn comes. */
  #tombstones: LogNode[] = [];
  #firstTombstone = 0;
  #counter: number;
  /** Latest counter that concerns each feed: renewals concern only the endpoint feed. */
  #latest: Record<FeedKind, number>;
  /** Cursors before this counter have missed forgotten removals. */
  #horizon = 0;

  constructor(options: ChangeLogOptions) {
    this.#epoch = options.epoch;
    this.#counter = options.counter ?? 0;
    this.#latest = { ep: this.#counter, res: this.#counter };
    // A history that goes on from a counter alone knows nothing of what came before it.
    this.#horizon = this.#counter;
    this.#maxTombstones = options.maxTombstones ?? DEFAULT_MAX_TOMBSTONES;
    this.#onForgotten = options.onForgotten ?? (() => {});
    if (options.kept !== undefined) this.#restore(options.kept);
  }

  #restore({ horizon, positions }: RememberedHistory): void {
    this.#horizon = horizon;
    const kept = [...positions].map((position) => ({ position, node: { ...position, ep: 0, res: 0, renewed: 0 } }));
    for (const field of ["ep", "res", "renewed"] as const) {
      const listed = kept.filter(({ position }) => position[field] > 0);
      listed.sort((a, b) => a.position[field] - b.position[field]);
      for (const { node, position } of listed) this.#lists[field].append(node, position[field]);
    }
    this.#latest = { ep: horizon, res: horizon };
    for (const { node } of kept) {
      this.#nodes.set(node.href, node);
      this.#latest.res = Math.max(this.#latest.res, node.ep, node.res);
      this.#latest.ep = Math.max(this.#latest.ep, node.ep, node.res, node.renewed);
    }
    const removed = kept.map(({ node }) => node).filter(({ isRemoved }) => isRemoved);
    this.#tombstones = removed.sort((a, b) => a.ep - b.ep);
    this.#forgetTombstones();
  }

  position(href: string): LogPosition | undefined {
    const node = this.#nodes.get(href);
    return node === undefined ? undefined : { ...node };
  }

  *present(): IterableIterator<string> {
    for (const [href, { isRemoved }] of this.#nodes) if (!isRemoved) yield href;
  }

  get head(): Version {
    return { epoch: this.#epoch, counter: this.#counter };
  }

  record(change: LoggedChange, position?: number): void {
    if (this.#counter + 1 >= COUNTER_LIMIT) throw new ReplicationError("EXHAUSTED", "the history has 2^40 changes");
    const known = this.#nodes.get(change.href);
    if (position !== undefined && change.kind === "removed" && known?.isRemoved === true) return;
    const counter = position ?? this.#counter + 1;
    if (position !== undefined && counter < this.#counter)
      throw new ReplicationError("BAD_VERSION", `position ${counter} is in the past`);
    this.#counter = counter;
    this.#latest.ep = counter;
    if (change.kind === "removed") {
      // Another publisher of the same history may have sent it to subscribers.
      const removed = known ?? (position === undefined ? undefined : this.#unknownNode(change.href));
      if (removed !== undefined && !removed.isRemoved) this.#recordRemoval(removed, counter);
      return;
    }
    if (known === undefined || known.isRemoved) this.#recordArrival(known, change.href, counter);
    else if (change.endpointChanged || change.linksChanged) this.#recordContent(known, counter);
    else this.#lists.renewed.append(known, counter);
  }

  /** A registration that was never recorded here; subscribers may hold it all the same. */
  #unknownNode(href: string): LogNode {
    const node = { href, created: 0, ep: 0, res: 0, renewed: 0, isRemoved: false, cameBack: true };
    this.#nodes.set(href, node);
    return node;
  }

  #recordArrival(known: LogNode | undefined, href: string, counter: number): void {
    const node = known ?? { href, created: counter, ep: 0, res: 0, renewed: 0, isRemoved: false, cameBack: false };
    // An older subscriber may hold the earlier registration at this place, a younger one may not: see #writeContent.
    node.cameBack = known !== undefined;
    node.isRemoved = false;
    this.#nodes.set(href, node);
    this.#lists.ep.append(node, counter);
    this.#lists.res.append(node, counter);
    this.#latest.res = counter;
  }

  /**
   * Both feeds publish every change of content, whichever half it concerns, so that a reader can rely on getting both halves of
   * one moment; and so that a filter on one half moves the other in and out with it.
   */
  #recordContent(node: LogNode, counter: number): void {
    this.#lists.ep.append(node, counter);
    this.#lists.res.append(node, counter);
    this.#latest.res = counter;
  }

  #recordRemoval(node: LogNode, counter: number): void {
    node.isRemoved = true;
    this.#lists.renewed.drop(node);
    this.#lists.ep.append(node, counter);
    this.#lists.res.append(node, counter);
    this.#latest.res = counter;
    this.#tombstones.push(node);
    this.#forgetTombstones();
  }

  #forgetTombstones(): void {
    while (this.#tombstones.length - this.#firstTombstone > this.#maxTombstones) this.#forgetOldestTombstone();
  }

  #forgetOldestTombstone(): void {
    const node = this.#tombstones[this.#firstTombstone++] as LogNode;
    if (this.#firstTombstone > 1024 && this.#firstTombstone * 2 > this.#tombstones.length) {
      this.#tombstones = this.#tombstones.slice(this.#firstTombstone);
      this.#firstTombstone = 0;
    }
    if (!node.isRemoved || this.#nodes.get(node.href) !== node) return;
    this.#horizon = Math.max(this.#horizon, node.ep);
    this.#lists.ep.drop(node);
    this.#lists.res.drop(node);
    this.#nodes.delete(node.href);
    this.#onForgotten(node.href, this.#horizon);
  }

  open(kind: FeedKind, filter: readonly Criterion[], held: Version | null): FeedCursor {
    const isUsable =
      held !== null &&
      held.epoch === this.#epoch &&
      held.counter <= this.#counter &&
      held.counter >= this.#horizon &&
      held.counter > 0;
    return { kind, filter, version: isUsable ? held : null, isComplete: false, copyBegan: 0 };
  }

  canContinue({ version, copyBegan }: FeedCursor): boolean {
    if (version === null) return true;
    return version.epoch === this.#epoch && Math.max(version.counter, copyBegan) >= this.#horizon;
  }

  hasNews(cursor: FeedCursor): boolean {
    return cursor.version === null || cursor.version.counter < this.#latest[cursor.kind];
  }

  nextPatch(cursor: FeedCursor, source: FeedSource, maxBytes: number): FeedPatch | null {
    if (!this.hasNews(cursor)) return null;
    // The tombstones that this cursor needed may have gone while it was slow.
    const effective = this.canContinue(cursor) ? cursor : { ...cursor, version: null, isComplete: false };
    const copyBegan = effective.version === null ? this.#counter : effective.copyBegan;
    const builder = new PatchBuilder(effective, maxBytes);
    const { counter, isAll } = this.#collect(effective, source, builder);
    const version = { epoch: this.#epoch, counter };
    const clock = cursor.kind === "ep" ? clockText(source) : null;
    return { ...builder.finish(version, isAll, effective.isComplete, clock), copyBegan };
  }

  advance(cursor: FeedCursor, patch: FeedPatch): FeedCursor {
    return { ...cursor, version: patch.version, isComplete: patch.complete, copyBegan: patch.copyBegan };
  }

  /**
   * Fills the patch in the order of the history; returns the counter that it covers, and whether nothing is left.
   * A patch with content never goes beyond the latest change that concerns both feeds: the resource feed does not count
   * the renewals behind it, nor either of them counters that a restart passed over, and a reader would wait for something that never comes.
   */
  #collect(cursor: FeedCursor, source: FeedSource, builder: PatchBuilder): { counter: number; isAll: boolean } {
    const content = this.#lists[cursor.kind];
    const renewals = cursor.kind === "ep" ? this.#lists.renewed : null;
    const from = cursor.version?.counter ?? 0;
    if (selectsNothing(cursor.filter)) return { counter: this.#latest[cursor.kind], isAll: true };
    let nextContent = content.indexAfter(from);
    let nextRenewal = renewals?.indexAfter(from) ?? 0;
    let covered = from;
    for (let looked = 0; looked < MAX_ITEMS_PER_PATCH; looked++) {
      const contentCounter = content.counterAt(nextContent);
      const renewalCounter = renewals?.counterAt(nextRenewal) ?? Number.POSITIVE_INFINITY;
      const counter = Math.min(contentCounter, renewalCounter);
      const bound = cursor.kind === "ep" && !builder.hasContent ? this.#latest.ep : this.#latest.res;
      if (counter === Number.POSITIVE_INFINITY) return { counter: bound, isAll: true };
      if (counter > bound) return { counter: bound, isAll: false };
      const fits =
        contentCounter < renewalCounter
          ? this.#writeContent(content.nodeAt(nextContent++), from, cursor, source, builder)
          : this.#writeRenewal(renewals?.nodeAt(nextRenewal++), from, cursor, source, builder);
      if (!fits) return { counter: covered, isAll: false };
      covered = counter;
    }
    return { counter: covered, isAll: false };
  }

  #writeContent(
    node: LogNode | undefined,
    from: number,
    cursor: FeedCursor,
    source: FeedSource,
    builder: PatchBuilder,
  ) {
    if (node === undefined) return true;
    const registration = node.isRemoved ? undefined : source.get(node.href);
    if (registration !== undefined && isSelected(cursor, registration)) {
      const isEndpoint = cursor.kind === "ep";
      return builder.put(
        node.href,
        isEndpoint ? endpointEntryText(registration, source.nowMs, source.wallClock) : linksEntryText(registration),
      );
    }
    // Nothing to remove for a subscriber that cannot have received it.
    const isNewer = node.created > from && !node.cameBack;
    if (cursor.version === null || (isNewer && (cursor.isComplete || !node.isRemoved))) return true;
    const isCertain = cursor.isComplete && cursor.filter.length === 0 && !node.cameBack;
    return builder.remove(node.href, isCertain);
  }

  #writeRenewal(
    node: LogNode | undefined,
    from: number,
    cursor: FeedCursor,
    source: FeedSource,
    builder: PatchBuilder,
  ) {
    // An entry whose content is newer than the cursor travels whole, with its present age.
    if (node === undefined || node.isRemoved || node.ep > from) return true;
    const registration = source.get(node.href);
    if (registration === undefined || !isSelected(cursor, registration)) return true;
    return builder.renew(node.href, reportedRenewal(registration, source.nowMs, source.wallClock));
  }
}

/** Ages count from this moment; the resource feed has none. */
function clockText({ nowMs, clockRun, wallClock }: FeedSource): string | null {
  if (clockRun === undefined || nowMs < 0 || nowMs >= COUNTER_LIMIT) return null;
  const reading = { run: clockRun, ms: Math.floor(nowMs) };
  if (wallClock === undefined) return formatClockReading(reading);
  const { leadMs } = wallClock;
  return formatClockReading({ ...reading, wall: { stampMs: wallClock.stampOf(nowMs), leadMs } });
}

/** Whether a filter is one for the RD's clock alone: no endpoint name is empty. */
function selectsNothing(filter: readonly Criterion[]): boolean {
  return filter.some(({ name, value, isPrefix }) => name === "ep" && value === "" && !isPrefix);
}

function isSelected(cursor: FeedCursor, registration: Registration): boolean {
  return cursor.filter.length === 0 || registrationMatches(cursor.filter, registration);
}
