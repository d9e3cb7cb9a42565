import { EventEmitter } from "eventemitter3";
import type { DirectoryEvents } from "./types.js";

/** An event with the arguments of its listeners. */
export type Notice = {
  [E in keyof DirectoryEvents]: readonly [event: E, ...args: Parameters<DirectoryEvents[E]>];
}[keyof DirectoryEvents];

/**
 * Notifies listeners of changes in their order. A change that a listener makes is delivered after the one that it was notified of,
 * so every listener sees the same sequence. If a listener throws, the others are notified all the same; the first error is kept
 * for the caller that made the change.
 */
export class ChangeEvents {
  readonly #emitter = new EventEmitter<DirectoryEvents>();
  #waiting: Notice[] = [];
  #failure: { readonly error: unknown } | null = null;
  #isDelivering = false;

  on<E extends keyof DirectoryEvents>(event: E, listener: DirectoryEvents[E]): () => void {
    const call = listener as (...args: unknown[]) => void;
    let isActive = true;
    const guarded = (...args: unknown[]): void => {
      if (!isActive) return;
      try {
        call(...args);
      } catch (error) {
        this.#failure ??= { error };
      }
    };
    // The emitter derives the arguments from the event, which it cannot do while the event is a type parameter.
    const subscriber = guarded as never;
    this.#emitter.on(event, subscriber);
    return () => {
      isActive = false;
      this.#emitter.off(event, subscriber);
    };
  }

  hasListeners(event: keyof DirectoryEvents): boolean {
    return this.#emitter.listenerCount(event) > 0;
  }

  /** Queues events until the records are consistent again. */
  post(notices: readonly Notice[]): void {
    this.#waiting.push(...notices);
  }

  /** Delivers the queued events. Only between changes, because listeners make changes too. */
  deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      for (const notice of batch) this.#emit(notice);
    }
    this.#isDelivering = false;
  }

  /** Delivers the rest at the end of a method that changes something, then throws the error of a listener. */
  finish(): void {
    this.deliver();
    if (this.#failure === null || this.#isDelivering) return;
    const { error } = this.#failure;
    this.#failure = null;
    throw error;
  }

  #emit(notice: Notice): void {
    switch (notice[0]) {
      case "visible":
        this.#emitter.emit("visible", notice[1]);
        return;
      case "source":
        this.#emitter.emit("source", notice[1]);
        return;
      case "connection":
        this.#emitter.emit("connection", notice[1], notice[2]);
        return;
      case "rebased":
        this.#emitter.emit("rebased");
        return;
      case "retimed":
        this.#emitter.emit("retimed", notice[1]);
        return;
      default:
        notice satisfies never;
    }
  }
}
