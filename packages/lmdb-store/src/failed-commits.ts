import type { Logger } from "@tributary/runtime";
import type { RootDatabase } from "lmdb";

/** What a write that was not committed rejects with. */
interface CommitFailure {
  /** Rejects with the cause, once that is known. */
  readonly commitError?: Promise<never>;
}

/**
 * Log it when writes begin to fail, with the cause, and when they work again. Of every failed commit the database makes two
 * promises that it gives to nobody, one for the writes of the turn and one for the cause; unobserved, they would end the
 * process when the disk is full.
 */
export function observeFailedCommits(
  environment: RootDatabase,
  { logger, path }: { logger: Logger; path: string },
): void {
  let hasFailed = false;
  const succeeded = () => {
    if (hasFailed) logger.info("state can be written again", { path });
    hasFailed = false;
  };
  const failed = (failure: CommitFailure) => {
    failure.commitError?.catch((error: unknown) => {
      if (!hasFailed) logger.error("state cannot be written", { path, error });
      hasFailed = true;
    });
  };
  // The commit of a turn comes to be after the last of these callbacks.
  environment.on("beforecommit", () => queueMicrotask(() => void environment.committed.then(succeeded, failed)));
}
