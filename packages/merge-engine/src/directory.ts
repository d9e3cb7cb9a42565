import { isAbsoluteUri, isPathAbsolute, type Link, type LookupQuery } from "@tributary/link-model";
import { DEFAULT_MAX_REGISTRATIONS, LARGEST_MAX_REGISTRATIONS } from "./constants.js";
import { MergeError } from "./errors.js";
import type { FederationClock } from "./federation-clock.js";
import { LargeMap } from "./large-map.js";
import { hrefTokenName } from "./lookup/attribute-index.js";
import { type Source, type StoredRecord, snapshot } from "./records/stored-record.js";
import { mayBePassedOver } from "./records/total-order.js";
import { RegistrationBook } from "./registration-book.js";
import { SharedLimit } from "./shared-limit.js";
import type {
  Directory,
  DirectoryCounts,
  DirectoryEvents,
  DirectoryLimits,
  DirectoryOptions,
  LookupInterface,
  LookupOptions,
  Registration,
  RegistrationState,
  RenewalTimes,
  SourcedRegistration,
  SourcedRenewal,
  SourceOptions,
} from "./types.js";

/**
 * Creates an empty directory.
 *
 * Listeners are called when a change has taken effect completely, in the order of changes, even if one of them makes
 * another change. If one throws, the others are notified all the same, the change stands, and the method that made it throws
 * that error at its end.
 *
 * An iteration may be interrupted and continued after changes: registrations that exist throughout are returned exactly once;
 * those that change meanwhile may be returned in either state, or not at all.
 */
export function createDirectory(options: DirectoryOptions = {}): Directory {
  const { maxRegistrations = DEFAULT_MAX_REGISTRATIONS, memory = new SharedLimit(Number.POSITIVE_INFINITY) } = options;
  const registrations =
    typeof maxRegistrations === "number"
      ? new SharedLimit(Math.min(maxRegistrations, LARGEST_MAX_REGISTRATIONS))
      : maxRegistrations;
  return new MergedDirectory({ registrations, memory });
}

class MergedDirectory implements Directory {
  readonly limits: DirectoryLimits;
  readonly #book: RegistrationBook;

  constructor(limits: DirectoryLimits) {
    this.limits = limits;
    this.#book = new RegistrationBook(limits);
  }

  on<E extends keyof DirectoryEvents>(event: E, listener: DirectoryEvents[E]): () => void {
    return this.#book.events.on(event, listener);
  }

  get clock(): FederationClock {
    return this.#book.clock;
  }

  openSource(name: string, { authority, account = name }: SourceOptions): void {
    const known = this.#book.sources.get(name);
    if (known !== undefined) {
      if (known.authority !== authority) this.#book.union.forgetPages();
      known.authority = authority;
    } else {
      const source = {
        name,
        hrefToken: hrefTokenName(name),
        authority,
        account,
        isConnected: false,
        clock: this.#book.clock,
        leadMs: 0,
        records: new LargeMap<StoredRecord>(),
        overdue: new Set<StoredRecord>(),
        shown: 0,
      };
      this.#book.sources.set(name, source);
    }
  }

  setConnected(source: string, isConnected: boolean, nowMs: number): void {
    const { events } = this.#book;
    const known = this.#source(source);
    if (known.isConnected === isConnected) return;
    if (isConnected) {
      // Assumed ends that passed while the source was lost are final.
      this.#book.expire(nowMs);
      known.isConnected = true;
    } else this.#book.disconnect(known);
    this.#book.reconsider(source, nowMs);
    events.post([["connection", source, isConnected]]);
    events.finish();
  }

  lead(source: string): number | null | undefined {
    return this.#book.sources.get(source)?.leadMs;
  }

  setLead(source: string, leadMs: number | null, nowMs: number): void {
    const { events } = this.#book;
    const known = this.#source(source);
    if (known.leadMs === leadMs) return;
    known.leadMs = leadMs;
    this.#book.reconsider(source, nowMs);
    events.post([["retimed", source]]);
    events.finish();
  }

  isConnected(source: string): boolean {
    return this.#book.sources.get(source)?.isConnected ?? false;
  }

  closeSource(source: string, nowMs: number): void {
    const known = this.#book.sources.get(source);
    if (known === undefined) return;
    // First, so that no listener can write to it any more.
    this.#book.sources.delete(source);
    this.#book.clear(known, "source-closed", nowMs);
    this.#book.events.finish();
  }

  sources(): string[] {
    return [...this.#book.sources.keys()];
  }

  put(source: string, registration: Registration, nowMs: number): void {
    const known = this.#source(source);
    assertRegistration(registration);
    this.#book.put(known, registration, nowMs);
    this.#book.events.finish();
  }

  renew(source: string, href: string, times: RenewalTimes, nowMs: number): boolean {
    const record = this.#record(source, href);
    if (record === undefined) return false;
    assertTimes(href, times);
    const isKnown = this.#book.renew(record, times, nowMs);
    this.#book.events.finish();
    return isKnown;
  }

  remove(source: string, href: string, nowMs: number, cause: "removed" | "expired" = "removed"): boolean {
    const record = this.#record(source, href);
    if (record === undefined) return false;
    this.#book.drop(record, cause, nowMs);
    this.#book.events.finish();
    return true;
  }

  get(source: string, href: string): SourcedRegistration | undefined {
    const record = this.#record(source, href);
    return record === undefined ? undefined : snapshot(record);
  }

  has(source: string, href: string): boolean {
    return this.#record(source, href) !== undefined;
  }

  hrefs(source: string): IterableIterator<string> {
    return (this.#book.sources.get(source)?.records ?? new LargeMap<StoredRecord>()).keys();
  }

  expire(nowMs: number, atMost?: number): number {
    const count = this.#book.expire(nowMs, atMost);
    this.#book.events.finish();
    return count;
  }

  nextExpiryMs(): number | undefined {
    return this.#book.heap.earliestMs();
  }

  winner(ep: string, d: string | undefined): SourcedRegistration | undefined {
    const shown = this.#book.keys.get(ep, d)?.shown ?? null;
    return shown === null ? undefined : snapshot(shown);
  }

  candidates(ep: string, d: string | undefined): SourcedRegistration[] {
    const key = this.#book.keys.get(ep, d);
    if (key === undefined || key.shown === null) return [];
    const { shown, records } = key;
    const { shownHref } = shown;
    // Records before the winner have ended, unless the winner came by several routes: then the first live one was decisive.
    const first = records.findIndex(
      (record) => record === shown || record.shownHref === shownHref || mayBePassedOver(record, shown),
    );
    return [shown, ...records.slice(first).filter((record) => record !== shown)].map((record) => snapshot(record));
  }

  renewals(ep: string, d: string | undefined, nowMs: number): SourcedRenewal[] {
    const records = this.#book.keys.get(ep, d)?.records ?? [];
    return records
      .filter((record) => !record.hasEnded(nowMs))
      .map(({ source, orderMs, shownHref, base }) => ({
        source: source.name,
        renewedAtMs: orderMs,
        href: shownHref,
        base,
        isLost: !source.isConnected,
      }));
  }

  isMatch(ep: string, d: string | undefined, renewal: SourcedRenewal, query: LookupQuery, zone?: string): boolean {
    const { source, href } = renewal;
    const records = this.#book.keys.get(ep, d)?.records ?? [];
    const found = records.find((record) => record.source.name === source && record.shownHref === href);
    return found !== undefined && this.#book.union.matches(found, query.criteria, zone);
  }

  *inspect(): Generator<{ registration: SourcedRegistration; state: RegistrationState; stale: boolean }> {
    for (const key of this.#book.union.keys()) {
      for (const record of [...key.records]) {
        const stale = !record.source.isConnected;
        const state = record !== key.shown ? "superseded" : stale ? "stale" : "visible";
        yield { registration: snapshot(record), state, stale };
      }
    }
  }

  lookup(
    kind: LookupInterface,
    query: LookupQuery,
    nowMs: number,
    options: LookupOptions = {},
  ): IterableIterator<Link> {
    return this.#book.union.lookup(kind, query, nowMs, options);
  }

  lookupText(kind: LookupInterface, query: LookupQuery, nowMs: number, options: LookupOptions = {}): string | null {
    return this.#book.union.lookupText(kind, query, nowMs, options);
  }

  lookupInSteps(
    kind: LookupInterface,
    query: LookupQuery,
    nowMs: number,
    options: LookupOptions = {},
  ): IterableIterator<Link | null> {
    return this.#book.union.lookupInSteps(kind, query, nowMs, options);
  }

  select(query: LookupQuery, nowMs: number, options: LookupOptions = {}): IterableIterator<SourcedRegistration> {
    return this.#book.union.select(query.criteria, nowMs, options);
  }

  counts(source?: string): DirectoryCounts {
    const sum = { visible: 0, superseded: 0, stale: 0, total: 0 };
    for (const one of source === undefined ? this.#book.sources.values() : [this.#book.sources.get(source)]) {
      if (one === undefined) continue;
      sum.total += one.records.size;
      sum.visible += one.shown;
      sum.superseded += one.records.size - one.shown;
      if (!one.isConnected) sum.stale += one.records.size;
    }
    return sum;
  }

  get digest(): string {
    return this.#book.digest.toString(16).padStart(12, "0");
  }

  weight(source: string, href: string): number {
    return this.#record(source, href)?.weight ?? 0;
  }

  #source(name: string): Source {
    const source = this.#book.sources.get(name);
    if (source === undefined) throw new MergeError("UNKNOWN_SOURCE", `no source is called ${name}`);
    return source;
  }

  #record(source: string, href: string): StoredRecord | undefined {
    return this.#book.sources.get(source)?.records.get(href);
  }
}

function assertRegistration(registration: Registration): void {
  const { href, ep, base } = registration;
  if (!isPathAbsolute(href) && !isAbsoluteUri(href)) {
    throw new MergeError("BAD_REGISTRATION", `the registration resource is neither a path nor a URI: ${href}`);
  }
  if (ep === "") throw new MergeError("BAD_REGISTRATION", `registration ${href} has no endpoint name`);
  if (base === "") throw new MergeError("BAD_REGISTRATION", `registration ${href} has no base`);
  assertTimes(href, registration);
}

function assertTimes(href: string, times: RenewalTimes): void {
  const { renewedAtMs, expiresAtMs, stampMs = 0 } = times;
  if (!Number.isFinite(renewedAtMs) || Number.isNaN(expiresAtMs) || !Number.isFinite(stampMs)) {
    throw new MergeError("BAD_REGISTRATION", `registration ${href} has a time that is no number`);
  }
}
