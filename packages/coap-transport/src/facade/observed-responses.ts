import { TransportError } from "../errors.js";
import { CODE } from "../message/codes.js";
import type { ClientResponse, Observation, ObservationListener } from "../types.js";
import { Response } from "./response.js";

/** Starts an observation; `release` is called when it is over. */
type StartObservation = (listener: ObservationListener) => {
  readonly value: Promise<Observation>;
  readonly release: () => void;
};

type Waiting = {
  readonly resolve: (result: IteratorResult<Response>) => void;
  readonly reject: (error: unknown) => void;
};

/** An observation as an iterator over the states of the resource. Holds the latest state that was not read yet. */
export class ObservedResponses implements AsyncIterableIterator<Response> {
  readonly #start: StartObservation;
  readonly #signal: AbortSignal | undefined;
  #running: ReturnType<StartObservation> | null = null;
  #latest: Response | null = null;
  #waiting: Waiting | null = null;
  #failure: Error | null = null;
  #isOver = false;

  constructor(start: StartObservation, signal: AbortSignal | undefined) {
    this.#start = start;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Response>> {
    this.#begin();
    if (this.#latest !== null) {
      const value = this.#latest;
      this.#latest = null;
      return Promise.resolve({ value, done: false });
    }
    const failure = this.#failure;
    if (failure !== null) {
      this.#failure = null;
      return Promise.reject(failure);
    }
    if (this.#isOver) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiting?.resolve({ value: undefined, done: true });
      this.#waiting = { resolve, reject };
    });
  }

  async return(): Promise<IteratorResult<Response>> {
    this.#stop();
    return { value: undefined, done: true };
  }

  #begin(): void {
    if (this.#running !== null || this.#isOver) return;
    if (this.#signal?.aborted === true) {
      this.#stop();
      return;
    }
    this.#signal?.addEventListener("abort", this.#stop, { once: true });
    this.#running = this.#start({
      onNotification: (response) => this.#take(response),
      onEnd: (reason) => this.#end(reason),
    });
    this.#running.value.catch((error: Error) => this.#end(error));
  }

  #take(response: ClientResponse): void {
    // 2.03 confirms the state that was delivered before.
    if (this.#isOver || response.code === CODE.VALID) return;
    const value = new Response(response);
    if (this.#waiting === null) this.#latest = value;
    else this.#waiting.resolve({ value, done: false });
    this.#waiting = null;
  }

  #end(reason: "not-observable" | "error-response" | Error): void {
    if (this.#isOver) return;
    if (reason !== "error-response")
      this.#failure =
        reason === "not-observable"
          ? new TransportError("NOT_OBSERVABLE", "the server does not let this resource be observed")
          : reason;
    this.#finish();
  }

  readonly #stop = (): void => {
    if (this.#isOver) return;
    this.#latest = null;
    this.#finish();
  };

  #finish(): void {
    this.#isOver = true;
    this.#signal?.removeEventListener("abort", this.#stop);
    const running = this.#running;
    // The request that ends the observation still needs the client.
    running?.value
      .then((observation) => observation.close())
      .catch(() => {})
      .finally(() => running.release());
    const failure = this.#failure;
    if (this.#waiting === null) return;
    if (failure === null) this.#waiting.resolve({ value: undefined, done: true });
    else {
      this.#failure = null;
      this.#waiting.reject(failure);
    }
    this.#waiting = null;
  }
}
