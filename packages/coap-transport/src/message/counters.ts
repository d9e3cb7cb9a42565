import { addCount } from "@tributary/runtime";
import type { TransportCounters } from "../types.js";

/** Returns counters that start at zero; several endpoints may share them. */
export function createCounters(): TransportCounters {
  return { received: 0, sent: 0, retransmitted: 0, duplicates: 0, rejected: new Map() };
}

/** Counts a rejected message by its cause. */
export function countRejected(counters: TransportCounters, cause: string): void {
  addCount(counters.rejected, cause);
}
