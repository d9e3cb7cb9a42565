import type { Logger } from "@tributary/coap-transport";
import { accepted, type Result, refused } from "./refusal.js";

/**
 * Do something with the store. Whatever it throws or rejects with becomes a refusal; synchronous stays synchronous.
 * The reason goes to the log, not to the client.
 */
export function tryStore(
  logger: Logger,
  action: () => Promise<void> | void,
): Result<undefined> | Promise<Result<undefined>> {
  const failed = (error: unknown): Result<undefined> => {
    logger.error("the registration store failed", { error });
    return refused("store-failure", "the registration store is not available");
  };
  try {
    const pending = action();
    return pending instanceof Promise ? pending.then(() => accepted(undefined), failed) : accepted(undefined);
  } catch (error) {
    return failed(error);
  }
}
