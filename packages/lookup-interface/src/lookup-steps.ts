import type { Turns } from "@tributary/runtime";

/** What a lookup may take at once even when others have used up the turn, ms: enough for any that is selective. */
const SELECTIVE_MS = 1;
/** After so many items in a row the clock is read. */
const ITEMS_PER_READING = 32;

/**
 * Hand every item of `steps` to `take`, until it returns false. What is quick is done at once, without a promise; the rest in
 * pieces that others come in between, so that selective lookups go before the later pieces of broad ones.
 */
export function takeInTurns<T>(
  turns: Turns,
  owner: string,
  steps: Iterator<T | null>,
  take: (item: T) => boolean,
): undefined | Promise<void> {
  const work = (untilMs: number): boolean => {
    for (let count = 1; ; count++) {
      const next = steps.next();
      if (next.done === true) return false;
      if (next.value !== null && !take(next.value)) return false;
      const isPause = next.value === null || count % ITEMS_PER_READING === 0;
      if (isPause && turns.nowMs() >= untilMs) return true;
    }
  };
  return turns.start(owner, work, SELECTIVE_MS);
}
