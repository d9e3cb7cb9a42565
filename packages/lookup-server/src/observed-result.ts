import type { LookupInterface } from "@tributary/merge-engine";
import type { Clock, Timer } from "@tributary/runtime";
import type { AskedObservation, AskedResult, UnchangedResult, Upstream } from "@tributary/upstream-sync";
import { COLD_CHECK_MS } from "./constants.js";

/** What is observed, and callbacks. */
export interface ObservedResultOptions {
  readonly upstream: Upstream;
  readonly kind: LookupInterface;
  readonly items: readonly string[];
  /** Called with results of notifications, as opposed to those that `ask` resolves with. */
  readonly onResult: (result: AskedResult) => void;
  /** Whether the result is no longer in use. */
  readonly isCold: (nowMs: number) => boolean;
  /** Called once when the observation has ended, for whatever reason. */
  readonly onClosed: () => void;
}

/**
 * An observation of a lookup at an upstream, kept as long as its result is in use. Notifications may be lost, so a result is fresh
 * for its Max-Age only, and is then requested again.
 */
export class ObservedResult {
  readonly #clock: Clock;
  readonly #options: ObservedResultOptions;
  #observation: AskedObservation | null = null;
  /** The result whose entity tag was sent last: a 2.03 refers to it. */
  #held: AskedResult | undefined;
  /** Waits for the response to a registration. */
  #asked: { resolve(result: AskedResult): void; reject(error: unknown): void } | null = null;
  #isClosed = false;
  #timer: Timer;

  constructor(clock: Clock, options: ObservedResultOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#timer = this.#check();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Registers, or registers again (RFC 7641 section 3.3.1), and resolves with the response. Without a response, or when `signal`
   * aborts before, it rejects and closes the observation.
   */
  async ask(held: AskedResult | undefined, signal: AbortSignal): Promise<AskedResult> {
    const response = new Promise<AskedResult>((resolve, reject) => {
      this.#asked = { resolve, reject };
    });
    const abort = (): void => this.#end(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      this.#register(held);
      return await response;
    } catch (error) {
      this.#end(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  close(): void {
    this.#end(new Error("the result is no longer observed"));
  }

  #register(held: AskedResult | undefined): void {
    this.#held = held?.etag === undefined ? undefined : held;
    if (this.#observation !== null) {
      this.#observation.refresh(held?.etag);
      return;
    }
    const { upstream, kind, items } = this.#options;
    const listener = {
      onResult: (result: AskedResult | UnchangedResult) => this.#received(result),
      onEnd: (error: unknown) => this.#end(error),
    };
    this.#observation = upstream.observe(kind, items, listener, held?.etag === undefined ? {} : { etag: held.etag });
  }

  #received(received: AskedResult | UnchangedResult): void {
    if (this.#isClosed) return;
    const result = "isUnchanged" in received ? this.#unchanged(received) : received;
    if (result === undefined) {
      this.#end(new Error("a response without a known entity tag cannot be unchanged"));
      return;
    }
    const asked = this.#asked;
    this.#asked = null;
    if (asked === null) this.#options.onResult(result);
    else asked.resolve(result);
  }

  #unchanged({ maxAgeS }: UnchangedResult): AskedResult | undefined {
    return this.#held === undefined ? undefined : { ...this.#held, maxAgeS };
  }

  #end(error: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer.cancel();
    this.#observation?.close();
    this.#asked?.reject(error);
    this.#options.onClosed();
  }

  #check(): Timer {
    return this.#clock.setTimer(COLD_CHECK_MS, () => {
      if (this.#options.isCold(this.#clock.nowMs())) this.close();
      else this.#timer = this.#check();
    });
  }
}
