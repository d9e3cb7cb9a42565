import { LOST_PENALTY_MS } from "../constants.js";
import { pathOf } from "./registration-path.js";
import type { KeyState, StoredRecord } from "./stored-record.js";

/** Compares by code units, which is the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a === b ? 0 : 1;
}

/** What decides between two registrations of one endpoint; every proxy knows all of it. */
export interface Renewal {
  /** Federation time of the last renewal, ms since the Unix epoch. */
  readonly renewedAtMs: number;
  /** Registration resource: a path, or the URI under which this proxy knows it. */
  readonly href: string;
  readonly base: string;
  /** Its source is not connected. */
  readonly isLost: boolean;
}

/**
 * Rule 1 as an order with the winner first: renewed last, where a registration at a lost RD counts as renewed `LOST_PENALTY_MS`
 * earlier; then live before lost; then the smaller path; then the smaller base. Every proxy that knows two registrations
 * orders them alike: names of sources, and the authority by which an RD is reached, differ between proxies and are not
 * compared. The order is transitive, because each registration has a value of its own instead of a tolerance between two.
 * 0: one registration twice. Pure.
 */
export function compareRenewals(a: Renewal, b: Renewal): number {
  return (
    effectiveMs(b) - effectiveMs(a) ||
    Number(a.isLost) - Number(b.isLost) ||
    b.renewedAtMs - a.renewedAtMs ||
    comparePlaces(a, b)
  );
}

/** Breaks ties between registrations that were renewed at the same time. */
function comparePlaces(a: Pick<Renewal, "href" | "base">, b: Pick<Renewal, "href" | "base">): number {
  return compareText(pathOf(a.href), pathOf(b.href)) || compareText(a.base, b.base);
}

function effectiveMs({ renewedAtMs, isLost }: Renewal): number {
  return isLost ? renewedAtMs - LOST_PENALTY_MS : renewedAtMs;
}

/**
 * The order of the records of a key: `compareRenewals` as if all sources were connected (`firstLive` takes care of those that are
 * lost), then source name and href, for one registration that came by several routes.
 */
export function comparePrecedence(a: StoredRecord, b: StoredRecord): number {
  return (
    b.orderMs - a.orderMs ||
    comparePlaces(a, b) ||
    compareText(a.source.name, b.source.name) ||
    compareText(a.href, b.href)
  );
}

/** The order of lookup results: endpoint name, then sector, absent first. Does not depend on arrival or source. */
export function compareKeys(a: Pick<KeyState, "ep" | "d">, b: Pick<KeyState, "ep" | "d">): number {
  if (a.ep !== b.ep) return a.ep < b.ep ? -1 : 1;
  if (a.d === b.d) return 0;
  if (a.d === undefined) return -1;
  return b.d === undefined ? 1 : compareText(a.d, b.d);
}

/** Inserts a record in its place among those of its key. */
export function insertByPrecedence(key: KeyState, record: StoredRecord): void {
  // Most keys have one record: a literal takes no room for more.
  if (key.records.length === 0) key.records = [record];
  else key.records.splice(lowerBound(key.records, record), 0, record);
}

/** Removes a record. Its place in the order may have changed since it was inserted. */
export function removeByPrecedence({ records }: KeyState, record: StoredRecord): void {
  const expected = records.length === 1 ? 0 : lowerBound(records, record);
  const at = records[expected] === record ? expected : records.indexOf(record);
  if (at >= 0) records.splice(at, 1);
}

/**
 * Returns the record that rule 1 shows at `nowMs`: the first that has not ended, where lost ones count as older. If a registration
 * came by several routes, it is the one that came through the fewest proxies: its content is the same, and if all proxies prefer
 * the shortest route, no two of them wait for each other.
 */
export function firstLive(records: readonly StoredRecord[], nowMs: number): StoredRecord | null {
  let lost: StoredRecord | null = null;
  for (const record of records) {
    if (lost !== null && record.orderMs < lost.orderMs - LOST_PENALTY_MS) break;
    if (record.hasEnded(nowMs)) continue;
    if (record.source.isConnected) return byShortestRoute(record, records, nowMs);
    lost ??= record;
  }
  return lost === null ? null : byShortestRoute(lost, records, nowMs);
}

/** Whether a record before the shown one in the order may be live all the same: only if it is lost and hardly newer. Pure. */
export function mayBePassedOver(record: StoredRecord, shown: StoredRecord): boolean {
  return !record.source.isConnected && shown.source.isConnected && record.orderMs - LOST_PENALTY_MS <= shown.orderMs;
}

function byShortestRoute(first: StoredRecord, records: readonly StoredRecord[], nowMs: number): StoredRecord {
  if (first.via === undefined) return first;
  const { shownHref } = first;
  let shortest = first;
  for (const record of records) {
    const isShorter = (record.via?.length ?? 0) < (shortest.via?.length ?? 0);
    if (isShorter && record.shownHref === shownHref && !record.hasEnded(nowMs)) shortest = record;
  }
  return shortest;
}

function lowerBound(records: readonly StoredRecord[], record: StoredRecord): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (comparePrecedence(records[middle] as StoredRecord, record) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
