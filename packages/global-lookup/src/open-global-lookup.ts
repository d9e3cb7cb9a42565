import { GlobalLookup, type GlobalLookupDeps, type GlobalLookupOptions } from "./global-lookup.js";
import { type HyperdhtPoolOptions, openHyperdhtPool } from "./pool/hyperdht-pool.js";
import { generateAnnouncerKey, loadAnnouncerKey } from "./record/announcer-key.js";

/** Settings of `openGlobalLookup`. */
export interface OpenGlobalLookupOptions extends GlobalLookupOptions {
  readonly pool: HyperdhtPoolOptions;
  /** File with the key of this node, which is made where it is missing; absent: another key after each start. */
  readonly key?: string;
}

/** Joins a pool of hyperdht. @throws {GlobalLookupError} `POOL_BIND_FAILED`, `KEY_UNSUITABLE` */
export async function openGlobalLookup(
  deps: Omit<GlobalLookupDeps, "pool" | "key">,
  options: OpenGlobalLookupOptions,
): Promise<GlobalLookup> {
  const key = options.key === undefined ? generateAnnouncerKey() : await loadAnnouncerKey(options.key);
  const pool = await openHyperdhtPool({ env: deps.env, key }, options.pool);
  return new GlobalLookup({ ...deps, pool, key }, options);
}
