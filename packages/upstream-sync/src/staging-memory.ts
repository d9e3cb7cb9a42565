import type { SharedLimit } from "@tributary/merge-engine";
import type { StagingMemory } from "@tributary/replication";
import { MAX_STAGING_BYTES, STAGING_SHARE } from "./constants.js";

/**
 * Memory for halves of entries whose other half has not come yet. A little of it is always there, so that records which are held already
 * can be received again when there is no more room.
 */
export function stagingMemory(
  limit: SharedLimit,
  account: string,
  /** Gives up what is least worth keeping, if there is any. */
  makeRoom: (bytes: number) => void,
): StagingMemory {
  const always = Math.min(MAX_STAGING_BYTES, STAGING_SHARE * limit.total);
  let staged = 0;
  return {
    take(bytes) {
      if (staged + bytes > always && !limit.fits(account, bytes)) {
        makeRoom(bytes);
        if (!limit.fits(account, bytes)) return false;
      }
      staged += bytes;
      limit.add(account, bytes);
      return true;
    },
    give(bytes) {
      staged -= bytes;
      limit.add(account, -bytes);
    },
  };
}
