const ignore = (): void => {};

/** Go on with `value` now, or once it is there. Keeps what is synchronous synchronous. */
export function andThen<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Runs tasks of one key in the order in which they came, and at once when nothing is under way. */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<void>>();

  run<T>(key: string, task: () => T | Promise<T>): T | Promise<T> {
    const tail = this.#tails.get(key);
    const result = tail === undefined ? task() : tail.then(task);
    if (result instanceof Promise) this.#hold(key, result);
    return result;
  }

  /** Keys with tasks under way. */
  get size(): number {
    return this.#tails.size;
  }

  /** Resolves once nothing is under way. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }

  #hold(key: string, result: Promise<unknown>): void {
    const tail: Promise<void> = result.then(ignore, ignore).then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    this.#tails.set(key, tail);
  }
}
