import type { KeyState, StoredRecord } from "./stored-record.js";

/** Order by code units, which is the same everywhere. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
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
  const byName = compareText(a.ep, b.ep);
  if (byName !== 0 || a.d === b.d) return byName;
  if (a.d === undefined) return -1;
  return b.d === undefined ? 1 : compareText(a.d, b.d);
}
