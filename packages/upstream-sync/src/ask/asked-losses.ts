import { type LookupInterface, LT_AGE } from "@tributary/merge-engine";
import { ASKED_LOSS_MS, MAX_ASKED_LOSSES } from "../constants.js";
import type { LeftOut, LeftOutCause, Loss, Losses } from "../left-out.js";

interface Asked {
  readonly kind: LookupInterface;
  readonly losses: Losses;
  readonly untilMs: number;
}

/**
 * What an upstream that is asked, not copied, was lately seen to have and could not be taken. Of lookups of one interface the
 * largest loss counts for each cause: several lookups may miss the same. What is not seen again is forgotten in time.
 */
export class AskedLosses {
  readonly #leftOut: LeftOut;
  /** By lookup, in the order of their last sight. */
  readonly #asked = new Map<string, Asked>();

  constructor(leftOut: LeftOut) {
    this.#leftOut = leftOut;
  }

  /** A lookup was answered. */
  note(kind: LookupInterface, items: readonly string[], losses: Losses, nowMs: number): void {
    const key = JSON.stringify([kind, items]);
    const wasKnown = this.#asked.delete(key);
    if (losses.size > 0) {
      this.#asked.set(key, { kind, losses, untilMs: nowMs + ASKED_LOSS_MS });
      const [oldest] = this.#asked.size > MAX_ASKED_LOSSES ? this.#asked.keys() : [];
      if (oldest !== undefined) this.#asked.delete(oldest);
    } else if (isEverything(items)) this.#forget((asked) => asked.kind === kind);
    else if (!wasKnown) return;
    this.#recount(kind);
  }

  /** Forget what was not seen for long. */
  expire(nowMs: number): void {
    if (this.#asked.size === 0) return;
    if (this.#forget(({ untilMs }) => untilMs <= nowMs) === 0) return;
    for (const kind of ["ep", "res"] as const) this.#recount(kind);
  }

  #forget(isGone: (asked: Asked) => boolean): number {
    const before = this.#asked.size;
    for (const [key, asked] of this.#asked) if (isGone(asked)) this.#asked.delete(key);
    return before - this.#asked.size;
  }

  #recount(kind: LookupInterface): void {
    const largest = new Map<LeftOutCause, Loss>();
    const all = [...this.#asked.values()].filter((asked) => asked.kind === kind);
    for (const [cause, loss] of all.flatMap(({ losses }) => [...losses]))
      if (loss.count > (largest.get(cause)?.count ?? 0)) largest.set(cause, loss);
    this.#leftOut.replace(`asked ${kind}`, largest);
  }
}

/** No criterion: whatever the RD has was looked at. Attributes that are only asked to be shown are no criteria. */
function isEverything(items: readonly string[]): boolean {
  return items.every((item) => item === "provenance" || item === LT_AGE);
}
