import type { Criterion } from "@tributary/link-model";
import {
  type Directory,
  FEDERATION_TOLERANCE_MS,
  LargeMap,
  MergeError,
  type RecordLimits,
  type Registration,
  type RenewalTimes,
  recordWeight,
} from "@tributary/merge-engine";
import {
  type AskedAt,
  type ClockReading,
  type CopyChange,
  createFeedReader,
  type FeedKind,
  type FeedOutcome,
  type FeedPosition,
  type FeedReader,
  type HeldRegistrations,
  RemoteClock,
  type Version,
} from "@tributary/replication";
import type { Clock } from "@tributary/runtime";
import {
  BYTES_PER_STAGED,
  CHANGES_PER_STEP,
  CLOCK_UNCERTAINTY_MS,
  MAX_KEPT_ASIDE,
  MAX_STAGED,
  MIN_STAGED,
  STAMPS_APART_MS,
  UNPACKED_FACTOR,
} from "../constants.js";
import type { RestoredCopy } from "../copy-store.js";
import { type LeftOut, NO_LOSSES } from "../left-out.js";
import { contentOf } from "../replicated-content.js";
import { stagingMemory } from "../staging-memory.js";
import { type NoRoomCause, noRoomCause, WithoutRoom } from "../without-room.js";
import { RecordShift } from "./record-shift.js";

export interface FeedCopyOptions {
  readonly source: string;
  /** Who its records count for in the limits of the directory. */
  readonly account: string;
  /** One conjunction per pair of feeds; one empty conjunction for everything. */
  readonly filters: readonly (readonly Criterion[])[];
  readonly assumedLifetimeMs: number;
  readonly limits: RecordLimits;
  readonly defaultSector?: string;
  /** The RD is a lookup proxy; `nodeId` is this node. */
  readonly tier?: { readonly nodeId: string };
  /** What was there before a restart; only a copy without several filters resumes from it. */
  readonly restored?: RestoredCopy;
  /** Called with the position that the copy has reached. */
  readonly onPosition?: (position: FeedPosition) => void;
  /** Called when the feed is copied from the start, because there is room for what was left out. */
  readonly onCopy?: () => void;
  /** Called for a registration that the RD holds and for which there is no room here; undefined: nor for reading it. */
  readonly onLeftOut?: (registration: Registration | undefined) => void;
  /** Called for a registration that the RD does not hold any more, and that is not shown any more either. */
  readonly onGone?: (href: string) => void;
}

/** Reads what came by a feed, with what is held of it. */
type Reading = (held: HeldRegistrations) => Generator<void, FeedOutcome>;

interface Member {
  readonly reader: FeedReader;
  /** Registrations that this pair of feeds has delivered. */
  readonly hrefs: LargeMap<true>;
  isComplete: boolean;
}

/**
 * What an LP holds of an RD through its feed. Outlives connections, so that the next one resumes where the last ended.
 *
 * A record whose lifetime ended here while the RD was out of reach is not shown any more but kept aside: the RD may hold it
 * as renewed, and tells that by its age alone.
 */
export class FeedCopy {
  readonly #directory: Directory;
  readonly #options: FeedCopyOptions;
  readonly #leftOut: LeftOut;
  readonly #members: Member[];
  readonly #ended = new Map<string, Registration>();
  readonly #ownClock: Clock;
  readonly #withoutRoom: WithoutRoom;
  /** Copies the feed from the start, where it is followed. */
  onRoom: () => void = () => {};
  readonly #clock = new RemoteClock();
  readonly #shift: RecordShift;
  #clockRun: number | null = null;
  /** Received after the RD's clock started again and before it was known well: only their times follow when it is known better. */
  #doubtful: Set<string> | null = null;
  readonly #subscriptions: readonly (() => void)[];
  #isApplying = false;
  #isClosed = false;
  /** Readings of the RD's clock that came while a notification was being applied: it counts with what was known before. */
  #readings: Parameters<FeedCopy["noteClock"]>[] = [];

  constructor(directory: Directory, options: FeedCopyOptions, leftOut: LeftOut, clock: Clock) {
    this.#directory = directory;
    this.#options = options;
    this.#leftOut = leftOut;
    this.#ownClock = clock;
    const filters = options.filters.length === 0 ? [[]] : options.filters;
    const { limits } = directory;
    this.#withoutRoom = new WithoutRoom({ limits, leftOut, clock, onRoom: () => this.onRoom() }, options.account);
    const memory = stagingMemory(limits.memory, options.account, (bytes) => this.#giveUpEnded(bytes));
    const maxStaged = Math.max(MIN_STAGED, Math.min(MAX_STAGED, limits.memory.total / BYTES_PER_STAGED));
    const readerOptions = { ...options, clock: this.#clock, memory, maxStaged };
    this.#members = filters.map(() => ({
      reader: createFeedReader(readerOptions),
      hrefs: new LargeMap<true>(),
      isComplete: false,
    }));
    this.#resume(options.restored);
    this.#shift = new RecordShift(clock, (href, ms) => this.#move(href, ms, clock.nowMs()));
    // Records of an earlier configuration go on being shown until the first copy confirms or drops them.
    for (const href of directory.hrefs(options.source)) this.#members[0]?.hrefs.set(href, true);
    this.#subscriptions = [
      directory.on("source", ({ source, kind, cause, href, registration }) => {
        if (source === options.source && kind === "removed" && cause === "expired") this.#keepAside(href, registration);
      }),
      directory.clock.onChange(() => this.#placeStamps(clock.nowMs())),
    ];
  }

  #resume(restored: RestoredCopy | undefined): void {
    const [member] = this.#members;
    if (restored?.position === undefined || member === undefined || this.#members.length > 1) return;
    for (const registration of restored.ended) {
      member.hrefs.set(registration.href, true);
      this.#keepAside(registration.href, registration);
    }
    for (const { href, weight, cause } of restored.withoutRoom) {
      if (href !== "") member.hrefs.set(href, true);
      this.#withoutRoom.add(href, weight, cause);
    }
    member.reader.resume(restored.position);
    member.isComplete = true;
  }

  /** Where a later copy of the same source and filters can go on; null when that is not one position. */
  handOver(): RestoredCopy | null {
    const [one, another] = this.#members;
    const position = another === undefined && one?.isComplete === true ? one.reader.position() : null;
    return position === null ? null : { isComplete: true, position, ended: [...this.#ended.values()], withoutRoom: [] };
  }

  get isComplete(): boolean {
    return this.#members.every(({ isComplete }) => isComplete);
  }

  reader(member: number): FeedReader {
    return (this.#members[member] as Member).reader;
  }

  /**
   * Apply one notification, in steps, one notification at a time; the directory is up to date after the last step. Undefined
   * when this copy is closed meanwhile: nothing is written any more. A notification that is not finished was not reported by
   * `onPosition`, and applying it once more changes nothing.
   */
  *apply(
    member: number,
    kind: FeedKind,
    patch: Uint8Array,
    nowMs: number,
    asked?: AskedAt,
  ): Generator<void, FeedOutcome | undefined> {
    const { reader } = this.#members[member] as Member;
    return yield* this.#work(member, kind, nowMs, (held) => reader.applyInSteps(kind, patch, nowMs, held, asked));
  }

  /** Takes the response that nothing is newer than `version` (2.03). Otherwise as `apply`. */
  *confirm(member: number, kind: FeedKind, version: Version, nowMs: number): Generator<void, FeedOutcome | undefined> {
    const { reader } = this.#members[member] as Member;
    return yield* this.#work(member, kind, nowMs, (held) => reader.confirmInSteps(kind, version, held));
  }

  *#work(member: number, kind: FeedKind, nowMs: number, read: Reading): Generator<void, FeedOutcome | undefined> {
    this.#isApplying = true;
    try {
      const steps = this.#applySteps(member, kind, nowMs, read);
      for (;;) {
        const { done, value } = steps.next();
        if (done === true) return value;
        yield;
        if (this.#isClosed) return undefined;
      }
    } finally {
      this.#isApplying = false;
      for (const reading of this.#readings.splice(0)) this.noteClock(...reading);
    }
  }

  *#applySteps(member: number, kind: FeedKind, nowMs: number, read: Reading): Generator<void, FeedOutcome> {
    const one = this.#members[member] as Member;
    const wasComplete = this.isComplete;
    const outcome = yield* read(this.#held(one));
    this.#followClock(nowMs);
    if (outcome.kind === "malformed")
      this.#leftOut.unreadable(patchPart(kind, member), `feed ${kind}: ${outcome.message}`);
    if (outcome.kind !== "applied") return outcome;
    this.#leftOut.replace(patchPart(kind, member), NO_LOSSES);
    let taken = 0;
    for (const change of outcome.changes) {
      if (++taken % CHANGES_PER_STEP === 0) yield;
      this.#take(one, change, this.#ownClock.nowMs());
    }
    this.#leftOut.replace(`feed ${member}`, one.reader.faults());
    one.isComplete = outcome.isComplete;
    if (this.isComplete && !wasComplete) this.#withoutRoom.finish();
    const position = this.#members.length === 1 ? one.reader.position() : null;
    if (position !== null) this.#options.onPosition?.(position);
    return outcome;
  }

  /** Take a reading of the RD's clock that came in answer to a request. */
  noteClock(reading: ClockReading, receivedAtMs: number, askedAtMs: number): void {
    if (this.#isClosed) return;
    if (this.#isApplying) {
      this.#readings.push([reading, receivedAtMs, askedAtMs]);
      return;
    }
    this.#clock.note(reading, receivedAtMs, { thisMs: askedAtMs });
    this.#followClock(receivedAtMs);
  }

  /** Whether the RD's clock is known well enough, and the RD not behind in federation time. */
  knowsClock(nowMs: number): boolean {
    const time = this.#clock.federationTime(nowMs);
    const isBehind = time !== null && time.mostMs < this.#directory.clock.timeAt(nowMs) - FEDERATION_TOLERANCE_MS;
    return this.#clock.run !== null && this.#clock.uncertaintyMs(nowMs) <= CLOCK_UNCERTAINTY_MS && !isBehind;
  }

  /** Federation time here, for the RD to follow; null: unknown. */
  federationTimeMs(nowMs: number): number | null {
    const { clock } = this.#directory;
    return clock.isSet ? clock.timeAt(nowMs) : null;
  }

  close(): void {
    this.#isClosed = true;
    this.#shift.stop();
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    for (const href of [...this.#ended.keys()]) this.#forgetEnded(href);
    for (const { reader } of this.#members) reader.discard();
    this.#withoutRoom.stop();
    for (const member of this.#members.keys()) {
      this.#leftOut.clear(`feed ${member}`);
      for (const kind of ["ep", "res"] as const) this.#leftOut.clear(patchPart(kind, member));
    }
    this.#leftOut.clear(RECORDS);
  }

  #held(member: Member): HeldRegistrations {
    return {
      get: (href) => {
        if (member.hrefs.has(href)) return this.#get(href) ?? (this.#withoutRoom.has(href) ? LEFT_OUT : undefined);
        return this.#withoutRoom.hasUnnamed ? LEFT_OUT : undefined;
      },
      hrefs: () => member.hrefs.keys(),
    };
  }

  /** Reads everything again, because there is room for more. */
  restart(): void {
    this.#withoutRoom.startAgain();
    this.#options.onCopy?.();
    for (const member of this.#members) {
      member.reader.restart();
      member.isComplete = false;
    }
  }

  #get(href: string): Registration | undefined {
    return this.#directory.get(this.#options.source, href) ?? this.#ended.get(href);
  }

  /** Kept as long as there is memory; what is given up counts as left out, and is copied again when there is room. */
  #keepAside(href: string, registration: Registration): void {
    const { account } = this.#options;
    const { memory } = this.#directory.limits;
    const weight = endedWeight(registration);
    this.#forgetEnded(href);
    if (this.#ended.size >= MAX_KEPT_ASIDE || !memory.fits(account, weight)) {
      this.#leaveOut(href, recordWeight(registration), "memory");
      return;
    }
    memory.add(account, weight);
    this.#ended.set(href, registration);
  }

  #forgetEnded(href: string): boolean {
    const ended = this.#ended.get(href);
    if (ended === undefined) return false;
    this.#ended.delete(href);
    this.#directory.limits.memory.add(this.#options.account, -endedWeight(ended));
    return true;
  }

  #leaveOut(href: string, weight: number, cause: NoRoomCause): void {
    this.#withoutRoom.add(href, weight, cause);
    if (this.#withoutRoom.has(href)) return;
    // What is not known by name is not remembered either.
    for (const { hrefs } of this.#members) hrefs.delete(href);
  }

  /**
   * Federation time here follows that of the RD. While the RD is not there itself, because it follows nobody or its wall clock
   * was set a moment ago, its stamps do not compare with those of others, and what is known of its clock here stands in.
   */
  #followFederation(nowMs: number): void {
    const { clock } = this.#directory;
    clock.follow(this.#ownClock);
    const { wall } = this.#clock;
    const time = this.#clock.federationTime(nowMs);
    if (wall === undefined) return;
    if (wall === null || time === null) {
      this.#directory.setLead(this.#options.source, null, nowMs);
      return;
    }
    clock.observe(time.leastMs, nowMs);
    this.#placeStamps(nowMs);
  }

  /** Decides whether the stamps of the RD compare with those of others; again whenever federation time moves here. */
  #placeStamps(nowMs: number): void {
    const { wall } = this.#clock;
    const time = this.#clock.federationTime(nowMs);
    if (wall === undefined || wall === null || time === null) return;
    const hereMs = this.#directory.clock.timeAt(nowMs);
    const isApart = time.mostMs < hereMs - STAMPS_APART_MS || time.leastMs > hereMs + STAMPS_APART_MS;
    this.#directory.setLead(this.#options.source, isApart ? null : wall.leadMs, nowMs);
  }

  /** What was taken over with a worse idea of the RD's clock gets the times that it should have had. */
  #followClock(nowMs: number): void {
    this.#followFederation(nowMs);
    if (this.#clock.run !== this.#clockRun) {
      this.#clockRun = this.#clock.run;
      this.#doubtful = new Set();
    }
    const ms = this.#clock.takeShiftMs();
    if (ms !== 0) {
      for (const { reader } of this.#members) reader.shift(ms);
      const moved = this.#doubtful === null ? this.#members.map(({ hrefs }) => hrefs) : [this.#doubtful];
      this.#shift.start(
        moved.flatMap((hrefs) => [...hrefs.keys()]),
        ms,
      );
    }
    if (this.#clock.uncertaintyMs(nowMs) <= CLOCK_UNCERTAINTY_MS) this.#doubtful = null;
  }

  #move(href: string, ms: number, nowMs: number): void {
    const record = this.#get(href);
    if (record === undefined || record.expiry !== "exact") return;
    const { stampMs } = record;
    const stamp = stampMs === undefined ? {} : { stampMs };
    const times = { renewedAtMs: record.renewedAtMs + ms, expiresAtMs: record.expiresAtMs + ms, ...stamp };
    this.#renew(href, times, nowMs);
  }

  #renew(href: string, times: RenewalTimes, nowMs: number): void {
    if (this.#directory.renew(this.#options.source, href, times, nowMs)) return;
    const ended = this.#ended.get(href);
    if (ended !== undefined) this.#put({ ...contentOf(ended), ...times }, nowMs);
  }

  #take(member: Member, change: CopyChange, nowMs: number): void {
    const { source } = this.#options;
    const { href } = change.kind === "put" ? change.registration : change;
    if (change.kind === "put" && isLeftOut(change.registration)) return;
    this.#shift.skip(href);
    this.#doubtful?.add(href);
    switch (change.kind) {
      case "put":
        member.hrefs.set(change.registration.href, true);
        this.#put(change.registration, nowMs);
        return;
      case "renew": {
        const { kind: _, href: __, ...times } = change;
        this.#renew(href, times, nowMs);
        return;
      }
      case "remove":
        member.hrefs.delete(change.href);
        this.#leftOut.taken(RECORDS, change.href);
        if (this.#members.some(({ hrefs }) => hrefs.has(change.href))) return;
        if (this.#forgetEnded(href) || (!this.#directory.has(source, href) && this.#withoutRoom.forget(href)))
          this.#options.onGone?.(href);
        this.#directory.remove(source, change.href, nowMs);
        return;
      case "leave-out":
        member.hrefs.set(href, true);
        this.#forgetEnded(href);
        this.#directory.remove(source, href, nowMs);
        this.#leaveOut(href, change.weight, "memory");
        this.#options.onLeftOut?.(undefined);
        return;
      default:
        change satisfies never;
    }
  }

  #put(registration: Registration, nowMs: number): void {
    const { href } = registration;
    const { source } = this.#options;
    this.#forgetEnded(href);
    this.#withoutRoom.delete(href);
    if (registration.expiry === "exact" && registration.expiresAtMs <= nowMs) {
      this.#leftOut.taken(RECORDS, href);
      this.#keepAside(href, registration);
      this.#directory.remove(source, href, nowMs, "expired");
      return;
    }
    try {
      this.#putWhereThereIsRoom(registration, nowMs);
      this.#leftOut.taken(RECORDS, href);
    } catch (error) {
      if (!(error instanceof MergeError)) throw error;
      // The copy was given up because of what came before in the same patch: nothing is held of the upstream any more.
      if (error.code === "UNKNOWN_SOURCE") return;
      const cause = noRoomCause(error);
      // What is shown is not true any more, whatever it was.
      this.#directory.remove(source, href, nowMs);
      if (cause === undefined) {
        this.#keepAside(href, registration);
        this.#leftOut.record(RECORDS, href, "malformed", error.message);
        return;
      }
      this.#leaveOut(href, recordWeight(registration), cause);
      this.#options.onLeftOut?.(registration);
    }
  }

  /** @throws {MergeError} */
  #putWhereThereIsRoom(registration: Registration, nowMs: number): void {
    const { source, account } = this.#options;
    try {
      this.#directory.put(source, registration, nowMs);
    } catch (error) {
      if (!(error instanceof MergeError) || error.code !== "MEMORY_FULL" || this.#ended.size === 0) throw error;
      this.#giveUpEnded(recordWeight(registration));
      if (!this.#directory.limits.memory.fits(account, recordWeight(registration))) throw error;
      this.#directory.put(source, registration, nowMs);
    }
  }

  /** What has ended, and may never be heard of again, gives way to what lives, the oldest first. */
  #giveUpEnded(bytes: number): void {
    for (const [href, registration] of this.#ended) {
      if (this.#directory.limits.memory.fits(this.#options.account, bytes)) return;
      this.#forgetEnded(href);
      this.#leaveOut(href, recordWeight(registration), "memory");
    }
  }
}

/** Stands for what the RD holds and for which there is no room. */
const LEFT_OUT: Registration = {
  ...{ href: "/", ep: "-", base: "-", renewedAtMs: 0, expiresAtMs: 0, expiry: "assumed" },
  attributes: Object.freeze([]),
  links: Object.freeze([]),
};

/** Half of it is what stands for something without room: the other half alone is of no use. */
function isLeftOut({ attributes, links }: Registration): boolean {
  return attributes === LEFT_OUT.attributes || links === LEFT_OUT.links;
}

function endedWeight(registration: Registration): number {
  return UNPACKED_FACTOR * recordWeight(registration);
}

/** Part of what is left out: records that the directory does not take. */
export const RECORDS = "records";

/** Part of what is left out: a notification that said nothing that could be read, until one can. */
function patchPart(kind: FeedKind, member: number): string {
  return `patch ${kind} ${member}`;
}
