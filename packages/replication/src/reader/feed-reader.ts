import type { Link } from "@tributary/link-model";
import {
  DEFAULT_RECORD_LIMITS,
  type RecordLimits,
  type Registration,
  type RenewalTimes,
  recordWeight,
} from "@tributary/merge-engine";
import { atOnce } from "../at-once.js";
import { ENTRIES_PER_STEP, HREFS_PER_STEP, MAX_PROBLEMS, MAX_STAGED } from "../constants.js";
import type { EntryFault } from "../entry-fault.js";
import {
  type EndpointPart,
  type EntryContext,
  type EntryTimes,
  endpointEntryText,
  linksEntryText,
  readEndpointEntry,
  readLinksEntryInSteps,
  readTimes,
  timesText,
} from "../feed-entry.js";
import { parseFeedPatchInSteps } from "../feed-operations.js";
import { maxPatchBytes } from "../patch-bounds.js";
import type { StagingMemory } from "../staging-memory.js";
import { type AskedAt, parseClockReading, RemoteClock } from "../time/remote-clock.js";
import type {
  CopyChange,
  FeedFault,
  FeedKind,
  FeedOutcome,
  FeedPosition,
  FeedReader,
  FeedReaderOptions,
  HeldRegistrations,
} from "../types.js";
import type { Version } from "../version.js";
import { FeedHalf, type Staged } from "./feed-half.js";
import { applyToSparseDocument, type Recall, type SparseOutcome } from "./sparse-document.js";
import { UnheldEntries } from "./unheld-entries.js";

/**
 * Make the reader of both feeds of one RD (design section 3). Pure.
 *
 * The halves of a registration arrive by two feeds that count in one history. A change is handed out when both feeds have
 * reached it, so that links and parameters of different moments are never mixed; removals and renewals need only the
 * endpoint feed.
 */
export function createFeedReader(options: FeedReaderOptions): FeedReader {
  return new JoiningFeedReader(options);
}

type ReceivedAt = Pick<EntryContext, "receivedAtMs" | "stampMs">;
type Applied = Extract<SparseOutcome, { kind: "applied" }>;

class JoiningFeedReader implements FeedReader {
  readonly #options: FeedReaderOptions;
  readonly #clock: RemoteClock;
  readonly #ep: FeedHalf<EndpointPart>;
  readonly #res: FeedHalf<readonly Link[]>;
  readonly #unheld = new UnheldEntries();
  readonly #limits: RecordLimits;

  constructor(options: FeedReaderOptions) {
    this.#options = options;
    const { memory = UNLIMITED } = options;
    this.#ep = new FeedHalf("ep", { memory, weightOf: (part) => recordWeight({ ...part, links: [] }) });
    this.#res = new FeedHalf("res", { memory, weightOf: (links) => recordWeight({ ...NO_ENDPOINT, links }) });
    this.#clock = options.clock ?? new RemoteClock();
    this.#limits = options.limits ?? DEFAULT_RECORD_LIMITS;
  }

  version(kind: FeedKind): Version | null {
    return this.#half(kind).version;
  }

  isComplete(kind: FeedKind): boolean {
    return this.#half(kind).complete;
  }

  faults(): ReadonlyMap<EntryFault, FeedFault> {
    const sum = new Map<EntryFault, FeedFault>(this.#ep.faulty.faults);
    for (const [fault, { count, example }] of this.#res.faulty.faults) {
      const known = sum.get(fault);
      sum.set(fault, { count: count + (known?.count ?? 0), example: known?.example ?? example });
    }
    return sum;
  }

  restart(kind?: FeedKind): void {
    for (const half of [this.#ep, this.#res]) {
      if (kind === undefined || kind === half.kind) half.version = null;
    }
  }

  position(): FeedPosition | null {
    const [ep, res] = [this.#ep, this.#res];
    const isWhole = ep.complete && res.complete && ep.seen === null && res.seen === null;
    // What is left out is known only by reading it again.
    if (ep.faulty.faults.size + res.faulty.faults.size > 0) return null;
    if (!isWhole || ep.version === null || res.version === null || ep.staged.size + res.staged.size > 0) return null;
    return ep.version.epoch === res.version.epoch ? { ep: ep.version, res: res.version } : null;
  }

  discard(): void {
    this.#ep.discard();
    this.#res.discard();
  }

  resume(position: FeedPosition): void {
    this.#unheld.assumeOthers();
    for (const half of [this.#ep, this.#res]) {
      half.version = position[half.kind];
      half.complete = true;
    }
  }

  shift(ms: number): void {
    for (const href of [...this.#ep.staged.keys()]) {
      this.#ep.restage(href, (part) => ({
        ...part,
        renewedAtMs: part.renewedAtMs + ms,
        expiresAtMs: part.expiresAtMs + ms,
      }));
    }
  }

  apply(
    kind: FeedKind,
    patch: Uint8Array | string,
    receivedAtMs: number,
    held: HeldRegistrations,
    asked?: AskedAt,
  ): FeedOutcome {
    return atOnce(this.applyInSteps(kind, patch, receivedAtMs, held, asked));
  }

  *applyInSteps(
    kind: FeedKind,
    patch: Uint8Array | string,
    receivedAtMs: number,
    held: HeldRegistrations,
    asked?: AskedAt,
  ): Generator<void, FeedOutcome> {
    const content = yield* parseFeedPatchInSteps(kind, patch, maxPatchBytes(this.#limits));
    if (typeof content === "string") return { kind: "malformed", message: content };
    const { staged, version } = this.#half(kind);
    if (version !== null && staged.size >= (this.#options.maxStaged ?? MAX_STAGED))
      return { kind: "malformed", message: "one feed is too far ahead of the other" };
    const outcome = yield* applyToSparseDocument(kind, content, this.#half(kind), (href, recall) =>
      this.#presentEntry(kind, href, recall, receivedAtMs, held),
    );
    if (outcome.kind !== "applied") return outcome;
    const half = this.#half(kind);
    if (outcome.isFresh) {
      half.startAgain();
      if (kind === "ep") this.#unheld.clear();
    }
    half.version = outcome.version;
    half.complete = outcome.complete;
    const problems: string[] = [];
    const changes: CopyChange[] = [];
    if (kind === "ep") {
      const received = this.#receivedAt(outcome.clock, receivedAtMs, asked);
      yield* this.#takeEndpoints(outcome, received, held, changes, problems);
    }
    if (kind === "res") yield* this.#takeLinks(outcome, problems);
    yield* this.#join(held, changes);
    return { kind: "applied", changes, isComplete: yield* this.#finishCopy(held, changes), problems };
  }

  *confirmInSteps(kind: FeedKind, version: Version, held: HeldRegistrations): Generator<void, FeedOutcome> {
    const half = this.#half(kind);
    const isHeld = half.version?.epoch === version.epoch && half.version.counter === version.counter;
    if (isHeld) half.complete = true;
    const changes: CopyChange[] = [];
    const isComplete = yield* this.#finishCopy(held, changes);
    return { kind: "applied", changes, isComplete, problems: [] };
  }

  #half(kind: FeedKind): FeedHalf<EndpointPart> | FeedHalf<readonly Link[]> {
    return kind === "ep" ? this.#ep : this.#res;
  }

  /** The moment from which the ages in a patch count: on the clock here, and on the wall clock of the RD. */
  #receivedAt(clock: unknown, receivedAtMs: number, asked: AskedAt | undefined): ReceivedAt {
    const reading = parseClockReading(clock);
    if (reading === null) return { receivedAtMs };
    this.#clock.note(reading, receivedAtMs, asked);
    const at = { receivedAtMs: this.#clock.toLocalMs(reading.ms) };
    return reading.wall === undefined ? at : { ...at, stampMs: reading.wall.stampMs };
  }

  *#takeEndpoints(
    outcome: Applied,
    received: ReceivedAt,
    held: HeldRegistrations,
    changes: CopyChange[],
    problems: string[],
  ): Generator<void, void> {
    const context = { ...this.#options, limits: this.#limits, ...received };
    let taken = 0;
    for (const [href, entry] of outcome.entries) {
      if (++taken % ENTRIES_PER_STEP === 0) yield;
      if (outcome.renewedOnly.has(href)) {
        if (this.#isUnheld(href, held)) continue;
        const times = readTimes(entry as Readonly<Record<string, unknown>>, context);
        if (!this.#ep.restage(href, (part) => ({ ...part, ...times }))) {
          changes.push({ kind: "renew", href, ...renewalTimes(times) });
          this.#renewWithLinks(href, times, outcome.version.counter, held);
        }
        continue;
      }
      const part = entry === undefined ? null : readEndpointEntry(href, entry, context);
      if (part !== null && !part.ok && part.isOwn !== true) {
        note(problems, part.message);
        this.#ep.faulty.add(href, part.fault, part.message);
      } else this.#ep.faulty.delete(href);
      this.#unheld.delete(href);
      if (part?.ok) this.#ep.stage(href, part.value, outcome.version.counter);
      else this.#removeEndpoint(href, outcome, held, changes);
      if (part?.ok === false) this.#unheld.add(href);
    }
  }

  #isUnheld(href: string, held: HeldRegistrations): boolean {
    return this.#unheld.mayHave(href) && !this.#ep.staged.has(href) && held.get(href) === undefined;
  }

  /** Links that wait for this moment join the parameters as they are from now on, not those still held. */
  #renewWithLinks(href: string, times: EntryTimes, counter: number, held: HeldRegistrations): void {
    const before = this.#res.staged.has(href) ? held.get(href) : undefined;
    if (before !== undefined) this.#ep.stage(href, { ...before, ...times }, counter);
  }

  /** What the RD does not hold any more is not shown any more: no need to wait for the other feed. */
  #removeEndpoint(href: string, outcome: Applied, held: HeldRegistrations, changes: CopyChange[]): void {
    this.#ep.stage(href, null, outcome.version.counter);
    if (held.get(href) !== undefined) changes.push({ kind: "remove", href });
  }

  *#takeLinks(outcome: Applied, problems: string[]): Generator<void, void> {
    let taken = 0;
    for (const [href, entry] of outcome.entries) {
      if (++taken % ENTRIES_PER_STEP === 0) yield;
      const part = entry === undefined ? null : yield* readLinksEntryInSteps(href, entry, this.#limits);
      const flaw = part === null ? undefined : part.ok ? part.flaw : part;
      if (flaw === undefined) this.#res.faulty.delete(href);
      else {
        note(problems, flaw.message);
        this.#res.faulty.add(href, flaw.fault, flaw.message);
      }
      this.#res.stage(href, part?.ok ? part.value : null, outcome.version.counter);
    }
  }

  /** Hand out what both feeds have reached. */
  *#join(held: HeldRegistrations, changes: CopyChange[]): Generator<void, void> {
    const reached = this.#reachedByBoth();
    if (reached === null) return;
    let looked = 0;
    for (const half of [this.#ep, this.#res]) {
      for (const href of half.takeReached(reached)) {
        if (++looked % ENTRIES_PER_STEP === 0) yield;
        this.#joinOne(href, reached, held, changes);
      }
    }
  }

  #reachedByBoth(): number | null {
    const ep = this.#ep.version;
    const res = this.#res.version;
    return ep === null || res === null || ep.epoch !== res.epoch ? null : Math.min(ep.counter, res.counter);
  }

  #joinOne(href: string, reached: number, held: HeldRegistrations, changes: CopyChange[]): void {
    const endpoint = this.#ep.staged.get(href);
    const links = this.#res.staged.get(href);
    // One half is of a moment that the other feed has not reached: wait for it.
    if ((endpoint?.counter ?? 0) > reached || (links?.counter ?? 0) > reached) return;
    const before = held.get(href);
    const part = endpoint === undefined ? this.#unreported(this.#ep, href, links, before) : receivedFrom(endpoint);
    const list = links === undefined ? this.#unreported(this.#res, href, endpoint, before?.links) : receivedFrom(links);
    // Both feeds send every change: the other half was changed again meanwhile, and both come again.
    if (part === undefined || list === undefined) return;
    this.#ep.unstage(href);
    this.#res.unstage(href);
    if (part !== null && list !== null) {
      if (part === LEFT_OUT || list === LEFT_OUT)
        changes.push({ kind: "leave-out", href, weight: (endpoint?.weight ?? 0) + (links?.weight ?? 0) });
      else changes.push({ kind: "put", registration: { ...part, links: list } });
      return;
    }
    // One half was left out: neither is shown, nor what was held before.
    if (part !== null) this.#unheld.add(href);
    if (before !== undefined) changes.push({ kind: "remove", href });
  }

  /**
   * What `half` has not sent since the other feed sent its half: as it is held, when the other feed only started again; null
   * when there is nothing to wait for; undefined: it is still to come.
   */
  #unreported<T>(
    half: Pick<FeedHalf<unknown>, "covers">,
    href: string,
    staged: Staged<unknown> | undefined,
    before: T | undefined,
  ): T | null | undefined {
    if (staged?.value === null && !staged.isLeftOut) return null;
    return staged?.isOfCopy === true && half.covers(href) ? before : undefined;
  }

  /** After a copy from the start, what the new document does not have is gone. */
  *#finishCopy(held: HeldRegistrations, changes: CopyChange[]): Generator<void, boolean> {
    if (!this.#ep.complete || !this.#res.complete || this.#reachedByBoth() === null) return false;
    const seen = this.#ep.seen;
    if (seen !== null) {
      let looked = 0;
      for (const href of held.hrefs()) {
        if (++looked % HREFS_PER_STEP === 0) yield;
        if (!seen.has(href)) changes.push({ kind: "remove", href });
      }
    }
    for (const half of [this.#ep, this.#res]) {
      if (half.seen === null) continue;
      yield* half.faulty.finishCopy();
      half.seen = null;
      // What waits may be taken as held from now on.
      half.reconsiderAll();
    }
    return true;
  }

  /** What stands for an entry of which nothing is held, where it matters only that it is there. */
  #recallUnheld(href: string, recall: Recall, text: string): string | undefined {
    return recall !== "whole" && this.#unheld.mayHave(href) ? text : undefined;
  }

  /** The entry as the document has it now, as far as operations build on it. */
  #presentEntry(
    kind: FeedKind,
    href: string,
    recall: Recall,
    nowMs: number,
    held: HeldRegistrations,
  ): string | undefined {
    const half = this.#half(kind);
    const staged = half.staged.get(href);
    if (staged !== undefined && staged.value === null) return staged.isLeftOut ? LEFT_OUT_TEXT[kind] : undefined;
    const before = half.covers(href) ? held.get(href) : undefined;
    if (kind === "ep") {
      const part = (staged?.value as EndpointPart | undefined) ?? before;
      if (part === undefined) return this.#recallUnheld(href, recall, '{"lt-age":0,"lt-remaining":0}');
      return recall === "whole" ? endpointEntryText({ ...part, links: [] }, nowMs) : timesText(part, nowMs);
    }
    const links = (staged?.value as readonly Link[] | undefined) ?? before?.links;
    if (links === undefined) return this.#recallUnheld(href, recall, "[]");
    return recall === "whole" ? linksEntryText({ links } as Registration) : "[]";
  }
}

function renewalTimes({ renewedAtMs, expiresAtMs, stampMs }: EntryTimes): RenewalTimes {
  return { renewedAtMs, expiresAtMs, ...(stampMs === undefined ? {} : { stampMs }) };
}

/** Stands for an entry that the feed has and for which there is no room. */
const LEFT_OUT = Symbol("left out");
/** Such an entry as operations on its age and on the whole of it see it. */
const LEFT_OUT_TEXT = { ep: '{"lt-age":0,"lt-remaining":0}', res: "[]" } as const;
const NO_ENDPOINT = { href: "", ep: "", base: "", attributes: [] } as const;
const UNLIMITED: StagingMemory = { take: () => true, give: () => {} };

function receivedFrom<T>({ value, isLeftOut }: Staged<T>): T | null | typeof LEFT_OUT {
  return isLeftOut ? LEFT_OUT : value;
}

function note(problems: string[], message: string): void {
  if (problems.length < MAX_PROBLEMS) problems.push(message);
}
