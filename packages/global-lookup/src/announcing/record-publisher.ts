import type { Environment, Timer } from "@tributary/runtime";
import { RECORD_LIFETIME_S, RECORD_REFRESH_MS, RETRY_MS } from "../constants.js";
import type { AnnouncerKey } from "../record/announcer-key.js";
import { writeRecord } from "../record/rd-record.js";
import type { Pool } from "../types.js";

/** Collaborators of a `RecordPublisher`. */
export interface RecordPublisherDeps {
  readonly pool: Pick<Pool, "publish">;
  readonly env: Environment;
  readonly key: AnnouncerKey;
}

/** Time after which the first attempts are repeated: a member that has just started knows nobody, ms. */
const FIRST_RETRY_MS = 500;

/** Time to declare the record void, ms: a dead member of the pool must not hold up the end of this node. */
const LEAVING_MS = 2000;

/** Keeps the record of this node in the pool: publishes it again before it ends, and declares it void at the end. */
export class RecordPublisher {
  readonly #deps: RecordPublisherDeps;
  readonly #uris: () => readonly string[];
  readonly #onPublished: () => void;
  #sequence = 0;
  #retryMs = FIRST_RETRY_MS;
  #timer: Timer | null = null;
  #isClosed = false;
  #isPublished = false;

  /**
   * `uris` returns the addresses of this node at present, see `RdRecord`; `onPublished` is called when the record is in the pool: before that
   * announcements are of no use.
   */
  constructor(deps: RecordPublisherDeps, uris: () => readonly string[], onPublished: () => void = () => {}) {
    this.#deps = deps;
    this.#uris = uris;
    this.#onPublished = onPublished;
  }

  /** Whether the last attempt succeeded. */
  get isPublished(): boolean {
    return this.#isPublished;
  }

  /** Publishes the record now, and from now on. Settles after the first attempt, whatever came of it. */
  async start(): Promise<void> {
    const uris = this.#uris();
    if (uris.length > 0) await this.#publish(uris);
    if (this.#isClosed) return;
    this.#retryMs = this.#isPublished ? FIRST_RETRY_MS : Math.min(RETRY_MS, 2 * this.#retryMs);
    const delayMs = this.#isPublished ? RECORD_REFRESH_MS : this.#retryMs;
    this.#timer = this.#deps.env.clock.setTimer(delayMs, () => void this.start());
  }

  /**
   * Declares the record void: everything that this node announced is then void as well. Resolves within a few seconds, whatever
   * the pool does. Idempotent.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    if (!this.#isPublished) return;
    const { clock } = this.#deps.env;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = clock.setTimer(LEAVING_MS, resolve);
    });
    await Promise.race([this.#publish([]), late]);
    timer?.cancel();
  }

  async #publish(uris: readonly string[]): Promise<void> {
    const { pool, env, key } = this.#deps;
    const nowS = Math.floor(env.clock.wallMs() / 1000);
    // By the wall clock, so that it is higher than that of an earlier run.
    this.#sequence = Math.max(this.#sequence + 1, nowS);
    const record = writeRecord(key, { sequence: this.#sequence, expiresAtS: nowS + RECORD_LIFETIME_S, uris });
    try {
      await pool.publish(record, this.#sequence);
      this.#isPublished = true;
      if (!this.#isClosed) this.#onPublished();
    } catch (error) {
      if (this.#isPublished) env.logger.warn("the record of this node is not in the pool", { error: String(error) });
      this.#isPublished = false;
    }
  }
}
