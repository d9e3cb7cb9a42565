import {
  type ClientRequest,
  type ClientResponse,
  CODE,
  type Observation,
  type ObservationListener,
  type ObservationSource,
  type ObservedResource,
  type Observer,
  type PeerConnection,
  type RequestControl,
  type ServerResponse,
} from "@tributary/coap-transport";
import type { Clock, Timer } from "@tributary/runtime";
import { ENDPOINT_AWAY, relayedResponse } from "./relayed-messages.js";

/** How long an observation waits for the transport to attach the client, ms. */
const ATTACH_MS = 10_000;

/**
 * The observation that one client has of a resource of a proxied endpoint. Observations are not shared: that of a protected resource
 * (RFC 8613) belongs to one client alone.
 */
export class RelayedObservation implements ObservationListener, ObservedResource {
  /** The first response; rejects with the error of the connection. */
  readonly first: Promise<ServerResponse>;
  readonly #observation: Observation;
  readonly #release: () => void;
  readonly #attachTimer: { readonly clock: Clock; timer: Timer | null };
  #settle: { resolve: (response: ServerResponse) => void; reject: (error: Error) => void } | null = null;
  #observer: Observer | null = null;
  #latest: ServerResponse | null = null;
  #final: ServerResponse | null = null;
  #hasEnded = false;

  /** `release` is called once when the observation has ended. */
  constructor(
    { connection, clock, release }: { connection: PeerConnection; clock: Clock; release: () => void },
    request: ClientRequest,
    control: Omit<RequestControl, "signal">,
  ) {
    this.#release = release;
    this.#attachTimer = { clock, timer: null };
    this.first = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#observation = connection.observe(request, this, control);
  }

  onNotification(received: ClientResponse): void {
    const response = relayedResponse(received);
    if (this.#settle === null) {
      this.#latest = response;
      this.#observer?.wake();
      return;
    }
    const isObserved = received.observe !== undefined && received.code < CODE.BAD_REQUEST;
    this.#settle.resolve(isObserved ? { ...response, observation: this.#source() } : response);
    this.#settle = null;
  }

  onEnd(reason: "not-observable" | "error-response" | Error): void {
    const last = this.#latest;
    if (reason instanceof Error) this.#settle?.reject(reason);
    this.#settle = null;
    const final = reason === "error-response" && last !== null ? last : ENDPOINT_AWAY;
    if (this.#observer === null) this.#final = final;
    else this.#observer.end(final);
    this.#end();
  }

  next(): ServerResponse | null {
    const latest = this.#latest;
    this.#latest = null;
    return latest;
  }

  closed(): void {
    this.#observer = null;
    if (this.#hasEnded) return;
    this.#end();
    // Deregisters; resolves even when the endpoint does not respond.
    void this.#observation.close();
  }

  /** Ends it without a message to the endpoint. */
  cancel(): void {
    this.#observation.cancel();
    this.#end();
  }

  #source(): ObservationSource {
    // The client may be gone before it is attached.
    this.#attachTimer.timer = this.#attachTimer.clock.setTimer(ATTACH_MS, () => this.closed());
    return {
      attach: (observer) => {
        this.#attachTimer.timer?.cancel();
        if (this.#hasEnded) observer.end(this.#final ?? ENDPOINT_AWAY);
        else {
          this.#observer = observer;
          if (this.#latest !== null) observer.wake();
        }
        return this;
      },
    };
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#attachTimer.timer?.cancel();
    this.#release();
  }
}
