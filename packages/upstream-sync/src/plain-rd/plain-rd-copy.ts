import { type Criterion, type Link, originOf } from "@tributary/link-model";
import {
  type Directory,
  MergeError,
  type RecordLimits,
  type Registration,
  recordWeight,
  registrationMatches,
  type TakenLinks,
  takeLinks,
} from "@tributary/merge-engine";
import type { Clock } from "@tributary/runtime";
import { AGE_PROOF_MS, AGE_TOLERANCE_MS, EXTENSION_SHARE, UNPACKED_FACTOR } from "../constants.js";
import { RECORDS } from "../feed/feed-copy.js";
import type { LeftOut } from "../left-out.js";
import { type NoRoomCause, noRoomCause, WithoutRoom } from "../without-room.js";
import { ENTRIES_PER_STEP, type EndpointEntry, LinkCounts } from "./lookup-documents.js";

export interface PlainRdCopyOptions {
  readonly source: string;
  /** Who its records count for in the limits of the directory. */
  readonly account: string;
  readonly filters: readonly (readonly Criterion[])[];
  readonly assumedLifetimeMs: number;
  readonly limits: RecordLimits;
}

/** Part of what is left out: links of registrations, or registrations because of their links. */
const LINKS = "links of registrations";
const NO_LINKS: TakenLinks = { links: [] };

interface Record {
  endpoint: EndpointEntry;
  /** null until they were asked for. */
  links: readonly Link[] | null;
  /** What of them is shown. */
  taken: TakenLinks;
  /** When it appeared or last changed here; stands in for the renewal that such an RD does not tell (decision 4). */
  changedAtMs: number;
  seenAtMs: number;
  /** Bytes that it takes here, besides the directory. */
  weight: number;
  /** There is no room for its links, or for showing it. */
  hasNoRoom: boolean;
  /** First reading of the age that it shows now. */
  firstAge: { readonly ageS: number; readonly atMs: number } | null;
}

/** What an LP holds of an RD that it follows by its lookups. */
export class PlainRdCopy {
  readonly #directory: Directory;
  readonly #options: PlainRdCopyOptions;
  readonly #leftOut: LeftOut;
  readonly #records = new Map<string, Record>();
  /** An age was seen to advance as time does: it is the RD's own, not something that a client stored. */
  isAgeTrusted = false;
  /** All links that are held, counted. */
  readonly #held = new LinkCounts();
  /** By what the resource lookup is known to differ from all links that are held. */
  #orphans = new LinkCounts();

  readonly #withoutRoom: WithoutRoom;
  /** Bytes that all records take here. */
  #weight = 0;
  #isClosed = false;

  constructor(directory: Directory, options: PlainRdCopyOptions, leftOut: LeftOut, clock: Clock) {
    this.#directory = directory;
    this.#options = options;
    this.#leftOut = leftOut;
    const { limits } = directory;
    // What has no room is requested again with the next document.
    const onRoom = (): void => {
      this.#withoutRoom.startAgain();
      for (const record of this.#records.values()) record.hasNoRoom = false;
    };
    this.#withoutRoom = new WithoutRoom({ limits, leftOut, clock, onRoom }, options.account);
  }

  /** Nothing is held this way any more; what the directory has of it stays. */
  close(): void {
    for (const part of [RECORDS, LINKS]) this.#leftOut.clear(part);
    this.#withoutRoom.stop();
    this.#directory.limits.memory.add(this.#options.account, -this.#weight);
    this.#weight = 0;
    this.#isClosed = true;
  }

  /** Some of what the RD holds has no room here: its links are not known, and no comparison of all links can come out even. */
  get isShort(): boolean {
    return this.#withoutRoom.size > 0;
  }

  get size(): number {
    return this.#records.size;
  }

  /** Whether any registration that is held stands in a document as the registration of the same endpoint. */
  hasAnyOf(endpoints: ReadonlyMap<string, EndpointEntry>): boolean {
    for (const { href, ep, d } of endpoints.values()) {
      const held = this.#records.get(href)?.endpoint;
      if (held !== undefined && held.ep === ep && held.d === d) return true;
    }
    return false;
  }

  /**
   * Take over an endpoint document; returns the registrations whose links have to be asked for. What a document that is not
   * whole does not show stays.
   */
  *takeEndpoints(
    endpoints: ReadonlyMap<string, EndpointEntry>,
    isWhole: boolean,
    nowMs: number,
  ): Generator<void, { toAttribute: EndpointEntry[]; changes: number }> {
    let changes = isWhole ? yield* this.forgetOthers(endpoints, nowMs) : 0;
    let looked = 0;
    if (isWhole) this.#withoutRoom.forgetUnnamed();
    for (const endpoint of endpoints.values()) {
      if (++looked % ENTRIES_PER_STEP === 0) yield;
      if (this.#takeEndpoint(endpoint, nowMs)) changes++;
    }
    this.#withoutRoom.finish();
    return { toAttribute: yield* this.unattributed(), changes };
  }

  /**
   * Forget whatever is not among `endpoints`; how many there were. What the directory holds besides comes from an earlier
   * configuration of this upstream.
   */
  *forgetOthers(endpoints: ReadonlyMap<string, EndpointEntry>, nowMs: number): Generator<void, number> {
    let forgotten = 0;
    let looked = 0;
    for (const hrefs of [this.#records.keys(), this.#directory.hrefs(this.#options.source)]) {
      for (const href of hrefs) {
        if (++looked % ENTRIES_PER_STEP === 0) yield;
        if (endpoints.has(href)) continue;
        this.#forget(href, nowMs);
        forgotten++;
      }
    }
    return forgotten;
  }

  /** Take over the links of registrations, in steps; true when anything changed. */
  *takeLinks(links: ReadonlyMap<string, readonly Link[]>, nowMs: number): Generator<void, boolean> {
    let isChanged = false;
    let looked = 0;
    for (const [href, list] of links) {
      if (++looked % ENTRIES_PER_STEP === 0 || list.length > ENTRIES_PER_STEP) yield;
      if (this.#takeLinksOf(href, list, nowMs)) isChanged = true;
    }
    return isChanged;
  }

  /**
   * Give the place of all that is held to `endpoints`, each with its links in one step, also where it has the path of another;
   * the rest is forgotten last.
   */
  *replace(
    endpoints: ReadonlyMap<string, EndpointEntry>,
    links: ReadonlyMap<string, readonly Link[]>,
    nowMs: number,
  ): Generator<void, void> {
    let looked = 0;
    for (const endpoint of endpoints.values()) {
      const list = links.get(endpoint.href);
      if (++looked % ENTRIES_PER_STEP === 0 || (list?.length ?? 0) > ENTRIES_PER_STEP) yield;
      this.#takeEndpoint(endpoint, nowMs);
      if (list !== undefined) this.#takeLinksOf(endpoint.href, list, nowMs);
    }
    yield* this.forgetOthers(endpoints, nowMs);
  }

  #takeLinksOf(href: string, list: readonly Link[], nowMs: number): boolean {
    const record = this.#records.get(href);
    if (record === undefined || (record.links !== null && isSameLinks(record.links, list))) return false;
    const hadLinks = record.links !== null;
    this.#dropLinks(record);
    if (!this.#takeMemory(record, list)) {
      this.#directory.remove(this.#options.source, href, nowMs);
      return hadLinks;
    }
    for (const link of list) this.#held.add(link, 1);
    if (hadLinks) record.changedAtMs = nowMs;
    record.links = list;
    record.taken = takeLinks(list, this.#options.limits);
    this.#show(record, nowMs);
    return true;
  }

  /**
   * Compare with the whole resource document: undefined when both say the same, else the registrations to ask for again:
   * those with a link that is gone, and those from whose base a new link comes. None when nothing points anywhere.
   */
  *suspects(whole: readonly Link[]): Generator<void, EndpointEntry[] | undefined> {
    const rest = yield* this.#remainder(whole);
    yield* rest.subtract(this.#orphans);
    if (rest.isEmpty) return undefined;
    const added = new Set<string | undefined>();
    let looked = 0;
    for (const link of whole) {
      if (++looked % ENTRIES_PER_STEP === 0) yield;
      if (rest.count(link) > 0) added.add(originOf(link.target));
    }
    const suspects: EndpointEntry[] = [];
    for (const { endpoint, links } of this.#records.values()) {
      if (++looked % ENTRIES_PER_STEP === 0) yield;
      const isSuspect = added.has(originOf(endpoint.base)) || links?.some((link) => rest.count(link) < 0) === true;
      if (isSuspect) suspects.push(endpoint);
    }
    return suspects;
  }

  /** What differs even now is the way of this RD: links of no registration, or links that it does not list. True if any. */
  *acceptDifferences(whole: readonly Link[]): Generator<void, boolean> {
    this.#orphans = yield* this.#remainder(whole);
    return !this.#orphans.isEmpty;
  }

  /** How many more links its resource lookup is known to list than its registrations have. */
  get orphans(): number {
    return Math.max(0, this.#orphans.sum);
  }

  *#remainder(whole: readonly Link[]): Generator<void, LinkCounts> {
    const rest = new LinkCounts();
    yield* rest.addAll(whole);
    yield* rest.subtract(this.#held);
    return rest;
  }

  /** The links of a registration, unless they are not known. */
  linksOf(href: string): readonly Link[] | undefined {
    return this.#records.get(href)?.links ?? undefined;
  }

  /** What was taken for the links of all registrations was found in a way that is wrong. Those that are shown keep nothing of it. */
  *takeBackLinks(nowMs: number): Generator<void, void> {
    let looked = 0;
    for (const record of this.#records.values()) {
      if (++looked % ENTRIES_PER_STEP === 0) yield;
      if (record.links === null) continue;
      this.#dropLinks(record);
      record.changedAtMs = nowMs;
    }
  }

  /** Show registrations whose links could not be found out without any. */
  *showUnattributed(nowMs: number): Generator<void, void> {
    let looked = 0;
    for (const record of this.#records.values()) {
      if (++looked % ENTRIES_PER_STEP === 0) yield;
      if (record.links === null && !record.hasNoRoom) this.#show(record, nowMs);
    }
  }

  endpoints(): EndpointEntry[] {
    return [...this.#records.values()].map(({ endpoint }) => endpoint);
  }

  /** Registrations whose links could not be read yet. */
  *unattributed(): Generator<void, EndpointEntry[]> {
    const found: EndpointEntry[] = [];
    let looked = 0;
    for (const { endpoint, links, hasNoRoom } of this.#records.values()) {
      if (++looked % ENTRIES_PER_STEP === 0) yield;
      if (links === null && !hasNoRoom) found.push(endpoint);
    }
    return found;
  }

  /** True when the entry is new or different. */
  #takeEndpoint(endpoint: EndpointEntry, nowMs: number): boolean {
    const known = this.#records.get(endpoint.href);
    if (known !== undefined && known.endpoint.ep === endpoint.ep && known.endpoint.d === endpoint.d) {
      const isChanged = !isSameEndpoint(known.endpoint, endpoint);
      if (isChanged) {
        known.changedAtMs = nowMs;
        // A changed base moves every relative link.
        if (known.endpoint.base !== endpoint.base) this.#dropLinks(known);
      }
      this.#noteAge(known, endpoint, nowMs);
      known.endpoint = endpoint;
      known.seenAtMs = nowMs;
      if (known.links !== null) this.#show(known, nowMs);
      // Counted again, where it is one of very many.
      else if (known.hasNoRoom && !this.#withoutRoom.has(endpoint.href))
        this.#withoutRoom.add(endpoint.href, 0, "memory");
      return isChanged;
    }
    // The path was given to another endpoint: another registration, whatever was known under this path.
    if (known !== undefined) this.#forget(endpoint.href, nowMs);
    if (this.#withoutRoom.has(endpoint.href)) return false;
    const record: Record = {
      endpoint,
      links: null,
      taken: NO_LINKS,
      changedAtMs: nowMs,
      seenAtMs: nowMs,
      firstAge: null,
      weight: 0,
      hasNoRoom: false,
    };
    this.#noteAge(record, endpoint, nowMs);
    this.#records.set(endpoint.href, record);
    if (!this.#takeMemory(record, [])) this.#records.delete(endpoint.href);
    return true;
  }

  #noteAge(record: Record, { ageS }: EndpointEntry, nowMs: number): void {
    if (ageS === undefined) {
      record.firstAge = null;
      return;
    }
    const first = record.firstAge;
    if (first === null || ageS < first.ageS) {
      record.firstAge = { ageS, atMs: nowMs };
      return;
    }
    const elapsedMs = nowMs - first.atMs;
    if (elapsedMs >= AGE_PROOF_MS && Math.abs((ageS - first.ageS) * 1000 - elapsedMs) <= AGE_TOLERANCE_MS)
      this.isAgeTrusted = true;
  }

  /** Counts what a record takes with these links; false: there is no memory for it, here and in the directory. */
  #takeMemory(record: Record, links: readonly Link[]): boolean {
    const { account } = this.#options;
    const { memory } = this.#directory.limits;
    const { href, ep, base, attributes } = record.endpoint;
    const shown = recordWeight({ href, ep, base, attributes, links });
    const weight = UNPACKED_FACTOR * shown;
    if (!memory.fits(account, weight + shown - record.weight - this.#directory.weight(this.#options.source, href))) {
      this.#setWeight(record, 0);
      record.hasNoRoom = true;
      this.#withoutRoom.add(href, weight + shown, "memory");
      return false;
    }
    record.hasNoRoom = false;
    this.#withoutRoom.delete(href);
    this.#setWeight(record, weight);
    return true;
  }

  #setWeight(record: Record, weight: number): void {
    const growth = weight - record.weight;
    record.weight = weight;
    // It may be closed in the middle of a pass, by what that leaves out.
    if (this.#isClosed) return;
    this.#weight += growth;
    this.#directory.limits.memory.add(this.#options.account, growth);
  }

  #dropLinks(record: Record): void {
    for (const link of record.links ?? []) this.#held.add(link, -1);
    record.links = null;
    record.taken = NO_LINKS;
  }

  #forget(href: string, nowMs: number): void {
    const record = this.#records.get(href);
    if (record !== undefined) {
      this.#dropLinks(record);
      this.#setWeight(record, 0);
    }
    this.#withoutRoom.delete(href);
    this.#records.delete(href);
    for (const part of [RECORDS, LINKS]) this.#leftOut.taken(part, href);
    this.#directory.remove(this.#options.source, href, nowMs);
  }

  #show(record: Record, nowMs: number): void {
    if (this.#isClosed) return;
    const { href } = record.endpoint;
    const { links, fault } = record.taken;
    if (fault === undefined) this.#leftOut.taken(LINKS, href);
    else this.#leftOut.record(LINKS, href, fault.fault, `registration ${href} ${fault.message}`);
    if (links === null) {
      this.#leftOut.taken(RECORDS, href);
      this.#directory.remove(this.#options.source, href, nowMs);
      return;
    }
    const registration = this.#registration(record);
    const { source, filters } = this.#options;
    if (filters.length > 0 && !filters.some((criteria) => registrationMatches(criteria, registration))) {
      this.#directory.remove(source, registration.href, nowMs);
      return;
    }
    const shown = this.#directory.get(source, registration.href);
    if (shown !== undefined && isSameContent(shown, registration)) {
      if (!this.#isMereExtension(shown, registration)) this.#directory.renew(source, shown.href, registration, nowMs);
      return;
    }
    try {
      this.#directory.put(source, registration, nowMs);
      this.#leftOut.taken(RECORDS, registration.href);
    } catch (error) {
      if (!(error instanceof MergeError)) throw error;
      const cause = noRoomCause(error);
      if (cause === undefined) this.#leftOut.record(RECORDS, registration.href, "malformed", error.message);
      else this.#dropFor(record, cause, nowMs);
    }
  }

  /** There is no room for a record: nothing of it is kept but its name. */
  #dropFor(record: Record, cause: NoRoomCause, nowMs: number): void {
    const { href } = record.endpoint;
    const weight = record.weight;
    this.#dropLinks(record);
    this.#setWeight(record, 0);
    this.#directory.remove(this.#options.source, href, nowMs);
    record.hasNoRoom = true;
    this.#withoutRoom.add(href, weight, cause);
  }

  /** Being seen again extends a record; that is worth telling only now and then. */
  #isMereExtension(shown: Registration, registration: Registration): boolean {
    if (registration.expiry === "exact")
      return Math.abs(registration.renewedAtMs - shown.renewedAtMs) <= AGE_TOLERANCE_MS;
    const lifetimeMs = registration.ltMs ?? this.#options.assumedLifetimeMs;
    return (
      registration.renewedAtMs === shown.renewedAtMs &&
      registration.expiresAtMs - shown.expiresAtMs <= lifetimeMs * EXTENSION_SHARE
    );
  }

  #registration({ endpoint, taken, changedAtMs, seenAtMs }: Record): Registration {
    const { href, ep, d, base, attributes, ltS, ageS } = endpoint;
    const ltMs = ltS === undefined ? undefined : ltS * 1000;
    const isExact = this.isAgeTrusted && ageS !== undefined && ltMs !== undefined;
    const renewedAtMs = this.isAgeTrusted && ageS !== undefined ? seenAtMs - ageS * 1000 : changedAtMs;
    return {
      href,
      ep,
      ...(d === undefined ? {} : { d }),
      base,
      attributes,
      links: taken.links ?? [],
      ...(ltMs === undefined ? {} : { ltMs }),
      renewedAtMs,
      // Without an age it may have been renewed the moment that it was seen (design section 4).
      expiresAtMs: isExact ? renewedAtMs + ltMs : seenAtMs + (ltMs ?? this.#options.assumedLifetimeMs),
      expiry: isExact ? "exact" : "assumed",
    };
  }
}

/** Both say the same but for their times. */
function isSameContent(a: Registration, b: Registration): boolean {
  return (
    a.ep === b.ep &&
    a.d === b.d &&
    a.base === b.base &&
    a.ltMs === b.ltMs &&
    a.expiry === b.expiry &&
    isSameLinks(a.links, b.links) &&
    JSON.stringify(a.attributes) === JSON.stringify(b.attributes)
  );
}

function isSameEndpoint(a: EndpointEntry, b: EndpointEntry): boolean {
  return a.base === b.base && a.ltS === b.ltS && JSON.stringify(a.attributes) === JSON.stringify(b.attributes);
}

function isSameLinks(a: readonly Link[], b: readonly Link[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
