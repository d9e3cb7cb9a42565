/** One request for several callers, each with a deadline of its own. It is aborted when no caller waits any more. */
export class CoalescedRequest<T> {
  readonly #abort = new AbortController();
  readonly #result: Promise<T>;
  #waiting = 0;

  constructor(run: (signal: AbortSignal) => Promise<T>) {
    this.#result = run(this.#abort.signal);
    // Callers get the error by `join`; without callers it is of no interest.
    this.#result.catch(() => undefined);
  }

  /** The last caller has left: it will reject. */
  get isAbandoned(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Waits for the result until `signal` aborts. Rejects with the reason of the signal, or with the error of the request. */
  join(signal: AbortSignal): Promise<T> {
    this.#waiting++;
    return new Promise<T>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting--;
        if (this.#waiting === 0) this.#abort.abort(signal.reason);
        reject(signal.reason);
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      const stay = (): void => signal.removeEventListener("abort", leave);
      this.#result.then(
        (value) => {
          stay();
          resolve(value);
        },
        (error: unknown) => {
          stay();
          reject(error);
        },
      );
    });
  }
}
