import type { LookupInterface } from "@tributary/merge-engine";
import type { Clock, Timer } from "@tributary/runtime";
import type { AskedObservation, AskedResult, UnchangedResult, Upstream } from "@tributary/upstream-sync";
import { COLD_CHECK_MS } from "./constants.js";

export interface ObservedResultOptions {
  readonly upstream: Upstream;
  readonly kind: LookupInterface;
  readonly items: readonly string[];
  /** Notifications, besides what `ask` resolves with. */
  readonly onResult: (answer: AskedResult) => void;
  /** Whether nobody asks any more. */
  readonly isCold: (nowMs: number) => boolean;
  /** Once, when it is over, for whatever reason. */
  readonly onClosed: () => void;
}

/**
 * One observation of a lookup at an upstream, kept as long as somebody asks. That notifications come does not prove that all
 * come: what is held is fresh for its Max-Age and no longer, and is then asked for anew.
 */
export class ObservedResult {
  readonly #clock: Clock;
  readonly #options: ObservedResultOptions;
  #observation: AskedObservation | null = null;
  /** What the upstream was told to be held: what 2.03 is about. */
  #held: AskedResult | undefined;
  /** Waits for the answer to a registration. */
  #asked: { resolve(answer: AskedResult): void; reject(error: unknown): void } | null = null;
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
   * Register, or register again (RFC 7641 section 3.3.1). Resolves with the answer to that. Rejects, and closes, when there is
   * none, or when `signal` aborts before.
   */
  async ask(held: AskedResult | undefined, signal: AbortSignal): Promise<AskedResult> {
    const answer = new Promise<AskedResult>((resolve, reject) => {
      this.#asked = { resolve, reject };
    });
    const abort = (): void => this.#over(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      this.#register(held);
      return await answer;
    } catch (error) {
      this.#over(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  close(): void {
    this.#over(new Error("the answer is no longer observed"));
  }

  #register(held: AskedResult | undefined): void {
    this.#held = held?.etag === undefined ? undefined : held;
    if (this.#observation !== null) {
      this.#observation.refresh(held?.etag);
      return;
    }
    const { upstream, kind, items } = this.#options;
    const listener = {
      onResult: (answer: AskedResult | UnchangedResult) => this.#answered(answer),
      onEnd: (error: unknown) => this.#over(error),
    };
    this.#observation = upstream.observe(kind, items, listener, held?.etag === undefined ? {} : { etag: held.etag });
  }

  #answered(received: AskedResult | UnchangedResult): void {
    if (this.#isClosed) return;
    const answer = "isUnchanged" in received ? this.#unchanged(received) : received;
    if (answer === undefined) {
      this.#over(new Error("what is not held cannot be unchanged"));
      return;
    }
    const asked = this.#asked;
    this.#asked = null;
    if (asked === null) this.#options.onResult(answer);
    else asked.resolve(answer);
  }

  #unchanged({ maxAgeS }: UnchangedResult): AskedResult | undefined {
    return this.#held === undefined ? undefined : { ...this.#held, maxAgeS };
  }

  #over(error: unknown): void {
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
