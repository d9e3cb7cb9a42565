import {
  encodeUint,
  formatCode,
  type Message,
  OPTION,
  type ProtectChannel,
  protectedCapacity,
  type RequestChannel,
  type ResponseListener,
  type TransmissionListener,
  TransportError,
} from "@tributary/coap-transport";
import type { RequestBinding, SecurityContext } from "../context/security-context.js";
import { OscoreError } from "../errors.js";

/** An observation is registered again with the same token: responses to the last two requests are understood. */
const MAX_BINDINGS = 2;
/** Observe has 24 bits (RFC 7641 section 2). */
const OBSERVE_SPACE = 0x1000000;

/** Protects the requests to one server with `context`, and takes only responses that are protected with it (RFC 8613 section 8). */
export function protectRequests(context: SecurityContext): ProtectChannel {
  return (channel) => new ProtectedChannel(channel, context);
}

/** What is known of the requests with one token. */
interface TokenState {
  readonly sink: ResponseListener;
  /** The last requests, newest first. */
  bindings: readonly RequestBinding[];
  /** Partial IV of the newest notification (RFC 8613 section 7.4.1). */
  newest: number | null;
  /** Requests whose own nonce a response has used. */
  readonly answered: Set<RequestBinding>;
  /** Observe value of the last notification that was passed on. */
  observe: number;
  isAnswered: boolean;
}

class ProtectedChannel implements RequestChannel {
  readonly #channel: RequestChannel;
  readonly #context: SecurityContext;
  readonly #states = new Map<string, TokenState>();

  constructor(channel: RequestChannel, context: SecurityContext) {
    this.#channel = channel;
    this.#context = context;
  }

  get peer() {
    return this.#channel.peer;
  }

  get isOrdered() {
    return this.#channel.isOrdered ?? false;
  }

  get capacity() {
    const { capacity } = this.#channel;
    return (capacity === undefined ? undefined : protectedCapacity(capacity)) as never;
  }

  get maxWaitMs() {
    return this.#channel.maxWaitMs;
  }

  get ackTimeoutMs() {
    return this.#channel.ackTimeoutMs;
  }

  newToken(): Uint8Array {
    return this.#channel.newToken();
  }

  bind(token: Uint8Array, sink: ResponseListener): void {
    const key = keyOf(token);
    const known = this.#states.get(key);
    const fresh = { bindings: [], newest: null, answered: new Set<RequestBinding>(), observe: 0, isAnswered: false };
    const state: TokenState = { ...(known ?? fresh), sink };
    this.#states.set(key, state);
    this.#channel.bind(token, {
      onResponse: (message, isPiggybacked) => this.#receive(state, message, isPiggybacked),
      onClosed: (error) => sink.onClosed(error),
    });
  }

  unbind(token: Uint8Array): void {
    this.#states.delete(keyOf(token));
    this.#channel.unbind(token);
  }

  send(
    token: Uint8Array,
    message: Parameters<RequestChannel["send"]>[1],
    isConfirmable: boolean,
    sink: TransmissionListener,
  ): { cancel(): void } {
    try {
      const { message: sealed, binding } = this.#context.protectRequest(message);
      const state = this.#states.get(keyOf(token));
      if (state !== undefined) state.bindings = [binding, ...state.bindings].slice(0, MAX_BINDINGS);
      return this.#channel.send(token, sealed, isConfirmable, sink);
    } catch (cause) {
      return failLater(
        sink,
        new TransportError("CLOSED", `the request cannot be protected: ${text(cause)}`, { cause }),
      );
    }
  }

  ping(sink: TransmissionListener): { cancel(): void } {
    return this.#channel.ping(sink);
  }

  #receive(state: TokenState, message: Message, isPiggybacked: boolean): boolean | Promise<unknown> {
    const opened = this.#open(state, message);
    if (opened instanceof OscoreError) {
      // What comes after a genuine response, and is not genuine itself, must not end an observation.
      if (!state.isAnswered) state.sink.onClosed(refusal(message, opened));
      return true;
    }
    if (!this.#isNew(state, opened)) return true;
    state.isAnswered = true;
    return state.sink.onResponse(withObserve(opened.message, state), isPiggybacked);
  }

  #open(state: TokenState, message: Message): Opened | OscoreError {
    let problem = new OscoreError("DECRYPTION_FAILED", "a response without request");
    for (const binding of state.bindings) {
      try {
        return { ...this.#context.openResponse(message, binding), binding };
      } catch (error) {
        if (!(error instanceof OscoreError)) throw error;
        problem = error;
      }
    }
    return problem;
  }

  /** RFC 8613 section 7.4.1: notifications are taken in the order of their numbers, each once. */
  #isNew(state: TokenState, { number, binding }: Opened): boolean {
    if (number === null) {
      if (state.answered.has(binding)) return false;
      for (const known of state.answered) if (!state.bindings.includes(known)) state.answered.delete(known);
      state.answered.add(binding);
      return true;
    }
    if (state.newest !== null && number <= state.newest) return false;
    state.newest = number;
    return true;
  }
}

interface Opened {
  readonly message: Message;
  readonly number: number | null;
  readonly binding: RequestBinding;
}

/** The order is that of the partial IVs: notifications that pass get Observe values that increase. */
function withObserve(message: Message, state: TokenState): Message {
  if (!message.options.some(({ number }) => number === OPTION.OBSERVE)) return message;
  state.observe = (state.observe + 1) % OBSERVE_SPACE;
  const value = encodeUint(state.observe);
  const options = message.options.map((option) => (option.number === OPTION.OBSERVE ? { ...option, value } : option));
  return { ...message, options };
}

function refusal(message: Message, cause: OscoreError): TransportError {
  if (cause.code !== "UNPROTECTED")
    return new TransportError("MALFORMED", `the protected response cannot be read: ${cause.message}`, { cause });
  const diagnostic = message.code >= 128 ? ` ${Buffer.from(message.payload.subarray(0, 100)).toString("utf8")}` : "";
  const what = `${formatCode(message.code)}${diagnostic}`;
  return new TransportError("MALFORMED", `the response to a protected request is not protected: ${what}`, { cause });
}

function failLater(sink: TransmissionListener, error: TransportError): { cancel(): void } {
  let isCancelled = false;
  queueMicrotask(() => {
    if (!isCancelled) sink.onUnreachable?.(error);
  });
  return {
    cancel: () => {
      isCancelled = true;
    },
  };
}

function keyOf(token: Uint8Array): string {
  return Buffer.from(token).toString("latin1");
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
