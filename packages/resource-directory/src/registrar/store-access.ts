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
   * Whatever `action` throws or rejects with becomes a refusal; synchronous stays synchronous. The reason goes to the log,
   * not to the client.
   */
  attempt(action: () => Promise<void> | void): Result<undefined> | Promise<Result<undefined>> {
    try {
      const pending = action();
      return pending instanceof Promise ? pending.then(this.#succeeded, this.#failed) : this.#succeeded();
    } catch (error) {
      return this.#failed(error);
    }
  }

  readonly #succeeded = (): Result<undefined> => {
    if (this.#hasFailed) this.#logger.info("the registration store works again");
    this.#hasFailed = false;
    return accepted(undefined);
  };

  readonly #failed = (error: unknown): Result<undefined> => {
    if (!this.#hasFailed) this.#logger.error("the registration store failed", { error });
    this.#hasFailed = true;
    return refused("store-failure", "the registration store is not available");
  };
}
