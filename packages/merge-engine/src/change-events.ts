import { EventEmitter } from "eventemitter3";
import type { DirectoryEvents } from "./types.js";

/** An event with the arguments of its listeners. */
export type Notice = {
  [E in keyof DirectoryEvents]: readonly [event: E, ...args: Parameters<DirectoryEvents[E]>];
}[keyof DirectoryEvents];

/**
 * Tells listeners what changed, in the order in which it did. A change that a listener makes is told after the one that it
 * was told of, so that every listener sees the same sequence. What a listener throws keeps no other from being told; the
 * first such error is kept for the one who made the change.
 */
export class ChangeEvents {
  readonly #emitter = new EventEmitter<DirectoryEvents>();
  #waiting: Notice[] = [];
  #failure: { readonly error: unknown } | null = null;
  #isTelling = false;

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

  /** Tell of these when the records are consistent again. */
  post(notices: readonly Notice[]): void {
    this.#waiting.push(...notices);
  }

  /** Tell what has been posted. Only while no change is half done, because listeners make changes too. */
  deliver(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      for (const notice of batch) this.#emit(notice);
    }
    this.#isTelling = false;
  }

  /** At the end of a method that changes something: tell what is left, then throw what a listener threw. */
  finish(): void {
    this.deliver();
    if (this.#failure === null || this.#isTelling) return;
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
