import type { Clock } from "@tributary/runtime";
import type { TransportError } from "../errors.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import { onAbort } from "./abort.js";
import type { RequestChannel } from "./request-channel.js";
import { RequestExchange } from "./request-exchange.js";

/** Sends one message and resolves with the response. */
export type Ask = (message: OutgoingMessage) => Promise<Message>;

export interface RequestOperationOptions {
  readonly isConfirmable: boolean;
  /** See `ClientRequest`. */
  readonly isRelayed: boolean;
}

/** A series of exchanges with one peer, such as a block-wise transfer, that is aborted as a whole. */
export class RequestOperation {
  /** Size of all responses so far. */
  wireBytes = 0;
  readonly #deps: { clock: Clock; channel: RequestChannel };
  readonly #options: RequestOperationOptions;
  readonly #signal: AbortSignal;

  /** Aborting `signal` fails the exchanges in progress, and later ones, with its reason. */
  constructor(deps: { clock: Clock; channel: RequestChannel }, options: RequestOperationOptions, signal: AbortSignal) {
    this.#deps = deps;
    this.#options = options;
    this.#signal = signal;
  }

  /** @throws {TransportError} when the exchange fails, and the reason of the signal. */
  readonly ask: Ask = (message) =>
    new Promise((resolve, reject) => {
      if (this.#signal.aborted) {
        reject(this.#signal.reason as TransportError);
        return;
      }
      let unsubscribe = (): void => {};
      const exchange = new RequestExchange(this.#deps, { message, ...this.#options }, (result) => {
        unsubscribe();
        if (result instanceof Error) {
          reject(result);
          return;
        }
        this.wireBytes += result.wireBytes;
        resolve(result);
      });
      unsubscribe = onAbort(this.#signal, (reason) => exchange.finish(reason));
    });
}
