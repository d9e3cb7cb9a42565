import type { SharedLimit } from "@tributary/merge-engine";
import type { NodeConfig } from "../configuration/types.js";

/**
 * What is not for registrations, bytes: the young generation, which is part of the limit (up to 192 MiB in Node.js 24) and holds
 * nothing for long; and the program with the tables of the transport and what is read at the moment.
 */
const PROGRAM_BYTES = 256 * 1024 * 1024;
/** Share of the rest of the heap for what is kept; the other part is for garbage, and for what estimates are wrong by. */
const HEAP_SHARE = 0.6;
/** The least share of a very small heap. */
const SMALL_HEAP_SHARE = 0.2;
/** The most that kept responses of upstreams get of the memory. */
const CACHE_SHARE = 0.25;
/** What own registrations can count on beside upstreams, as a share of a limit. */
const OWN_SHARE = 0.25;
/** What all upstreams together can count on. */
const UPSTREAMS_SHARE = 0.5;

/** `limits.memory` where the configuration does not say, of a heap that may grow to `heapLimit` bytes. Pure. */
export function defaultMemory(heapLimit: number): number {
  return Math.floor(Math.max(HEAP_SHARE * (heapLimit - PROGRAM_BYTES), SMALL_HEAP_SHARE * heapLimit));
}

/** How the memory of a node is divided, bytes. */
export interface MemoryPlan {
  /** Everything. */
  readonly total: number;
  /** For registrations, whoever they are from. */
  readonly registrations: number;
  /** For responses of upstreams that are only asked. */
  readonly cache: number;
}

/** Divides `total` bytes between registrations and the response cache. Pure. */
export function planMemory(total: number, { lookup }: Pick<NodeConfig, "lookup">): MemoryPlan {
  const cache = lookup === undefined ? 0 : Math.floor(Math.min(lookup.cache.bytes, CACHE_SHARE * total));
  return { total, registrations: total - cache, cache };
}

/**
 * Gives own registrations their reserve and each upstream its part of a limit. The rest is for whoever comes first. A node that
 * does only one of both has nothing to divide. `upstreams`: names of those whose registrations are held here.
 */
export function shareLimit(limit: SharedLimit, isDirectory: boolean, upstreams: readonly string[]): void {
  const parts = new Map<string, number>();
  if (upstreams.length > 0 && Number.isFinite(limit.total)) {
    if (isDirectory) parts.set(LOCAL_SOURCE, Math.floor(OWN_SHARE * limit.total));
    for (const name of upstreams) parts.set(name, Math.floor((UPSTREAMS_SHARE * limit.total) / upstreams.length));
  }
  limit.guarantee(parts);
}

/** Name of the source that holds this node's own registrations. */
export const LOCAL_SOURCE = "local";
