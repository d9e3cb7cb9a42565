import type { Environment } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import type { RequestControl } from "../types.js";

/** What must end together. Once stopped it stays stopped. */
export class OperationScope {
  #stopped: TransportError | null = null;
  readonly #stoppers = new Set<(error: TransportError) => void>();

  /** Call `stop` when this scope is stopped, at once if it was; the result takes that back. */
  add(stop: (error: TransportError) => void): () => void {
    if (this.#stopped !== null) {
      stop(this.#stopped);
      return () => {};
    }
    this.#stoppers.add(stop);
    return () => {
      this.#stoppers.delete(stop);
    };
  }

  /** `owned`, which ends with this scope. */
  own<T extends { stop(error: TransportError): void }>(owned: T): T {
    this.add((error) => owned.stop(error));
    return owned;
  }

  /** The value, or a rejection when the scope is stopped first. */
  async join<T>(value: T | Promise<T>): Promise<T> {
    let release = (): void => {};
    const stopped = new Promise<never>((_resolve, reject) => {
      release = this.add(reject);
    });
    try {
      return await Promise.race([value, stopped]);
    } finally {
      release();
    }
  }

  stop(error: TransportError): void {
    if (this.#stopped !== null) return;
    this.#stopped = error;
    for (const stop of [...this.#stoppers]) stop(error);
    this.#stoppers.clear();
  }
}

/** Stop `scope` when the caller's time is over or its signal says so; the result ends the watch. */
export function watchControl(env: Environment, control: RequestControl, scope: OperationScope): () => void {
  const { signal, timeoutMs } = control;
  const timer =
    timeoutMs === undefined
      ? null
      : env.clock.setTimer(timeoutMs, () => scope.stop(new TransportError("TIMEOUT", `no answer in ${timeoutMs} ms`)));
  const onAbort = (): void =>
    scope.stop(new TransportError("ABORTED", "aborted by the caller", { cause: signal?.reason }));
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  return () => {
    timer?.cancel();
    signal?.removeEventListener("abort", onAbort);
  };
}
