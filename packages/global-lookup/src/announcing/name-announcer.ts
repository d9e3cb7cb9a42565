import { addCount, type Environment, type Timer } from "@tributary/runtime";
import { ANNOUNCING_CONCURRENCY, RETRY_MS } from "../constants.js";
import { nameKey } from "../record/name-key.js";
import type { Pool } from "../types.js";

/** Collaborators of a `NameAnnouncer`. */
export interface NameAnnouncerDeps {
  readonly pool: Pick<Pool, "announce" | "withdraw">;
  readonly env: Environment;
}

/** Settings of a `NameAnnouncer`. */
export interface NameAnnouncerOptions {
  /** Announcements and withdrawals per second. */
  readonly perSecond: number;
  /** Time after which a name is announced again, ms. */
  readonly refreshMs: number;
}

/** Where a name waits, and since when. */
interface Waiting {
  readonly queue: Queue;
  readonly dueMs: number;
}

type Queue = "leaving" | "new" | "failed" | "announced";
const QUEUES: readonly Queue[] = ["leaving", "new", "failed", "announced"];

/**
 * Announces names one after the other, at an even pace, and again before the pool forgets them. Names beyond what that pace can
 * keep announced are not announced at all.
 */
export class NameAnnouncer {
  /** By outcome: `announced`, `withdrawn`, `failed`, `refused`. Monotonic. */
  readonly outcomes = new Map<string, number>();
  readonly #deps: NameAnnouncerDeps;
  readonly #delays: Readonly<Record<Queue, number>>;
  readonly #pauseMs: number;
  readonly #capacity: number;
  /** All names; in each queue the delay is the same for all, so that their order is that of their due times. */
  readonly #queues: Readonly<Record<Queue, Map<string, number>>> = {
    leaving: new Map(),
    new: new Map(),
    failed: new Map(),
    announced: new Map(),
  };
  readonly #names = new Set<string>();
  readonly #underWay = new Set<string>();
  #timer: Timer | null = null;
  #timerDueMs = 0;
  /** Earliest time of the next announcement, by the pace. */
  #nextMs = 0;
  #isPaused = true;
  #isClosed = false;
  #wasFull = false;

  constructor(deps: NameAnnouncerDeps, { perSecond, refreshMs }: NameAnnouncerOptions) {
    this.#deps = deps;
    this.#pauseMs = 1000 / perSecond;
    this.#capacity = Math.max(1, Math.floor((perSecond * refreshMs) / 1000));
    this.#delays = { leaving: 0, new: 0, failed: RETRY_MS, announced: refreshMs };
  }

  /** Number of names that are to be announced. */
  get size(): number {
    return this.#names.size;
  }

  /** Number of names that are announced at present. */
  get announced(): number {
    return this.#queues.announced.size;
  }

  /** Begins to announce. Names that are added earlier wait. */
  start(): void {
    this.#isPaused = false;
    this.#schedule();
  }

  /** Announces a name from now on. */
  add(name: string): void {
    if (this.#names.has(name) || this.#isClosed) return;
    if (this.#names.size >= this.#capacity) {
      this.#refuse();
      return;
    }
    this.#names.add(name);
    const isStillAnnounced = this.#queues.leaving.delete(name);
    if (!this.#underWay.has(name)) this.#enqueue(isStillAnnounced ? "announced" : "new", name);
  }

  /** Announces a name no longer, and withdraws what was announced. */
  remove(name: string): void {
    if (!this.#names.delete(name) || this.#isClosed) return;
    for (const queue of QUEUES) if (this.#queues[queue].delete(name) && queue !== "new") this.#enqueue("leaving", name);
  }

  /** Ends all announcements; what is announced stays for its lifetime. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #refuse(): void {
    addCount(this.outcomes, "refused");
    if (this.#wasFull) return;
    this.#wasFull = true;
    const fields = { names: this.#capacity, remedy: "raise global.rate, or global.refresh" };
    this.#deps.env.logger.warn("more names than can be announced at the configured rate", fields);
  }

  #enqueue(queue: Queue, name: string): void {
    this.#queues[queue].set(name, this.#deps.env.clock.nowMs() + this.#delays[queue]);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isClosed || this.#isPaused) return;
    const next = this.#next();
    if (next === undefined) return;
    const { clock } = this.#deps.env;
    const dueMs = Math.max(next.dueMs, this.#nextMs);
    if (this.#timer !== null && this.#timerDueMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = clock.setTimer(Math.max(0, dueMs - clock.nowMs()), () => this.#onTimer());
  }

  /** The name that waits longest of those that are due first. */
  #next(): (Waiting & { readonly name: string }) | undefined {
    let found: (Waiting & { readonly name: string }) | undefined;
    for (const queue of QUEUES) {
      const [first] = this.#queues[queue];
      if (first === undefined) continue;
      const [name, dueMs] = first;
      if (found === undefined || dueMs < found.dueMs) found = { name, queue, dueMs };
    }
    return found;
  }

  #onTimer(): void {
    this.#timer = null;
    const nowMs = this.#deps.env.clock.nowMs();
    const next = this.#next();
    const isDue = next !== undefined && next.dueMs <= nowMs;
    this.#nextMs = nowMs + this.#pauseMs;
    if (isDue && this.#underWay.size < ANNOUNCING_CONCURRENCY) void this.#perform(next.queue, next.name);
    this.#schedule();
  }

  async #perform(queue: Queue, name: string): Promise<void> {
    const { pool } = this.#deps;
    this.#queues[queue].delete(name);
    if (this.#underWay.has(name)) return this.#enqueue(queue, name);
    this.#underWay.add(name);
    const isLeaving = queue === "leaving";
    const wasDone = await (isLeaving ? pool.withdraw(nameKey(name)) : pool.announce(nameKey(name))).then(
      () => true,
      (error: unknown) => {
        this.#deps.env.logger.debug("a name was not announced", { error: String(error) });
        return false;
      },
    );
    this.#underWay.delete(name);
    addCount(this.outcomes, wasDone ? (isLeaving ? "withdrawn" : "announced") : "failed");
    if (!this.#isClosed) this.#afterwards(name, { isLeaving, wasDone });
  }

  /** A name may have been added or removed while its announcement was under way. */
  #afterwards(name: string, { isLeaving, wasDone }: { readonly isLeaving: boolean; readonly wasDone: boolean }): void {
    const isWanted = this.#names.has(name);
    // A withdrawal that failed is left to the lifetime of the announcement.
    if (isWanted) this.#enqueue(isLeaving ? "new" : wasDone ? "announced" : "failed", name);
    else if (!isLeaving && wasDone) this.#enqueue("leaving", name);
  }
}
