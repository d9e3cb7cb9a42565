import { MAX_SEQUENCE_NUMBER, RESERVE_STEP } from "../constants.js";
import { OscoreError } from "../errors.js";
import type { StoredWindow } from "./replay-window.js";

/** The part of a security context that changes, as it is kept on disk. */
export interface ContextState {
  /** The lowest sequence number that was certainly not used. */
  readonly nextToSend: number;
  readonly received: StoredWindow | "unknown";
}

/** Keeps the state of one context across restarts. */
export interface StateStore {
  /** The state that was saved last; undefined: the context was never used. */
  load(): ContextState | undefined;
  /** Returns when the state is on disk. */
  save(state: ContextState): void;
  /** Resolves when the state is on disk. Saves are written in the order of the calls. */
  saveLater(state: ContextState): Promise<void>;
  /** Nothing is saved any more; another process may use the context. */
  close(): void;
}

/**
 * The sender sequence numbers of one context. A number is never given twice, not even after a crash: numbers are reserved on disk in
 * steps before they are used (RFC 8613 appendix B.1.1).
 */
export class SequenceNumbers {
  readonly #store: StateStore;
  readonly #onError: (error: unknown) => void;
  #next: number;
  /** Numbers below this are reserved on disk. */
  #reserved: number;
  #isReserving = false;
  #isClosed = false;

  /** `onError` gets what prevents the next step from being reserved ahead of time. */
  constructor(store: StateStore, start: number, onError: (error: unknown) => void) {
    this.#store = store;
    this.#next = start;
    this.#reserved = start;
    this.#onError = onError;
  }

  get next(): number {
    return this.#next;
  }

  /** Whether anything was reserved since the start: the file then no longer says that the context is unused. */
  get isReserved(): boolean {
    return this.#reserved > this.#next;
  }

  /**
   * Returns a number that was never used.
   * @throws {OscoreError} `EXHAUSTED`
   */
  take(): number {
    if (this.#isClosed) throw new OscoreError("EXHAUSTED", "the security context was replaced or closed");
    if (this.#next > MAX_SEQUENCE_NUMBER) throw new OscoreError("EXHAUSTED", "all sequence numbers are used");
    if (this.#next >= this.#reserved) this.reserve();
    else if (this.#reserved - this.#next < RESERVE_STEP / 2 && !this.#isReserving) void this.#reserveAhead();
    return this.#next++;
  }

  /** No number is given any more; another owner of the state may continue with `next`. */
  close(): void {
    this.#isClosed = true;
  }

  /** Reserves a step, and says on disk that the replay window is unknown until an orderly end. */
  reserve(): void {
    const reserved = this.#next + RESERVE_STEP;
    this.#store.save({ nextToSend: reserved, received: "unknown" });
    this.#reserved = Math.max(this.#reserved, reserved);
  }

  async #reserveAhead(): Promise<void> {
    this.#isReserving = true;
    const reserved = this.#reserved + RESERVE_STEP;
    try {
      await this.#store.saveLater({ nextToSend: reserved, received: "unknown" });
      this.#reserved = Math.max(this.#reserved, reserved);
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#isReserving = false;
    }
  }
}
