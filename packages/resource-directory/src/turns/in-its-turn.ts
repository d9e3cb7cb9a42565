import type { Turns } from "@tributary/runtime";

/**
 * Does `work` at once while there is time for long work in this turn of the event loop, else in a later one, when all others who
 * have long work had theirs. `owner`: for whom it is done.
 */
export function inItsTurn<T>(turns: Turns, owner: string, work: () => T | Promise<T>): T | Promise<T> {
  let result: T | Promise<T> | undefined;
  let hasWaited = false;
  const waiting = turns.start(owner, (untilMs) => {
    if (!hasWaited && turns.nowMs() >= untilMs) {
      hasWaited = true;
      return true;
    }
    result = work();
    return false;
  });
  return waiting === undefined ? (result as T | Promise<T>) : waiting.then(() => result as T | Promise<T>);
}
