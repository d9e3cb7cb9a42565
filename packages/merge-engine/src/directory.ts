import type { Attribute, Link, LookupQuery } from "@tributary/link-model";
import { EventEmitter } from "eventemitter3";
import { DEFAULT_MAX_REGISTRATIONS } from "./constants.js";
import { MergeError } from "./errors.js";
import { ExpiryHeap } from "./expiry-heap.js";
import { KeyTable } from "./key-table.js";
import { compactLinks, type Source, StoredRecord } from "./stored-record.js";
import { StringPool } from "./string-pool.js";
import { comparePrecedence } from "./total-order.js";
import type {
  ChangeCause,
  Directory,
  DirectoryCounts,
  DirectoryEvents,
  DirectoryOptions,
  LookupInterface,
  LookupOptions,
  Registration,
  RegistrationState,
  SourceChange,
  SourcedRegistration,
  SourceOptions,
  VisibleChange,
} from "./types.js";
import { VisibleUnion } from "./visible-union.js";

/**
 * Make an empty directory. Listeners are called after a change took effect completely; what they throw reaches the caller
 * of the change, which stands all the same.
 */
export function createDirectory(options: DirectoryOptions = {}): Directory {
  return new MergedDirectory(options.maxRegistrations ?? DEFAULT_MAX_REGISTRATIONS);
}

class MergedDirectory implements Directory {
  readonly #maxRegistrations: number;
  readonly #events = new EventEmitter<DirectoryEvents>();
  readonly #sources = new Map<string, Source>();
  readonly #keys = new KeyTable();
  readonly #union = new VisibleUnion();
  readonly #heap = new ExpiryHeap();
  readonly #pool = new StringPool();
  #total = 0;

  constructor(maxRegistrations: number) {
    this.#maxRegistrations = maxRegistrations;
  }

  on<E extends keyof DirectoryEvents>(event: E, listener: DirectoryEvents[E]): () => void {
    const untyped = listener as (...args: never[]) => void;
    this.#events.on(event, untyped as never);
    return () => this.#events.off(event, untyped as never);
  }

  openSource(name: string, { authority }: SourceOptions): void {
    const known = this.#sources.get(name);
    if (known === undefined) {
      this.#sources.set(name, { name, authority, isConnected: false, records: new Map(), shown: 0 });
    } else if (known.authority !== authority) this.#moveAuthority(known, authority);
  }

  setConnected(source: string, isConnected: boolean, nowMs: number): void {
    const known = this.#source(source);
    if (known.isConnected === isConnected) return;
    this.expire(nowMs);
    known.isConnected = isConnected;
    if (!isConnected) for (const record of known.records.values()) this.#heap.schedule(record);
    this.#events.emit("connection", source, isConnected);
  }

  isConnected(source: string): boolean {
    return this.#sources.get(source)?.isConnected ?? false;
  }

  closeSource(source: string, nowMs: number): void {
    const known = this.#sources.get(source);
    if (known === undefined) return;
    for (const record of [...known.records.values()]) this.#drop(record, "source-closed", nowMs);
    this.#sources.delete(source);
  }

  sources(): string[] {
    return [...this.#sources.keys()];
  }

  put(source: string, registration: Registration, nowMs: number): void {
    const known = this.#source(source);
    assertRegistration(registration);
    const record = known.records.get(registration.href);
    if (record === undefined) this.#add(known, registration, nowMs);
    else this.#replace(record, registration, nowMs);
  }

  renew(
    source: string,
    href: string,
    times: Pick<Registration, "renewedAtMs" | "expiresAtMs">,
    nowMs: number,
  ): boolean {
    const record = this.#sources.get(source)?.records.get(href);
    if (record === undefined) return false;
    if (record.renewedAtMs === times.renewedAtMs && record.expiresAtMs === times.expiresAtMs) return true;
    const before = record.key.shown?.view();
    this.#setTimes(record, times);
    const shown = this.#settle(record, before, "renewed", nowMs);
    this.#emitSource("renewed", record, false, false, "renewed", nowMs);
    this.#emitVisible(shown);
    return true;
  }

  remove(source: string, href: string, nowMs: number, cause: "removed" | "expired" = "removed"): boolean {
    const record = this.#sources.get(source)?.records.get(href);
    if (record === undefined) return false;
    this.#drop(record, cause, nowMs);
    return true;
  }

  get(source: string, href: string): SourcedRegistration | undefined {
    return this.#sources.get(source)?.records.get(href)?.view();
  }

  has(source: string, href: string): boolean {
    return this.#sources.get(source)?.records.has(href) ?? false;
  }

  hrefs(source: string): IterableIterator<string> {
    return (this.#sources.get(source)?.records ?? new Map<string, StoredRecord>()).keys();
  }

  expire(nowMs: number): number {
    let count = 0;
    for (let record = this.#heap.take(nowMs); record !== undefined; record = this.#heap.take(nowMs)) {
      if (record.expiresAtMs > nowMs) this.#heap.schedule(record);
      // An assumed record of a connected source is scheduled again when the connection is lost.
      else if (record.endsByItself) {
        this.#drop(record, "expired", nowMs);
        count++;
      }
    }
    return count;
  }

  nextExpiryMs(): number | undefined {
    return this.#heap.earliestMs();
  }

  winner(ep: string, d: string | undefined): SourcedRegistration | undefined {
    return this.#keys.get(ep, d)?.shown?.view();
  }

  candidates(ep: string, d: string | undefined): SourcedRegistration[] {
    return [...(this.#keys.get(ep, d)?.records ?? [])].sort(comparePrecedence).map((record) => record.view());
  }

  *inspect(): Generator<{ registration: SourcedRegistration; state: RegistrationState; stale: boolean }> {
    for (const key of this.#union.keys()) {
      for (const record of [...key.records].sort(comparePrecedence)) {
        const stale = !record.source.isConnected;
        const state = record !== key.shown ? "superseded" : stale ? "stale" : "visible";
        yield { registration: record.view(), state, stale };
      }
    }
  }

  lookup(
    kind: LookupInterface,
    query: LookupQuery,
    nowMs: number,
    options: LookupOptions = {},
  ): IterableIterator<Link> {
    this.expire(nowMs);
    return this.#union.lookup(kind, query, options);
  }

  select(query: LookupQuery, nowMs: number, options: LookupOptions = {}): IterableIterator<SourcedRegistration> {
    this.expire(nowMs);
    return this.#union.select(query.criteria, options);
  }

  counts(source?: string): DirectoryCounts {
    const sources = source === undefined ? [...this.#sources.values()] : [this.#sources.get(source)];
    const sum = { visible: 0, superseded: 0, stale: 0, total: 0 };
    for (const one of sources) {
      if (one === undefined) continue;
      sum.total += one.records.size;
      sum.visible += one.shown;
      sum.superseded += one.records.size - one.shown;
      if (!one.isConnected) sum.stale += one.records.size;
    }
    return sum;
  }

  #source(name: string): Source {
    const source = this.#sources.get(name);
    if (source === undefined) throw new MergeError("UNKNOWN_SOURCE", `no source is called ${name}`);
    return source;
  }

  #add(source: Source, registration: Registration, nowMs: number): void {
    if (this.#total >= this.#maxRegistrations) {
      throw new MergeError("DIRECTORY_FULL", `the directory holds ${this.#maxRegistrations} registrations`);
    }
    const key = this.#keys.open(this.#pool.intern(registration.ep), internOptional(this.#pool, registration.d));
    const before = key.shown?.view();
    const record = new StoredRecord(source, key, registration, this.#pool);
    key.records.push(record);
    source.records.set(record.href, record);
    this.#total++;
    this.#heap.schedule(record);
    const shown = this.#settle(record, before, "registered", nowMs);
    this.#emitSource("added", record, true, true, "registered", nowMs);
    this.#emitVisible(shown);
  }

  #replace(record: StoredRecord, registration: Registration, nowMs: number): void {
    const links = compactLinks(registration.links);
    const linksChanged = !isDeepEqual(links, record.compactLinks);
    const isSameKey = record.key.ep === registration.ep && record.key.d === registration.d;
    const endpointChanged = !isSameKey || !isSameEndpoint(record, registration);
    if (!endpointChanged && !linksChanged) {
      this.renew(record.source.name, record.href, registration, nowMs);
      return;
    }
    if (!isSameKey) {
      // The path was given to another endpoint: for the key that is a removal and a registration.
      this.#drop(record, "removed", nowMs);
      this.#add(record.source, registration, nowMs);
      return;
    }
    const before = record.key.shown?.view();
    record.base = this.#pool.intern(registration.base);
    record.attributes = this.#pool.internAttributes(registration.attributes);
    record.compactLinks = links;
    record.ltMs = registration.ltMs;
    record.expiry = registration.expiry;
    record.zone = registration.zone;
    this.#setTimes(record, registration);
    const shown = this.#settle(record, before, "updated", nowMs);
    this.#emitSource("replaced", record, endpointChanged, linksChanged, "updated", nowMs);
    this.#emitVisible(shown);
  }

  #setTimes(record: StoredRecord, times: Pick<Registration, "renewedAtMs" | "expiresAtMs">): void {
    record.renewedAtMs = times.renewedAtMs;
    record.expiresAtMs = times.expiresAtMs;
    this.#heap.schedule(record);
  }

  #drop(record: StoredRecord, cause: ChangeCause, nowMs: number): void {
    const { key, source } = record;
    const before = key.shown?.view();
    key.records.splice(key.records.indexOf(record), 1);
    source.records.delete(record.href);
    this.#heap.forget(record);
    this.#total--;
    const shown = this.#settle(record, before, cause, nowMs);
    this.#emitSource("removed", record, true, true, cause, nowMs);
    this.#emitVisible(shown);
  }

  /** Show what rule 1 says for the key of `changed`, after `before` was shown; returns what that changed for readers. */
  #settle(
    changed: StoredRecord,
    before: SourcedRegistration | undefined,
    cause: ChangeCause,
    atMs: number,
  ): VisibleChange | null {
    const { key } = changed;
    const previous = key.shown;
    const winner = best(key.records);
    key.shown = winner;
    if (winner === null) this.#keys.close(key);
    if (previous === winner && winner !== changed) return null; // A loser changed.
    if (previous !== winner) {
      if (previous !== null) previous.source.shown--;
      if (winner !== null) winner.source.shown++;
    }
    const after = winner?.view();
    if (cause !== "renewed" || previous !== winner) {
      if (before !== undefined) this.#union.hide(key, before, winner === null);
      if (after !== undefined) this.#union.show(key, after);
    }
    return {
      cause: visibleCause(cause, previous, winner, changed),
      ep: key.ep,
      ...(key.d === undefined ? {} : { d: key.d }),
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
      atMs,
    };
  }

  #emitVisible(change: VisibleChange | null): void {
    if (change !== null) this.#events.emit("visible", change);
  }

  #emitSource(
    kind: SourceChange["kind"],
    record: StoredRecord,
    endpointChanged: boolean,
    linksChanged: boolean,
    cause: ChangeCause,
    atMs: number,
  ): void {
    if (this.#events.listenerCount("source") === 0) return;
    const registration = record.view();
    const { source, href } = registration;
    this.#events.emit("source", { source, href, kind, endpointChanged, linksChanged, cause, registration, atMs });
  }

  #moveAuthority(source: Source, authority: string | null): void {
    const shown = [...source.records.values()].filter((record) => record.key.shown === record);
    for (const { key } of shown) this.#union.hide(key, (key.shown as StoredRecord).view(), false);
    source.authority = authority;
    for (const { key } of shown) this.#union.show(key, (key.shown as StoredRecord).view());
  }
}

/** The record that rule 1 prefers. */
function best(records: readonly StoredRecord[]): StoredRecord | null {
  let winner: StoredRecord | null = null;
  for (const record of records) if (winner === null || comparePrecedence(record, winner) < 0) winner = record;
  return winner;
}

function visibleCause(
  cause: ChangeCause,
  previous: StoredRecord | null,
  winner: StoredRecord | null,
  changed: StoredRecord,
): ChangeCause {
  if (previous === null || previous === winner || winner === null) return cause;
  // The winner went: another is shown in its place. Or it was overtaken.
  return previous === changed && (cause === "removed" || cause === "expired" || cause === "source-closed")
    ? "returned"
    : "superseded";
}

function assertRegistration({ href, ep, base }: Registration): void {
  if (href.charCodeAt(0) !== 0x2f || href.charCodeAt(1) === 0x2f) {
    throw new MergeError("BAD_REGISTRATION", `the registration resource is not an absolute path: ${href}`);
  }
  if (ep === "") throw new MergeError("BAD_REGISTRATION", `registration ${href} has no endpoint name`);
  if (base === "") throw new MergeError("BAD_REGISTRATION", `registration ${href} has no base`);
}

function isSameEndpoint(record: StoredRecord, registration: Registration): boolean {
  return (
    record.base === registration.base &&
    record.ltMs === registration.ltMs &&
    record.expiry === registration.expiry &&
    record.zone === registration.zone &&
    isDeepEqual(record.attributes, registration.attributes)
  );
}

function isDeepEqual(
  a: string | readonly Link[] | readonly Attribute[],
  b: string | readonly Link[] | readonly Attribute[],
): boolean {
  return a === b || (typeof a !== "string" && typeof b !== "string" && JSON.stringify(a) === JSON.stringify(b));
}

function internOptional(pool: StringPool, text: string | undefined): string | undefined {
  return text === undefined ? undefined : pool.intern(text);
}
