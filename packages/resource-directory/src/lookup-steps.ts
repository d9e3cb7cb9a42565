import type { Clock, TurnQueue } from "@tributary/coap-transport";

/** What a lookup may take at once even when others have used up the turn, ms: enough for any that is selective. */
const SELECTIVE_MS = 1;
/** How long it goes on when its turn comes again, ms. */
const PIECE_MS = 2;
/** After so many items in a row the clock is read. */
const ITEMS_PER_READING = 32;

export interface StepsDeps {
  readonly clock: Clock;
  readonly turns: TurnQueue;
}

/**
 * Hand every item of `steps` to `take`, until it returns false. What is quick is done at once, without a promise; the rest in
 * pieces that others come in between, so that selective lookups go before the later pieces of broad ones.
 */
export function takeInTurns<T>(
  { clock, turns }: StepsDeps,
  owner: string,
  steps: Iterator<T | null>,
  take: (item: T) => boolean,
): undefined | Promise<void> {
  /** Whether there is more. */
  const work = (untilMs: number): boolean => {
    for (let count = 1; ; count++) {
      const next = steps.next();
      if (next.done === true) return false;
      if (next.value !== null && !take(next.value)) return false;
      const isPause = next.value === null || count % ITEMS_PER_READING === 0;
      if (isPause && clock.nowMs() >= untilMs) return true;
    }
  };
  const firstMs = Math.max(SELECTIVE_MS, turns.leftMs());
  if (!turns.spend(() => work(clock.nowMs() + firstMs))) return undefined;
  return new Promise((resolve, reject) => {
    turns.add(owner, () => {
      try {
        if (work(clock.nowMs() + PIECE_MS)) return true;
        resolve();
      } catch (error) {
        reject(error);
      }
      return false;
    });
  });
}
