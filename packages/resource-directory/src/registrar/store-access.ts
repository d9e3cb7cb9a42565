import type { Logger } from "@tributary/runtime";
import { accepted, type Result, refused } from "../refusal.js";

/** Does things with the store of registrations. That it fails is logged once, and again when it works. */
export class StoreAccess {
  readonly #logger: Logger;
  #hasFailed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Turns what `action` throws or rejects with into a refusal; synchronous stays synchronous. The reason goes to the log, not to the
   * client.
   */
  attempt<T>(action: () => Promise<T> | T): Result<T> | Promise<Result<T>> {
    try {
      const pending = action();
      return pending instanceof Promise ? pending.then(this.#succeeded<T>, this.#failed) : this.#succeeded(pending);
    } catch (error) {
      return this.#failed(error);
    }
  }

  readonly #succeeded = <T>(value: T): Result<T> => {
    if (this.#hasFailed) this.#logger.info("the registration store works again");
    this.#hasFailed = false;
    return accepted(value);
  };

  readonly #failed = (error: unknown): ReturnType<typeof refused> => {
    if (!this.#hasFailed) this.#logger.error("the registration store failed", { error });
    this.#hasFailed = true;
    return refused("store-failure", "the registration store is not available");
  };
}
