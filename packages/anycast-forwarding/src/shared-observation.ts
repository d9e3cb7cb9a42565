import {
  type ClientResponse,
  CODE,
  errorResponse,
  type KeepAlive,
  type Observation,
  type ObservationListener,
  type ObservationSource,
  type ObservedResource,
  type Observer,
  type ServerResponse,
  TransportError,
} from "@tributary/coap-transport";
import type { Environment, Timer } from "@tributary/runtime";
import type { ByteBudget } from "./byte-budget.js";
import { LINGER_MS, MAX_FRESH_MS, MIN_FRESH_MS } from "./constants.js";
import { withNameInFront } from "./hop-limit.js";
import { forwardedResponse } from "./option-translation.js";

const SILENT = errorResponse(CODE.GATEWAY_TIMEOUT, "the observed node does not respond");
const NOT_OBSERVABLE = errorResponse(CODE.UNAVAILABLE, "this can no longer be observed");

/** Settings and callbacks of a `SharedObservation`. */
export interface SharedObservationOptions {
  /** Name of this node. */
  readonly name: string;
  /** Called once when the observation ends, for any reason. Nobody can join afterwards. */
  readonly onEnded: () => void;
  /** Called when it ends because the peer does not respond or sends something malformed. */
  readonly onSilence: (error: Error) => void;
  /** Budget for the states of all observations. */
  readonly budget: ByteBudget;
  /** Called when the budget has no room for a state. */
  readonly onNoRoom: () => void;
}

interface State {
  readonly response: ServerResponse;
  /** Sequence number of the state, by which each observer knows whether it has it. */
  readonly number: number;
  receivedAtMs: number;
  maxAgeS: number;
}

/**
 * An observation at a peer, shared by all clients that observe the same resource through this node. The latest state is cached for
 * clients that join (RFC 7641 section 5), and refreshed when it was not confirmed within its Max-Age (section 3.3.1).
 */
export class SharedObservation implements ObservationListener {
  readonly firstResponse: Promise<ServerResponse>;
  readonly #env: Environment;
  readonly #options: SharedObservationOptions;
  readonly #members = new Set<Member>();
  readonly #succeed: (response: ServerResponse) => void;
  readonly #fail: (error: Error) => void;
  #observation: Observation | null = null;
  #state: State | null = null;
  #hasEnded = false;
  #lingerTimer: Timer | null = null;

  constructor(env: Environment, options: SharedObservationOptions) {
    this.#env = env;
    this.#options = options;
    let succeed: (response: ServerResponse) => void = () => {};
    let fail: (error: Error) => void = () => {};
    this.firstResponse = new Promise((resolve, reject) => {
      succeed = resolve;
      fail = reject;
    });
    this.#succeed = succeed;
    this.#fail = fail;
  }

  /** Observes with `observe`, which is given when to repeat the registration. */
  start(observe: (keepAlive: KeepAlive) => Observation): void {
    this.#observation = observe({ minMs: MIN_FRESH_MS, maxMs: MAX_FRESH_MS, graceMs: 0, etags: () => this.#etags() });
  }

  /** Returns the present state with an observation of later ones; null when the observation has ended. */
  join(): ServerResponse | null {
    if (this.#hasEnded || this.#state === null) return null;
    // The client may never attach.
    this.#linger();
    const { number } = this.#state;
    const observation: ObservationSource = { attach: (observer) => this.#attach(observer, number) };
    return { ...this.#present(this.#state), observation };
  }

  cancel(): void {
    this.#observation?.cancel();
    this.#fail(new TransportError("CLOSED", "shutting down"));
    this.#end(errorResponse(CODE.UNAVAILABLE, "shutting down"));
  }

  /** Gives up waiting for the first response; no effect once it has arrived. */
  giveUp(error: TransportError): void {
    if (this.#state !== null || this.#hasEnded) return;
    this.#observation?.cancel();
    this.#fail(error);
    this.#end(errorResponse(CODE.GATEWAY_TIMEOUT, "no response in time"));
  }

  onNotification(received: ClientResponse): void {
    if (this.#hasEnded) return;
    const response = withNameInFront(this.#options.name, forwardedResponse(received));
    if (response.code >= CODE.BAD_REQUEST) {
      this.#succeed(response);
      this.#end(response);
      return;
    }
    const now = { receivedAtMs: this.#env.clock.nowMs(), maxAgeS: received.maxAgeS };
    // 2.03 is the response to a refresh: the cached state is current.
    if (received.code === CODE.VALID && this.#state !== null) Object.assign(this.#state, now);
    else if (!this.#options.budget.replace(sizeOf(this.#state?.response), sizeOf(response))) {
      this.#succeed(response);
      this.#giveRoom();
      return;
    } else {
      this.#state = { response, number: (this.#state?.number ?? 0) + 1, ...now };
      for (const member of this.#members) member.observer.wake();
    }
    this.#succeed(response);
  }

  onEnd(reason: "not-observable" | "error-response" | Error): void {
    if (reason instanceof Error) {
      this.#fail(reason);
      if (this.#state !== null) this.#options.onSilence(reason);
      this.#end(isSilence(reason) ? SILENT : NOT_OBSERVABLE);
    } else this.#end(NOT_OBSERVABLE);
  }

  /** Returns the present state, or null when it is the one with `number`. */
  newerThan(number: number): { readonly response: ServerResponse; readonly number: number } | null {
    const state = this.#state;
    return state === null || state.number === number ? null : { response: this.#present(state), number: state.number };
  }

  leave(member: Member): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.#linger();
  }

  #etags(): readonly Uint8Array[] {
    const etag = this.#state?.response.etag;
    return etag === undefined ? [] : [etag];
  }

  #attach(observer: Observer, number: number): ObservedResource {
    const member = new Member(this, observer, number);
    if (this.#hasEnded) observer.end(errorResponse(CODE.UNAVAILABLE, "repeat the request"));
    else {
      this.#members.add(member);
      if (this.#state?.number !== number) observer.wake();
    }
    return member;
  }

  /** Returns a cached response with the rest of its Max-Age (RFC 7252 section 5.6.1). */
  #present({ response, receivedAtMs, maxAgeS }: State): ServerResponse {
    const ageS = Math.floor((this.#env.clock.nowMs() - receivedAtMs) / 1000);
    return { ...response, maxAgeS: Math.max(0, maxAgeS - ageS) };
  }

  /** Ends the observation soon if there is no observer. */
  #linger(): void {
    if (this.#hasEnded || this.#members.size > 0) return;
    this.#lingerTimer?.cancel();
    this.#lingerTimer = this.#env.clock.setTimer(LINGER_MS, () => {
      if (this.#hasEnded || this.#members.size > 0) return;
      this.#end(errorResponse(CODE.UNAVAILABLE, "no longer observed"));
      // Resolves even when the peer does not respond.
      void this.#observation?.close();
    });
  }

  /** Ends the observation for lack of memory. Clients that repeat the request get a response without Observe. */
  #giveRoom(): void {
    this.#options.onNoRoom();
    this.#end(errorResponse(CODE.UNAVAILABLE, "there is no room to observe this"));
    void this.#observation?.close();
  }

  #end(final: ServerResponse): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#options.budget.replace(sizeOf(this.#state?.response), 0);
    this.#state = null;
    this.#lingerTimer?.cancel();
    this.#options.onEnded();
    for (const { observer } of [...this.#members]) observer.end(final);
    this.#members.clear();
  }
}

function isSilence(error: Error): boolean {
  return error instanceof TransportError && (error.code === "TIMEOUT" || error.code === "UNREACHABLE");
}

function sizeOf(response: ServerResponse | undefined): number {
  return response?.payload?.length ?? 0;
}

/** A client that observes through this node. */
class Member implements ObservedResource {
  readonly observer: Observer;
  readonly #shared: SharedObservation;
  /** Number of the state that it was sent last. */
  #number: number;

  constructor(shared: SharedObservation, observer: Observer, number: number) {
    this.#shared = shared;
    this.observer = observer;
    this.#number = number;
  }

  next(): ServerResponse | null {
    const state = this.#shared.newerThan(this.#number);
    if (state === null) return null;
    this.#number = state.number;
    return state.response;
  }

  closed(): void {
    this.#shared.leave(this);
  }
}
