import type { Clock } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import type { RequestChannel } from "./request-channel.js";
import { RequestExchange } from "./request-exchange.js";

/** Send one message and wait for its response. */
export type Ask = (message: OutgoingMessage) => Promise<Message>;

export interface RequestOperationOptions {
  readonly isConfirmable: boolean;
  /** See `ClientRequest`. */
  readonly isRelayed: boolean;
}

/** A sequence of exchanges with one peer that serves one purpose and is stopped as a whole. */
export class RequestOperation {
  /** Bytes of all responses so far. */
  wireBytes = 0;
  readonly #deps: { clock: Clock; channel: RequestChannel };
  readonly #options: RequestOperationOptions;
  #current: RequestExchange | null = null;
  #stopped: TransportError | null = null;

  constructor(deps: { clock: Clock; channel: RequestChannel }, options: RequestOperationOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** @throws {TransportError} as the exchange fails, or as `stop` was told. */
  readonly ask: Ask = (message) =>
    new Promise((resolve, reject) => {
      if (this.#stopped !== null) {
        reject(this.#stopped);
        return;
      }
      this.#current = new RequestExchange(this.#deps, { message, ...this.#options }, (result) => {
        if (result instanceof TransportError) {
          reject(result);
          return;
        }
        this.wireBytes += result.wireBytes;
        resolve(result);
      });
    });

  /** Fail the exchange under way, and any further one, with `error`. */
  stop(error: TransportError): void {
    this.#stopped ??= error;
    this.#current?.finish(this.#stopped);
  }
}
