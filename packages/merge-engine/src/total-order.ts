import type { KeyState, StoredRecord } from "./stored-record.js";

/** Order by code units, which is the same everywhere. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a === b ? 0 : 1;
}

/**
 * Rule 1, as an order with the winner first: renewed last, then the smaller source name, then the smaller href. Total, so
 * the winner depends on the set of records alone.
 */
export function comparePrecedence(a: StoredRecord, b: StoredRecord): number {
  return b.renewedAtMs - a.renewedAtMs || compareText(a.source.name, b.source.name) || compareText(a.href, b.href);
}

/** The order of lookup answers: endpoint name, then sector, absent first. Does not depend on arrival or on the source. */
export function compareKeys(a: Pick<KeyState, "ep" | "d">, b: Pick<KeyState, "ep" | "d">): number {
  if (a.ep !== b.ep) return a.ep < b.ep ? -1 : 1;
  if (a.d === b.d) return 0;
  if (a.d === undefined) return -1;
  return b.d === undefined ? 1 : compareText(a.d, b.d);
}

/** Put a record in its place among those of its key. */
export function insertByPrecedence(key: KeyState, record: StoredRecord): void {
  // Most keys have one record: a literal takes no room for more.
  if (key.records.length === 0) key.records = [record];
  else key.records.splice(lowerBound(key.records, record), 0, record);
}

/** Take a record out; its times must be those that it was put in with. */
export function removeByPrecedence({ records }: KeyState, record: StoredRecord): void {
  let at = lowerBound(records, record);
  while (records[at] !== record && at < records.length) at++;
  records.splice(at, 1);
}

/**
 * The record that rule 1 shows at `nowMs`: the first that has not ended. Where the same registration came by several routes, it
 * is the one that came through the fewest proxies: they all say the same, and prefer what is closest to its RD, so that no two
 * of them wait for each other to decide.
 */
export function firstLive(records: readonly StoredRecord[], nowMs: number): StoredRecord | null {
  for (const record of records) if (!record.hasEnded(nowMs)) return byShortestRoute(record, records, nowMs);
  return null;
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
