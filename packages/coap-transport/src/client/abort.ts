import type { Clock } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import type { RequestControl } from "../types.js";

/**
 * Calls `listener` with the reason when `signal` is aborted, at once if it already is. Returns the unsubscribe function. Signals of
 * this package are aborted with a `TransportError`.
 */
export function onAbort(signal: AbortSignal, listener: (reason: TransportError) => void): () => void {
  const call = (): void => listener(signal.reason as TransportError);
  if (signal.aborted) {
    call();
    return () => {};
  }
  signal.addEventListener("abort", call, { once: true });
  return () => signal.removeEventListener("abort", call);
}

/** Settles as `value` does, or rejects with the reason of `signal` if that is aborted first. */
export async function unlessAborted<T>(signal: AbortSignal, value: T | Promise<T>): Promise<T> {
  signal.throwIfAborted();
  if (!(value instanceof Promise)) return value;
  let unsubscribe = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    unsubscribe = onAbort(signal, reject);
  });
  try {
    return await Promise.race([value, aborted]);
  } finally {
    unsubscribe();
  }
}

/**
 * Aborts `controller` when the caller's signal is aborted (`ABORTED`) or the caller's time is over (`TIMEOUT`). Returns the function
 * that ends this.
 */
export function applyControl(
  clock: Clock,
  { signal, timeoutMs }: RequestControl,
  controller: AbortController,
): () => void {
  const timer =
    timeoutMs === undefined
      ? null
      : clock.setTimer(timeoutMs, () =>
          controller.abort(new TransportError("TIMEOUT", `no response in ${timeoutMs} ms`)),
        );
  const abort = (): void =>
    controller.abort(new TransportError("ABORTED", "aborted by the caller", { cause: signal?.reason }));
  if (signal?.aborted === true) abort();
  else signal?.addEventListener("abort", abort, { once: true });
  return () => {
    timer?.cancel();
    signal?.removeEventListener("abort", abort);
  };
}
