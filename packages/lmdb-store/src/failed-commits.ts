import type { Logger } from "@tributary/runtime";
import type { RootDatabase } from "lmdb";

/** The rejection of a write that was not committed. */
interface CommitFailure {
  /** Rejects with the cause once it is known. */
  readonly commitError?: Promise<never>;
}

/**
 * Logs when writes begin to fail, with the cause, and when they succeed again. For a failed commit the database creates two promises
 * that it returns to no caller, one for the writes of the turn and one for the cause. Left unhandled, they would end the process
 * when the disk is full.
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
  // `committed` is that of this turn only after all of these callbacks.
  environment.on("beforecommit", () => queueMicrotask(() => void environment.committed.then(succeeded, failed)));
}
