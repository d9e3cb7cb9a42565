import {
  type ClientResponse,
  CODE,
  errorResponse,
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

const SILENT = errorResponse(CODE.GATEWAY_TIMEOUT, "the node that was observed does not answer");
const NOT_OBSERVABLE = errorResponse(CODE.UNAVAILABLE, "this cannot be observed any more");

/** The first answer to an observed request. */
export type ObservedAnswer = ServerResponse;

export interface SharedObservationOptions {
  /** Name of this node. */
  readonly name: string;
  /** It ended, for whatever reason: nobody can join any more. Called once. */
  readonly onOver: () => void;
  /** It ended because the peer is silent, or could not be understood. */
  readonly onSilence: (error: Error) => void;
  /** For the states of all observations. */
  readonly budget: ByteBudget;
  /** There was no room for a state. */
  readonly onNoRoom: () => void;
}

interface State {
  readonly response: ServerResponse;
  /** Counts the states, so that each observer knows which it has. */
  readonly number: number;
  receivedAtMs: number;
  maxAgeS: number;
}

/**
 * One observation at a peer and all who observe through this node. Its latest state is kept for those who join (RFC 7641
 * section 5), and asked for again when it was not confirmed within its Max-Age (section 3.3.1).
 */
export class SharedObservation implements ObservationListener {
  readonly firstAnswer: Promise<ObservedAnswer>;
  readonly #env: Environment;
  readonly #options: SharedObservationOptions;
  readonly #members = new Set<Member>();
  readonly #answered: (answer: ObservedAnswer) => void;
  readonly #failed: (error: Error) => void;
  #observation: Observation | null = null;
  #state: State | null = null;
  #isOver = false;
  #refreshTimer: Timer | null = null;
  #lingerTimer: Timer | null = null;

  constructor(env: Environment, options: SharedObservationOptions) {
    this.#env = env;
    this.#options = options;
    let answered: (answer: ObservedAnswer) => void = () => {};
    let failed: (error: Error) => void = () => {};
    this.firstAnswer = new Promise((resolve, reject) => {
      answered = resolve;
      failed = reject;
    });
    this.#answered = answered;
    this.#failed = failed;
  }

  start(observation: Observation): void {
    this.#observation = observation;
  }

  /** The present state and the way to hear of later ones; null when it is over. */
  join(): ServerResponse | null {
    if (this.#isOver || this.#state === null) return null;
    // Who asked may never come to attach.
    this.#linger();
    const { number } = this.#state;
    const observation: ObservationSource = { attach: (observer) => this.#attach(observer, number) };
    return { ...this.#present(this.#state), observation };
  }

  cancel(): void {
    this.#observation?.cancel();
    this.#failed(new TransportError("CLOSED", "shutting down"));
    this.#end(errorResponse(CODE.UNAVAILABLE, "shutting down"));
  }

  /** Nobody waits for the first answer any longer; without effect once it came. */
  giveUp(error: TransportError): void {
    if (this.#state !== null || this.#isOver) return;
    this.#observation?.cancel();
    this.#failed(error);
    this.#end(errorResponse(CODE.GATEWAY_TIMEOUT, "no answer in time"));
  }

  onNotification(received: ClientResponse): void {
    if (this.#isOver) return;
    const response = withNameInFront(this.#options.name, forwardedResponse(received));
    if (response.code >= CODE.BAD_REQUEST) {
      this.#answered(response);
      this.#end(response);
      return;
    }
    const now = { receivedAtMs: this.#env.clock.nowMs(), maxAgeS: received.maxAgeS };
    // 2.03 is the answer to a refresh: what is held is what there is.
    if (received.code === CODE.VALID && this.#state !== null) Object.assign(this.#state, now);
    else if (!this.#options.budget.replace(sizeOf(this.#state?.response), sizeOf(response))) {
      this.#answered(response);
      this.#giveRoom();
      return;
    } else {
      this.#state = { response, number: (this.#state?.number ?? 0) + 1, ...now };
      for (const member of this.#members) member.observer.wake();
    }
    this.#answered(response);
    this.#refreshLater(received.maxAgeS);
  }

  onEnd(reason: "not-observable" | "error-response" | Error): void {
    if (reason instanceof Error) {
      this.#failed(reason);
      if (this.#state !== null) this.#options.onSilence(reason);
      this.#end(isSilence(reason) ? SILENT : NOT_OBSERVABLE);
    } else this.#end(NOT_OBSERVABLE);
  }

  /** The state that an observer who has `number` does not have yet. */
  news(number: number): { readonly response: ServerResponse; readonly number: number } | null {
    const state = this.#state;
    return state === null || state.number === number ? null : { response: this.#present(state), number: state.number };
  }

  leave(member: Member): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.#linger();
  }

  #attach(observer: Observer, number: number): ObservedResource {
    const member = new Member(this, observer, number);
    if (this.#isOver) observer.end(errorResponse(CODE.UNAVAILABLE, "ask again"));
    else {
      this.#members.add(member);
      if (this.#state?.number !== number) observer.wake();
    }
    return member;
  }

  /** RFC 7252 section 5.6.1: a stored answer goes out with what is left of its Max-Age. */
  #present({ response, receivedAtMs, maxAgeS }: State): ServerResponse {
    const ageS = Math.floor((this.#env.clock.nowMs() - receivedAtMs) / 1000);
    return { ...response, maxAgeS: Math.max(0, maxAgeS - ageS) };
  }

  #refreshLater(maxAgeS: number): void {
    if (this.#isOver) return;
    this.#refreshTimer?.cancel();
    const delayMs = Math.min(Math.max(maxAgeS * 1000, MIN_FRESH_MS), MAX_FRESH_MS);
    this.#refreshTimer = this.#env.clock.setTimer(delayMs, () => {
      const etag = this.#state?.response.etag;
      this.#observation?.refresh(etag === undefined ? [] : [etag]);
    });
  }

  /** Nobody observes: end it, unless somebody comes soon. */
  #linger(): void {
    if (this.#isOver || this.#members.size > 0) return;
    this.#lingerTimer?.cancel();
    this.#lingerTimer = this.#env.clock.setTimer(LINGER_MS, () => {
      if (this.#isOver || this.#members.size > 0) return;
      this.#end(errorResponse(CODE.UNAVAILABLE, "not observed any more"));
      // Resolves also when the peer says nothing to that.
      void this.#observation?.close();
    });
  }

  /** Who asks again gets an answer without Observe. */
  #giveRoom(): void {
    this.#options.onNoRoom();
    this.#end(errorResponse(CODE.UNAVAILABLE, "there is no room to observe this"));
    void this.#observation?.close();
  }

  #end(final: ServerResponse): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.budget.replace(sizeOf(this.#state?.response), 0);
    this.#state = null;
    this.#refreshTimer?.cancel();
    this.#lingerTimer?.cancel();
    this.#options.onOver();
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

/** One observer through this node. */
class Member implements ObservedResource {
  readonly observer: Observer;
  readonly #shared: SharedObservation;
  /** The state that it was sent last. */
  #number: number;

  constructor(shared: SharedObservation, observer: Observer, number: number) {
    this.#shared = shared;
    this.observer = observer;
    this.#number = number;
  }

  next(): ServerResponse | null {
    const news = this.#shared.news(this.#number);
    if (news === null) return null;
    this.#number = news.number;
    return news.response;
  }

  closed(): void {
    this.#shared.leave(this);
  }
}
