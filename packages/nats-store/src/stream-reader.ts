import type { StoreChange } from "@tributary/resource-directory";
import type { Clock, Timer } from "@tributary/runtime";
import { decodeRegistration, hashOfSubject, locationOf } from "./registration-message.js";
import type { SharedStream, StreamMessage } from "./shared-stream.js";

/** Collaborators of `StreamReader`. */
export interface StreamReaderDeps {
  readonly clock: Clock;
  readonly stream: SharedStream;
  /** Local wall-clock time of a moment of the stream, ms. */
  readonly toLocalMs: (streamMs: number) => number;
  readonly onRejected: (cause: string, subject: string) => void;
}

interface Waiter {
  readonly sequence: number;
  readonly resolve: (isDelivered: boolean) => void;
  readonly timer: Timer;
}

/** Turns the messages of the stream into changes, and says how far that has come. */
export class StreamReader {
  readonly #deps: StreamReaderDeps;
  #consumer: (change: StoreChange) => void = () => {};
  #stop: () => void = () => {};
  #delivered = 0;
  #generation = 0;
  #waiters: Waiter[] = [];
  #restarting: Promise<void> | null = null;

  constructor(deps: StreamReaderDeps) {
    this.#deps = deps;
  }

  /** Sequence of the last message that was delivered; 0: none was. */
  get delivered(): number {
    return this.#delivered;
  }

  set consumer(consumer: (change: StoreChange) => void) {
    this.#consumer = consumer;
  }

  /** Follows the stream from the message after the last one. Rejects without a response. */
  async start(): Promise<void> {
    this.#stop();
    const generation = ++this.#generation;
    const stop = await this.#deps.stream.follow(this.#delivered + 1, (message) => {
      if (generation === this.#generation) this.#take(message);
    });
    if (generation === this.#generation) this.#stop = stop;
    else stop();
  }

  /** Follows the stream again, because what is stored does not arrive. Once at a time; never rejects. */
  restart(): Promise<void> {
    this.#restarting ??= this.start()
      .catch(() => undefined)
      .finally(() => {
        this.#restarting = null;
      });
    return this.#restarting;
  }

  /** Resolves with true when the message with this sequence, or a later one, was delivered; with false after `limitMs`. */
  until(sequence: number, limitMs: number): Promise<boolean> {
    if (this.#delivered >= sequence) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = this.#deps.clock.setTimer(limitMs, () => {
        this.#waiters = this.#waiters.filter((one) => one !== waiter);
        resolve(false);
      });
      const waiter: Waiter = { sequence, resolve, timer };
      this.#waiters.push(waiter);
    });
  }

  close(): void {
    this.#generation++;
    this.#stop();
    for (const { resolve, timer } of this.#waiters.splice(0)) {
      timer.cancel();
      resolve(false);
    }
  }

  /** What is delivered twice, after a reconnection, is taken once. */
  #take(message: StreamMessage): void {
    if (message.sequence <= this.#delivered) return;
    const change = this.changeOf(message);
    this.#delivered = message.sequence;
    if (change !== undefined) this.#consumer(change);
    this.#wake();
  }

  /** What a message says; undefined: nothing about a registration. */
  changeOf({ subject, sequence: position, kind, payload, timeMs }: StreamMessage): StoreChange | undefined {
    const { stream, toLocalMs, onRejected } = this.#deps;
    const hash = hashOfSubject(stream.prefix, subject);
    if (hash === undefined) {
      if (!subject.startsWith(`${stream.prefix}.meta.`)) onRejected("store-foreign-record", subject);
      return undefined;
    }
    const id = locationOf(stream.secret, hash);
    // Markers are the servers' own: nobody removed anything at that time.
    if (kind === "marker") return { kind: "delete", position, id };
    if (kind === "delete") return { kind, position, id, atWallMs: toLocalMs(timeMs) };
    const registration =
      kind === "other" ? undefined : decodeRegistration(payload, hash, { id, storedAtWallMs: toLocalMs(timeMs) });
    if (registration === undefined || kind === "other") {
      onRejected("store-record", subject);
      // Whatever was there before is replaced by something that nobody can read.
      return { kind: "delete", position, id };
    }
    return { kind, position, id, registration };
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const rest: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.sequence > this.#delivered) {
        rest.push(waiter);
        continue;
      }
      waiter.timer.cancel();
      waiter.resolve(true);
    }
    this.#waiters = rest;
  }
}
