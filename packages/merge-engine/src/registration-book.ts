import { ChangeEvents, type Notice } from "./change-events.js";
import { MergeError } from "./errors.js";
import { FederationClock } from "./federation-clock.js";
import { type TokenList, tokensOf } from "./lookup/attribute-index.js";
import { recordWeight } from "./record-weight.js";
import { ExpiryHeap } from "./records/expiry-heap.js";
import { KeyTable } from "./records/key-table.js";
import { isSameAttributes, isSameLinks } from "./records/packed-links.js";
import { DIGEST_LIMIT } from "./records/registration-digest.js";
import { type KeyState, type Source, StoredRecord, snapshot } from "./records/stored-record.js";
import { StringPool } from "./records/string-pool.js";
import { comparePrecedence, firstLive, insertByPrecedence, removeByPrecedence } from "./records/total-order.js";
import type { SharedLimit } from "./shared-limit.js";
import type {
  ChangeCause,
  DirectoryLimits,
  Registration,
  RenewalTimes,
  SourceChange,
  SourcedRegistration,
  VisibleChange,
} from "./types.js";
import { VisibleUnion } from "./visible-union.js";

/** What a key showed before a change. */
interface Shown {
  readonly record: StoredRecord | null;
  /** For listeners; undefined if there are none, or nothing was shown. */
  readonly registration: SourcedRegistration | undefined;
  /** Its index entries, if the change overwrites them. */
  readonly tokens?: TokenList;
  readonly digest: number;
}

/** How a record changed. */
type RecordChange = Pick<SourceChange, "kind" | "cause" | "endpointChanged" | "linksChanged">;

/**
 * All records, by source, by key and by time, and what they show. Every change first applies the ends that have passed for its
 * key, so that the outcome does not depend on when `expire` was called last; then it changes the records; then it decides what
 * the key shows. Listeners are notified between changes, never within one.
 */
export class RegistrationBook {
  readonly events = new ChangeEvents();
  readonly clock = new FederationClock();
  readonly sources = new Map<string, Source>();
  readonly heap = new ExpiryHeap();
  readonly #pool = new StringPool();
  readonly keys = new KeyTable(this.#pool);
  readonly union = new VisibleUnion(this);
  readonly #limits: DirectoryLimits;
  /** Keys of several records: only they depend on the order. */
  readonly #contested = new Set<KeyState>();
  /** Sum of the digests of what is shown, see `registrationDigest`. */
  digest = 0;
  /** Number of records that have expired so far. */
  #expired = 0;

  constructor(limits: DirectoryLimits) {
    this.#limits = limits;
    this.clock.onChange((isRebased, nowMs) => {
      this.reconsider(null, nowMs);
      if (isRebased) this.events.post([["rebased"]]);
      this.events.post([["retimed", null]]);
      this.events.finish();
    });
  }

  put(source: Source, registration: Registration, nowMs: number): void {
    const { ep, d } = registration;
    const record = source.records.get(registration.href);
    if (record === undefined) this.#add(source, registration, nowMs);
    else if (record.hasEnded(nowMs)) {
      this.drop(record, "expired", nowMs);
      this.#add(source, registration, nowMs);
    } else if (record.key.ep !== ep || record.key.d !== d) {
      // The path now belongs to another endpoint: for the keys that is a removal and a registration.
      this.drop(record, "removed", nowMs);
      this.#add(source, registration, nowMs);
    } else this.#replace(record, registration, nowMs);
  }

  /** False when the record has ended. */
  renew(record: StoredRecord, times: RenewalTimes, nowMs: number): boolean {
    if (record.hasEnded(nowMs)) {
      this.drop(record, "expired", nowMs);
      return false;
    }
    if (isSameTimes(record, times)) return true;
    this.#expireShown(record.key, nowMs, record);
    const before = this.#shown(record.key);
    this.#setTimes(record, times);
    this.#settle(record, before, RENEWED, nowMs);
    return true;
  }

  drop(record: StoredRecord, cause: ChangeCause, nowMs: number): void {
    const { key, source } = record;
    if (!isStored(record)) return;
    this.#expireShown(key, nowMs, record);
    if (cause === "expired") this.#expired++;
    const before = this.#shown(key);
    source.records.delete(record.href);
    source.overdue.delete(record);
    this.union.superseded.delete(record);
    removeByPrecedence(key, record);
    if (key.records.length < 2) this.#contested.delete(key);
    this.heap.forget(record);
    this.#count(record.source, -1, -record.weight);
    this.#settle(record, before, { kind: "removed", cause, endpointChanged: true, linksChanged: true }, nowMs);
  }

  /** Removes all records of a source, which ends the lookups that are being read. */
  clear(source: Source, cause: ChangeCause, nowMs: number): void {
    if (source.records.size > 0) this.union.endWalks();
    for (const record of [...source.records.values()]) {
      this.drop(record, cause, nowMs);
      this.events.deliver();
    }
  }

  /** Remove what has ended by `nowMs`, looking at no more than `atMost` records; returns how many ended. */
  expire(nowMs: number, atMost = Number.POSITIVE_INFINITY): number {
    const before = this.#expired;
    const due: StoredRecord[] = [];
    while (due.length < atMost) {
      const record = this.heap.take(nowMs);
      if (record === undefined) break;
      due.push(record);
    }
    for (const record of due) {
      // A listener may have removed or renewed it.
      if (!isStored(record)) continue;
      if (record.expiresAtMs > nowMs) this.heap.schedule(record);
      else if (record.hasEnded(nowMs)) this.drop(record, "expired", nowMs);
      else record.source.overdue.add(record);
      this.events.deliver();
    }
    return this.#expired - before;
  }

  /** From now on assumed ends count. */
  disconnect(source: Source): void {
    source.isConnected = false;
    for (const record of source.overdue) this.heap.schedule(record);
    source.overdue.clear();
  }

  /** Decides again between the records of each key that has one of `source`; null: of any source. */
  reconsider(source: string | null, nowMs: number): void {
    for (const key of [...this.#contested]) {
      if (!this.#contested.has(key) || !(source === null || key.records.some((one) => one.source.name === source)))
        continue;
      if (isSettled(key, nowMs)) continue;
      this.#expireShown(key, nowMs);
      const before = this.#shown(key);
      key.records.sort(comparePrecedence);
      this.#choose(key, before, nowMs);
      const { shown } = key;
      if (shown === null || shown === before.record || !this.events.hasListeners("visible")) continue;
      this.events.post([["visible", visibleChange(shown, before, snapshot(shown), "returned", nowMs)]]);
    }
  }

  #add(source: Source, registration: Registration, nowMs: number): void {
    const weight = recordWeight(registration);
    this.#assertRoom(source, 1, weight);
    const key = this.#open(registration, nowMs);
    const before = this.#shown(key);
    const record = new StoredRecord(source, key, registration, this.#pool);
    insertByPrecedence(key, record);
    if (key.records.length === 2) this.#contested.add(key);
    record.weight = weight;
    source.records.set(record.href, record);
    this.#count(source, 1, weight);
    this.heap.schedule(record);
    this.#settle(record, before, ADDED, nowMs, registration);
  }

  /** Called before anything is changed. @throws {MergeError} `DIRECTORY_FULL`, `MEMORY_FULL` */
  #assertRoom({ account }: Source, records: number, bytes: number): void {
    const { registrations, memory } = this.#limits;
    if (!registrations.fits(account, records))
      throw new MergeError("DIRECTORY_FULL", `no room for more registrations: ${describe(registrations, account)}`);
    if (!memory.fits(account, bytes))
      throw new MergeError("MEMORY_FULL", `no memory for ${bytes} bytes more: ${describe(memory, account)}`);
  }

  #count({ account }: Source, records: number, bytes: number): void {
    this.#limits.registrations.add(account, records);
    this.#limits.memory.add(account, bytes);
  }

  #open({ ep, d }: Registration, nowMs: number): KeyState {
    const known = this.keys.get(ep, d);
    if (known !== undefined) this.#expireShown(known, nowMs);
    if (known !== undefined && known.records.length > 0) return known;
    const key = this.keys.open(ep, d);
    this.union.open(key);
    return key;
  }

  #replace(record: StoredRecord, registration: Registration, nowMs: number): void {
    const linksChanged = !isSameLinks(record.links, registration.links);
    const endpointChanged = !isSameEndpoint(record, registration);
    if (!endpointChanged && !linksChanged) {
      this.renew(record, registration, nowMs);
      return;
    }
    const weight = recordWeight(registration);
    const growth = weight - record.weight;
    this.#assertRoom(record.source, 0, growth);
    this.#expireShown(record.key, nowMs, record);
    const before = this.#shown(record.key, record);
    this.union.superseded.delete(record);
    record.write(registration, this.#pool);
    record.weight = weight;
    this.#count(record.source, 0, growth);
    this.#setTimes(record, registration);
    const change: RecordChange = { kind: "replaced", cause: "updated", endpointChanged, linksChanged };
    this.#settle(record, before, change, nowMs, registration);
  }

  #setTimes(record: StoredRecord, { renewedAtMs, expiresAtMs, stampMs = Number.NaN }: RenewalTimes): void {
    const isAmongOthers = record.key.records.length > 1;
    if (isAmongOthers) removeByPrecedence(record.key, record);
    record.renewedAtMs = renewedAtMs;
    record.expiresAtMs = expiresAtMs;
    record.stampMs = stampMs;
    if (isAmongOthers) insertByPrecedence(record.key, record);
    record.source.overdue.delete(record);
    this.heap.schedule(record);
  }

  /** Drops a shown record that has ended, before its key changes for another reason. */
  #expireShown(key: KeyState, nowMs: number, except?: StoredRecord): void {
    while (key.shown !== null && key.shown !== except && key.shown.hasEnded(nowMs)) {
      this.drop(key.shown, "expired", nowMs);
    }
  }

  /** Returns what a key shows; `rewritten` is the record whose content is about to be overwritten. */
  #shown({ shown }: KeyState, rewritten?: StoredRecord): Shown {
    const registration = shown !== null && this.events.hasListeners("visible") ? snapshot(shown) : undefined;
    const digest = shown?.digest ?? 0;
    if (shown === null || shown !== rewritten) return { record: shown, registration, digest };
    return { record: shown, registration, digest, tokens: tokensOf(shown) };
  }

  /** Applies rule 1 to the key of `changed`, and queues events. `written`: the new content of `changed`. */
  #settle(changed: StoredRecord, before: Shown, change: RecordChange, nowMs: number, written?: Registration): void {
    const { key } = changed;
    this.#choose(key, before, nowMs, changed);
    if (key.records.length === 0) {
      this.union.close(key);
      this.keys.close(key);
    }
    this.#post(changed, before, change, nowMs, written);
  }

  /** Applies rule 1 to a key. `changed`: the record that was written, if any. */
  #choose(key: KeyState, before: Shown, nowMs: number, changed?: StoredRecord): void {
    const previous = before.record;
    const winner = firstLive(key.records, nowMs);
    key.shown = winner;
    this.union.superseded.update(key);
    if (previous === winner && (before.tokens === undefined || winner !== changed)) return;
    if (previous !== null) previous.source.shown--;
    if (winner !== null) winner.source.shown++;
    this.digest = (this.digest + DIGEST_LIMIT - before.digest + (winner?.digest ?? 0)) % DIGEST_LIMIT;
    const found = previous === null ? null : (before.tokens ?? tokensOf(previous));
    this.union.reindex(key, found, winner === null ? null : tokensOf(winner));
  }

  #post(changed: StoredRecord, before: Shown, change: RecordChange, atMs: number, written?: Registration): void {
    const { events } = this;
    const { shown } = changed.key;
    const known = change.kind === "renewed" && before.record === changed ? before.registration : written;
    const registration =
      events.hasListeners("source") || (shown === changed && events.hasListeners("visible"))
        ? snapshot(changed, known)
        : undefined;
    const notices: Notice[] = [];
    if (registration !== undefined) {
      notices.push(["source", { source: changed.source.name, href: changed.href, ...change, registration, atMs }]);
    }
    const isVisible = before.record !== shown || (shown === changed && shown !== null);
    if (isVisible && events.hasListeners("visible")) {
      const after = shown === changed ? registration : shown === null ? undefined : snapshot(shown);
      notices.push(["visible", visibleChange(changed, before, after, change.cause, atMs)]);
    }
    events.post(notices);
  }
}

const ADDED: RecordChange = { kind: "added", cause: "registered", endpointChanged: true, linksChanged: true };
const RENEWED: RecordChange = { kind: "renewed", cause: "renewed", endpointChanged: false, linksChanged: false };

function visibleChange(
  { key }: StoredRecord,
  before: Shown,
  after: SourcedRegistration | undefined,
  cause: ChangeCause,
  atMs: number,
): VisibleChange {
  return {
    cause: visibleCause(key, before.record, cause),
    ep: key.ep,
    ...(key.d === undefined ? undefined : { d: key.d }),
    ...(before.registration === undefined ? undefined : { before: before.registration }),
    ...(after === undefined ? undefined : { after }),
    atMs,
  };
}

/** Returns why the result for a key changed, if one of its records changed because of `cause`. */
function visibleCause({ shown }: KeyState, previous: StoredRecord | null, cause: ChangeCause): ChangeCause {
  if (previous === null || previous === shown) return cause;
  const isStillThere = isStored(previous);
  // Removed for that cause, or written with an end that has passed.
  if (shown === null) return isStillThere ? "expired" : cause;
  return isStillThere && comparePrecedence(shown, previous) < 0 ? "superseded" : "returned";
}

/** Whether a key already shows what rule 1 demands, with its records in order. */
function isSettled({ records, shown }: KeyState, nowMs: number): boolean {
  for (let at = 1; at < records.length; at++) {
    if (comparePrecedence(records[at - 1] as StoredRecord, records[at] as StoredRecord) > 0) return false;
  }
  return shown !== null && !shown.hasEnded(nowMs) && firstLive(records, nowMs) === shown;
}

function isSameTimes(record: StoredRecord, { renewedAtMs, expiresAtMs, stampMs = Number.NaN }: RenewalTimes): boolean {
  return record.renewedAtMs === renewedAtMs && record.expiresAtMs === expiresAtMs && Object.is(record.stampMs, stampMs);
}

function describe(limit: SharedLimit, account: string): string {
  return `${limit.used(account)} of ${limit.total} are in use here, ${limit.room(account)} are free`;
}

function isStored(record: StoredRecord): boolean {
  return record.source.records.get(record.href) === record;
}

function isSameEndpoint(record: StoredRecord, registration: Registration): boolean {
  return (
    record.base === registration.base &&
    record.ltMs === registration.ltMs &&
    record.isExact === (registration.expiry === "exact") &&
    record.zone === registration.zone &&
    isSameRoute(record.via, registration.via) &&
    isSameAttributes(record.attributes, registration.attributes)
  );
}

function isSameRoute(one: readonly string[] = [], other: readonly string[] = []): boolean {
  return one === other || (one.length === other.length && one.every((node, index) => node === other[index]));
}
