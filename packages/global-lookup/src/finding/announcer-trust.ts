import { type Clock, ExpiringMap } from "@tributary/runtime";
import { REMEMBERED_ANNOUNCERS } from "../constants.js";

/** Time after which what an announcer did counts half, ms. */
const HALF_LIFE_MS = 1_800_000;
/** Announcers of which less is expected are asked only when all others failed. */
const LEAST_EXPECTED = 0.4;

interface Conduct {
  good: number;
  bad: number;
  atMs: number;
}

/**
 * What announcers did when they were asked: gave the registration of the name (good), or not (bad). Announcers without a past
 * are between the two, so that new keys gain nothing over those that proved themselves.
 */
export class AnnouncerTrust {
  readonly #clock: Clock;
  readonly #conduct: ExpiringMap<Conduct>;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#conduct = new ExpiringMap({ clock }, { lifetimeMs: 8 * HALF_LIFE_MS, maxEntries: REMEMBERED_ANNOUNCERS });
  }

  /** Number of announcers that are remembered. */
  get size(): number {
    return this.#conduct.size;
  }

  /** Notes what an announcer did. */
  note(announcer: string, conduct: "good" | "bad"): void {
    const now = this.#present(announcer) ?? { good: 0, bad: 0, atMs: 0 };
    now[conduct]++;
    now.atMs = this.#clock.nowMs();
    this.#conduct.set(announcer, now);
  }

  /** Returns the share of good responses to expect, 0 to 1 (rule of succession); 0.5 for an announcer without a past. */
  expectation(announcer: string): number {
    const { good, bad } = this.#present(announcer) ?? { good: 0, bad: 0 };
    return (good + 1) / (good + bad + 2);
  }

  /** Whether an announcer failed so often that it is asked last. */
  isDistrusted(announcer: string): boolean {
    return this.expectation(announcer) < LEAST_EXPECTED;
  }

  /** Sorts announcers, the one to be asked first at the beginning; in the given order where they are equal. */
  rank(announcers: readonly string[]): string[] {
    const expected = new Map(announcers.map((one) => [one, this.expectation(one)]));
    return [...announcers].sort((one, other) => (expected.get(other) ?? 0) - (expected.get(one) ?? 0));
  }

  /** Forgets everything. */
  clear(): void {
    this.#conduct.clear();
  }

  #present(announcer: string): Conduct | undefined {
    const conduct = this.#conduct.get(announcer);
    if (conduct === undefined) return undefined;
    const share = 0.5 ** ((this.#clock.nowMs() - conduct.atMs) / HALF_LIFE_MS);
    return { good: conduct.good * share, bad: conduct.bad * share, atMs: conduct.atMs };
  }
}
