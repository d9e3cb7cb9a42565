import type { SharedLimit } from "@tributary/merge-engine";
import type { NodeConfig } from "../configuration/types.js";

/**
 * Part of the heap that is not available to registrations, bytes: the young generation, which counts towards the heap limit (up to
 * 192 MiB in Node.js 24) and holds only short-lived objects; the program; the tables of the transport; and messages being parsed.
 */
const PROGRAM_BYTES = 256 * 1024 * 1024;
/** Share of the remaining heap for stored data; the other part is for garbage and for errors of the estimates. */
const HEAP_SHARE = 0.6;
/** Smallest share of a very small heap. */
const SMALL_HEAP_SHARE = 0.12;
/** Largest share of the memory for the response cache. */
const CACHE_SHARE = 0.25;
/** Share of a limit that is reserved for own registrations when there are upstreams. */
const OWN_SHARE = 0.25;
/** Share of a limit that is reserved for all upstreams together. */
const UPSTREAMS_SHARE = 0.5;

/** Returns the default of `limits.memory` for a heap that may grow to `heapLimit` bytes. Pure. */
export function defaultMemory(heapLimit: number): number {
  return Math.floor(Math.max(HEAP_SHARE * (heapLimit - PROGRAM_BYTES), SMALL_HEAP_SHARE * heapLimit));
}

/** How the memory of a node is divided, bytes. */
export interface MemoryPlan {
  /** Everything. */
  readonly total: number;
  /** For registrations of all sources. */
  readonly registrations: number;
  /** For the response cache. */
  readonly cache: number;
}

/** Divides `total` bytes between registrations and the response cache. Pure. */
export function planMemory(total: number, { lookup }: Pick<NodeConfig, "lookup">): MemoryPlan {
  const cache = lookup === undefined ? 0 : Math.floor(Math.min(lookup.cache.bytes, CACHE_SHARE * total));
  return { total, registrations: total - cache, cache };
}

/**
 * Reserves a share of `limit` for the node's own registrations and one for each upstream. The rest is first come, first served. A node
 * that is only an RD has nothing to divide. `upstreams`: the names of the upstreams whose registrations are copied.
 */
export function shareLimit(limit: SharedLimit, isDirectory: boolean, upstreams: readonly string[]): void {
  const parts = new Map<string, number>();
  if (upstreams.length > 0 && Number.isFinite(limit.total)) {
    if (isDirectory) parts.set(LOCAL_SOURCE, Math.floor(OWN_SHARE * limit.total));
    for (const name of upstreams) parts.set(name, Math.floor((UPSTREAMS_SHARE * limit.total) / upstreams.length));
  }
  limit.guarantee(parts);
}

/** Name of the source with this node's own registrations. */
export const LOCAL_SOURCE = "local";
