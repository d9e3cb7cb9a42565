import type { Clock, Logger, Turns } from "@tributary/runtime";
import { CODE, OPTION } from "../message/codes.js";
import { addressHolder } from "../message/ip-address.js";
import { isErrorCode, type OutgoingMessage } from "../message/message.js";
import { sortOptions } from "../message/option-codec.js";
import { freshUintOption } from "../message/option-values.js";
import { IGNORE_OUTCOME, type Transmission, type TransmissionListener } from "../message/transmission.js";
import type { ObservationEnd, ObservationSource, ObservedResource, Observer, Peer, ServerResponse } from "../types.js";
import type { Block2Retention } from "./block-wise-retention.js";
import { FetchWatch } from "./fetch-watch.js";
import type { NotificationChannel } from "./notification-channel.js";
import type { IncomingRequest } from "./request.js";
import { responseMessage } from "./response.js";

export interface ServerObservationDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly channel: NotificationChannel;
  readonly retention: Block2Retention;
  /** Shares the event loop when a change wakes many observers. */
  readonly turns: Turns;
  /** Called when the observation ends. */
  readonly onEnd: (observation: ServerObservation) => void;
}

export interface ServerObservationOptions {
  /** Observe value of the response to the registration. */
  readonly sequence: number;
  /** See `ObserverTableOptions`. */
  readonly fetchPatienceMs: number;
}

const SEQUENCE_SPACE = 0x1000000;

/** A notification in transit. */
interface Delivery {
  transmission: Transmission | null;
  isAcknowledged: boolean;
}

/**
 * One observation on the server side. It asks the resource for a state when one can be sent: by default when the last notification was
 * acknowledged, so that each contains everything that happened before it.
 */
export class ServerObservation implements Observer {
  readonly peer: Peer;
  /** Progress of the peer with a notification that takes several blocks. */
  readonly fetch: FetchWatch;
  /** Time of the last sign of life of the peer, or of the last probe. */
  heardAtMs: number;
  readonly #request: IncomingRequest;
  readonly #deps: ServerObservationDeps;
  #sequence: number;
  #state: "unattached" | "running" | "over" = "unattached";
  /** The resource may have a new state. */
  #isAwake = false;
  /** A call of `next` is due or in progress. */
  #isPulling = false;
  #resource: ObservedResource | null = null;
  /** In the order of sending. */
  readonly #inTransit: Delivery[] = [];
  /** The first block of a notification that waits until those before it are acknowledged. */
  #held: OutgoingMessage | null = null;

  constructor(deps: ServerObservationDeps, request: IncomingRequest, options: ServerObservationOptions) {
    this.fetch = new FetchWatch(deps.clock, options.fetchPatienceMs, () => this.#proceed());
    this.#deps = deps;
    this.#request = request;
    this.#sequence = options.sequence;
    this.peer = request.peer;
    this.heardAtMs = deps.clock.nowMs();
  }

  get token(): Uint8Array {
    return this.#request.token;
  }

  /** Returns the next Observe value: 24 bits, increasing (RFC 7641 section 4.4). */
  nextSequence(): number {
    this.#sequence = (this.#sequence + 1) % SEQUENCE_SPACE;
    return this.#sequence;
  }

  attach(source: ObservationSource): void {
    if (this.#isOver()) return;
    try {
      this.#resource = source.attach(this);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#isOver()) {
      this.#call((resource) => resource.closed?.("ended")); // `attach` called `end`
      return;
    }
    this.#state = "running";
    this.#proceed();
  }

  wake(): void {
    this.#isAwake = true;
    this.#proceed();
  }

  end(final?: ServerResponse): void {
    if (this.#isOver()) return;
    this.finish("ended");
    if (final !== undefined) this.#deps.channel.notify(this.peer, this.token, responseMessage(final), IGNORE_OUTCOME);
  }

  /** Ends the observation without a message to the peer. */
  finish(reason: ObservationEnd): void {
    if (this.#isOver()) return;
    this.#state = "over";
    for (const { transmission } of this.#inTransit.splice(0)) transmission?.cancel();
    this.#held = null;
    this.fetch.stop();
    this.#deps.onEnd(this);
    this.#call((resource) => resource.closed?.(reason));
  }

  /** Pings the peer; the observation ends if there is no response (RFC 7641 section 4.5). */
  probe(): void {
    this.heardAtMs = this.#deps.clock.nowMs();
    this.#deps.channel.probe(this.peer, () => this.finish("timeout"));
  }

  /** Asks the resource for a state, if there may be one and it can be sent. */
  #proceed(): void {
    if (this.#state !== "running" || this.#isPulling) return;
    if (this.fetch.isPending) {
      if (this.#inTransit.length === 0 && this.#held === null) this.fetch.wait();
      return;
    }
    if (!this.#isAwake || !this.#mayNotify()) return;
    this.#isPulling = true;
    this.#queuePull();
  }

  #mayNotify(): boolean {
    const { length } = this.#inTransit;
    if (length === 0) return true;
    if (length >= (this.#resource?.maxInTransit ?? 1)) return false;
    return this.#deps.channel.hasRoom?.(this.peer) === true;
  }

  /** Later, so that everything that changes in this turn goes into one notification. */
  readonly #queuePull = (): void => {
    this.#deps.turns.add(addressHolder(this.peer), () => {
      this.#pull();
      return false;
    });
  };

  #pull(): void {
    if (this.#state !== "running" || this.#resource === null) return;
    if (this.#deps.channel.hold?.(this.peer, this.#queuePull) === true) return;
    this.#isAwake = false;
    try {
      const next = this.#resource.next();
      if (next instanceof Promise) next.then(this.#take, this.#fail);
      else this.#take(next);
    } catch (error) {
      this.#fail(error);
    }
  }

  readonly #take = (response: ServerResponse | null): void => {
    if (this.#state !== "running") return;
    if (response === null) {
      this.#isPulling = false;
      this.#proceed();
      return;
    }
    if (isErrorCode(response.code)) {
      this.end(response); // RFC 7641 section 4.2: an error is the last notification
      return;
    }
    // Observe belongs to the notification, not to the body: later blocks do not repeat it (RFC 7959 section 2.6).
    const first = this.#deps.retention.begin(this.#request, responseMessage(response), this.fetch);
    if (first instanceof Promise) first.then(this.#send, this.#fail);
    else this.#send(first);
  };

  readonly #send = (first: OutgoingMessage): void => {
    if (this.#state !== "running") return;
    this.#isPulling = false;
    this.#isAwake = true; // until the resource has nothing new
    // Others that arrive while the peer fetches the blocks would have to wait there.
    if (this.fetch.isPending && this.#inTransit.length > 0) this.#held = first;
    else this.#notify(first);
    this.#proceed();
  };

  #notify(first: OutgoingMessage): void {
    const delivery: Delivery = { transmission: null, isAcknowledged: false };
    this.#inTransit.push(delivery);
    const listener: TransmissionListener = {
      onAcknowledged: () => this.#onAcknowledged(delivery),
      onReset: () => this.finish("reset"), // RFC 7641 section 3.6
      onTimeout: () => this.finish("timeout"), // RFC 7641 section 4.5
    };
    const message = withObserve(first, this.nextSequence());
    delivery.transmission = this.#deps.channel.notify(this.peer, this.token, message, listener);
  }

  #onAcknowledged(delivery: Delivery): void {
    this.heardAtMs = this.#deps.clock.nowMs();
    delivery.isAcknowledged = true;
    while (this.#inTransit[0]?.isAcknowledged === true) {
      this.#inTransit.shift();
      this.#call((resource) => resource.delivered?.());
    }
    const held = this.#held;
    if (held !== null && this.#inTransit.length === 0 && this.#state === "running") {
      this.#held = null;
      this.#notify(held);
    }
    this.#proceed();
  }

  readonly #fail = (error: unknown): void => {
    this.#deps.logger.error("an observed resource failed", { error, peer: this.peer.key, path: this.#request.path });
    this.end({ code: CODE.INTERNAL });
  };

  /** Calls the resource; what it throws is logged. */
  #call(call: (resource: ObservedResource) => void): void {
    if (this.#resource === null) return;
    try {
      call(this.#resource);
    } catch (error) {
      this.#deps.logger.error("an observed resource failed", { error, peer: this.peer.key });
    }
  }

  #isOver(): boolean {
    return this.#state === "over";
  }
}

/** Adds the Observe option (RFC 7641 section 2). */
export function withObserve(message: OutgoingMessage, sequence: number): OutgoingMessage {
  return { ...message, options: sortOptions([...message.options, freshUintOption(OPTION.OBSERVE, sequence)]) };
}
