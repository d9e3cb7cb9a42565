/** One request that several wait for, each as long as it likes. It is aborted when nobody waits any more. */
export class CoalescedRequest<T> {
  readonly #abort = new AbortController();
  readonly #result: Promise<T>;
  #waiting = 0;

  constructor(run: (signal: AbortSignal) => Promise<T>) {
    this.#result = run(this.#abort.signal);
    // Whoever waits is told; when nobody does, nobody needs to be.
    this.#result.catch(() => undefined);
  }

  /** Nobody waited any more: it will reject. */
  get isAbandoned(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Wait until `signal` aborts. Rejects with the reason of that, or with what the request rejects with. */
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
