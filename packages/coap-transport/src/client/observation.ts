import type { Clock, Logger, Random } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { findBlock } from "../message/block-option.js";
import { CODE, OPTION } from "../message/codes.js";
import { EMPTY_BYTES, isErrorCode, type Message } from "../message/message.js";
import { uintOption } from "../message/option-values.js";
import { IGNORE_OUTCOME } from "../message/transmission.js";
import type { ClientRequest, CoapOption, KeepAlive, Observation, ObservationListener } from "../types.js";
import { downloadBody } from "./block-wise-download.js";
import { askWithEcho } from "./echo-retry.js";
import { isFresher, type NotificationStamp } from "./notification-order.js";
import { RegistrationRefresh } from "./observation-refresh.js";
import { ObservationRegistration } from "./observation-registration.js";
import type { RequestChannel, ResponseListener } from "./request-channel.js";
import { RequestOperation } from "./request-operation.js";
import { etagOptions, withEcho, withOptions } from "./request-options.js";
import { echoOf, hasUnknownCritical, observeValue, toClientResponse } from "./response.js";

export interface ClientObservationDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly listener: ObservationListener;
  readonly random: Random;
  /** Called with the error that ended the observation, before the listener is; returns the one for the listener. */
  readonly onFailure: (error: Error) => Error;
}

export interface ClientObservationOptions {
  readonly request: ClientRequest;
  readonly maxBodyBytes: number;
  /** Longest time until the response to a registration, ms. Default: that of the channel. */
  readonly timeoutMs: number | undefined;
  /** See `ObservationControl`. */
  readonly keepAlive: KeepAlive | null;
  /** See `ObservationControl`. */
  readonly isSeries: boolean;
}

/** A channel to the peer, and the options of the request. */
interface Target {
  readonly channel: RequestChannel;
  readonly options: readonly CoapOption[];
}

/** A target with the token of the observation. */
interface Connection extends Target {
  readonly token: Uint8Array;
}

type Phase =
  | { readonly kind: "connecting" }
  | { readonly kind: "running"; readonly connection: Connection }
  | { readonly kind: "over" };

/** Notifications of a series that may wait for one whose blocks are fetched; the peer sends the next after the last block. */
const MAX_WAITING = 4;
/** Observe values of a series by which a notification that arrives twice is recognised. */
const MAX_SEEN = 256;
/** Longest time that a peer has to wait for a listener, ms. */
const LONGEST_HOLD_MS = 10_000;
const REGISTER = 0;
const DEREGISTER = 1;

/** An observation on the client side (RFC 7641 section 3), with notifications of several blocks (RFC 7959 section 2.6). */
export class ClientObservation implements Observation, ResponseListener {
  readonly #deps: ClientObservationDeps;
  readonly #options: ClientObservationOptions;
  #phase: Phase = { kind: "connecting" };
  #etags: readonly Uint8Array[] | undefined;
  #echo: Uint8Array | null = null;
  /** The registration was repeated with an Echo value: another challenge is a refusal. */
  #isChallenged = false;
  #registration: ObservationRegistration | null = null;
  #last: NotificationStamp | null = null;
  /** Newer notifications arrived since the registration was sent. */
  #hasNewerSince = false;
  /** Observe values received lately, in a series. */
  readonly #seen = new Set<number>();
  #fetch: AbortController | null = null;
  /** Notifications of a series that arrived while the blocks of another are fetched. */
  #waiting: { readonly head: Message; readonly observe: number | undefined }[] = [];
  readonly #onOver: (() => void)[] = [];
  readonly #refresh: RegistrationRefresh | null;

  constructor(deps: ClientObservationDeps, options: ClientObservationOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#etags = options.request.etags;
    this.#refresh =
      options.keepAlive === null
        ? null
        : new RegistrationRefresh(deps, options.keepAlive, (etags) => this.refresh(etags));
  }

  /** Calls `release` as soon as the observation is over. */
  whenOver(release: () => void): void {
    if (this.#phase.kind === "over") release();
    else this.#onOver.push(release);
  }

  async start(connect: () => Promise<Target>): Promise<void> {
    if (this.#phase.kind === "over") return;
    try {
      const target = await connect();
      if (this.#isOver()) return;
      const connection = { ...target, token: target.channel.newToken() };
      this.#phase = { kind: "running", connection };
      connection.channel.bind(connection.token, this);
      this.#register(connection);
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  refresh(etags?: readonly Uint8Array[]): void {
    this.#etags = etags;
    this.#isChallenged = false;
    if (this.#phase.kind === "running") this.#register(this.#phase.connection);
  }

  cancel(): void {
    const phase = this.#phase;
    this.#finish();
    if (phase.kind === "running") this.#withdraw(phase.connection);
  }

  async close(): Promise<void> {
    const phase = this.#phase;
    this.#finish();
    if (phase.kind !== "running") return;
    const { channel, token } = phase.connection;
    await new Promise<void>((resolve) => {
      const registration = new ObservationRegistration({ clock: this.#deps.clock, channel }, () => done());
      const done = (): void => {
        registration.stop();
        channel.unbind(token);
        resolve();
      };
      channel.bind(token, {
        onClosed: () => done(),
        onResponse(message, isPiggybacked) {
          // Only the response to this message; a notification is rejected, which ends the observation as well.
          if (!isPiggybacked && observeValue(message) !== undefined) return false;
          done();
          return true;
        },
      });
      registration.send(token, this.#message(phase.connection, DEREGISTER), true, channel.ackTimeoutMs);
    });
  }

  /** Ends the observation with an error. */
  fail(error: Error): void {
    const phase = this.#phase;
    this.#end(error);
    if (phase.kind === "running") this.#withdraw(phase.connection);
  }

  /** Deregisters where notifications cannot be rejected (RFC 8323 section 3.4). */
  #withdraw(connection: Connection): void {
    const { channel, token } = connection;
    if (channel.isOrdered === true) channel.send(token, this.#message(connection, DEREGISTER), false, IGNORE_OUTCOME);
  }

  /** An observation ends with its connection (RFC 8323 appendix A.4). */
  onClosed(error: TransportError): void {
    this.#end(error);
  }

  onResponse(message: Message, isPiggybacked: boolean): boolean | Promise<unknown> {
    const phase = this.#phase;
    if (phase.kind !== "running") return false;
    if (hasUnknownCritical(message.options, this.#isRelayed)) {
      this.#end(new TransportError("MALFORMED", "a notification has a critical option that is not understood"));
      return false;
    }
    const isResponse = this.#registration?.isResponse(isPiggybacked, this.#last === null) ?? false;
    const mayBeChallenge = message.code === CODE.UNAUTHORIZED && !this.#isChallenged && !this.#isRelayed;
    const echo = isResponse && mayBeChallenge ? echoOf(message) : undefined;
    if (echo !== undefined) {
      this.#isChallenged = true;
      this.#echo = echo; // RFC 9175 section 2.3
      this.#register(phase.connection);
      return true;
    }
    if (isResponse) this.#stopRegistration();
    const observe = observeValue(message);
    if (observe === undefined || isErrorCode(message.code)) return this.#receive(phase.connection, message, undefined);
    if (phase.connection.channel.isOrdered === true || this.#isNew(observe, isResponse && isPiggybacked))
      return this.#receive(phase.connection, message, observe);
    return true;
  }

  #register(connection: Connection): void {
    this.#stopRegistration();
    this.#hasNewerSince = false;
    const { clock } = this.#deps;
    const registration = new ObservationRegistration({ clock, channel: connection.channel }, (error) =>
      this.fail(error),
    );
    this.#registration = registration;
    const { request, timeoutMs } = this.#options;
    const message = this.#message(connection, REGISTER);
    registration.send(connection.token, message, request.confirmable ?? true, timeoutMs);
  }

  #stopRegistration(): void {
    this.#registration?.stop();
    this.#registration = null;
  }

  #message(connection: Connection, observe: number) {
    const { request } = this.#options;
    const own = [uintOption(OPTION.OBSERVE, observe), ...(observe === REGISTER ? etagOptions(this.#etags) : [])];
    let options = withOptions(connection.options, own);
    if (this.#echo !== null) options = withEcho(options, this.#echo);
    return { code: request.method, options, payload: request.payload ?? EMPTY_BYTES };
  }

  /** RFC 7641 section 3.4. The direct response to a registration is newer than all notifications before the registration. */
  #isNew(observe: number, isDirectResponse: boolean): boolean {
    const stamp = { sequence: observe, atMs: this.#deps.clock.nowMs() };
    const isNewer = this.#last === null || (isDirectResponse && !this.#hasNewerSince) || isFresher(this.#last, stamp);
    if (isNewer) {
      this.#last = stamp;
      // An outdated one does not count: the response must not be dropped because of it.
      this.#hasNewerSince = true;
    }
    return this.#options.isSeries ? this.#isUnseen(observe) || isDirectResponse : isNewer;
  }

  /** In a series, one that was overtaken is needed as well. */
  #isUnseen(observe: number): boolean {
    if (this.#seen.has(observe)) return false;
    this.#seen.add(observe);
    if (this.#seen.size > MAX_SEEN) this.#seen.delete(this.#seen.values().next().value as number);
    return true;
  }

  /**
   * Takes a newer state, of which this may be the first block. The blocks of an older state are no longer fetched. Returns a promise
   * while the listener has enough to do.
   */
  #receive(connection: Connection, head: Message, observe: number | undefined): true | Promise<unknown> {
    if (this.#options.isSeries && this.#fetch !== null && this.#waiting.length < MAX_WAITING) {
      this.#waiting.push({ head, observe });
      return true;
    }
    this.#waiting = [];
    this.#fetch?.abort(new TransportError("ABORTED", "superseded by a newer notification"));
    this.#fetch = null;
    const { maxBodyBytes } = this.#options;
    const isWhole = findBlock(head.options, OPTION.BLOCK2)?.more !== true;
    if (isWhole && head.payload.length <= maxBodyBytes) {
      return this.#deliver(connection, head, { payload: head.payload, wireBytes: head.wireBytes, observe });
    }
    const { channel } = connection;
    const isRelayed = this.#isRelayed;
    const fetch = new AbortController();
    const operation = new RequestOperation(
      { clock: this.#deps.clock, channel },
      { isConfirmable: true, isRelayed },
      fetch.signal,
    );
    this.#fetch = fetch;
    const { method, payload = EMPTY_BYTES } = this.#options.request;
    const options = this.#echo === null ? connection.options : withEcho(connection.options, this.#echo);
    const ask = isRelayed ? operation.ask : askWithEcho(operation.ask);
    downloadBody(ask, { method, options, payload }, head, {
      maxBodyBytes,
      capacity: channel.capacity,
      maxParallelBlocks: channel.maxParallelBlocks,
    }).then(
      (body) => {
        if (this.#fetch !== fetch) return;
        this.#fetch = null;
        const wireBytes = head.wireBytes + operation.wireBytes;
        void this.#deliver(connection, body.head, { payload: body.payload, wireBytes, observe });
      },
      (error: Error) => {
        if (this.#fetch === fetch) this.fail(error);
      },
    );
    return true;
  }

  #deliver(
    { channel }: Connection,
    head: Message,
    body: { payload: Uint8Array; wireBytes: number; observe: number | undefined },
  ): true | Promise<unknown> {
    const response = toClientResponse(head, body, channel.peer);
    if (body.observe !== undefined && !isErrorCode(head.code)) this.#refresh?.received(response);
    let hold: true | Promise<unknown> = true;
    this.#call(() => {
      const busy = this.#deps.listener.onNotification(response);
      if (busy instanceof Promise) hold = this.#holdBack(channel, busy);
    });
    if (isErrorCode(head.code)) this.#end("error-response");
    else if (body.observe === undefined) this.#end("not-observable");
    this.#receiveWaiting();
    return hold;
  }

  /** Has the peer wait until the listener has time again: nothing is read from a connection, and a datagram is acknowledged then. */
  #holdBack(channel: RequestChannel, busy: Promise<unknown>): Promise<unknown> {
    const settled = busy.catch((error: unknown) => this.#noteFailed(error));
    const release = channel.holdBack?.();
    if (release === undefined) return settled;
    // A peer that nobody listens to for long takes the connection for lost.
    const timer = this.#deps.clock.setTimer(LONGEST_HOLD_MS, release);
    return settled.then(() => {
      timer.cancel();
      release();
    });
  }

  #receiveWaiting(): void {
    const phase = this.#phase;
    if (phase.kind !== "running" || this.#fetch !== null) return;
    const next = this.#waiting.shift();
    if (next !== undefined) void this.#receive(phase.connection, next.head, next.observe);
  }

  #end(reason: "not-observable" | "error-response" | Error): void {
    if (this.#isOver()) return;
    this.#finish();
    const shown = reason instanceof Error ? this.#deps.onFailure(reason) : reason;
    this.#call(() => this.#deps.listener.onEnd(shown));
  }

  /** Ends the observation: no callback is called any more, and notifications are rejected (RFC 7641 section 3.6). */
  #finish(): void {
    const phase = this.#phase;
    if (phase.kind === "over") return;
    this.#phase = { kind: "over" };
    this.#stopRegistration();
    this.#refresh?.stop();
    this.#fetch?.abort(new TransportError("ABORTED", "the observation is over"));
    this.#fetch = null;
    this.#waiting = [];
    if (phase.kind === "running") phase.connection.channel.unbind(phase.connection.token);
    for (const release of this.#onOver.splice(0)) release();
  }

  #isOver(): boolean {
    return this.#phase.kind === "over";
  }

  get #isRelayed(): boolean {
    return this.#options.request.isRelayed ?? false;
  }

  #call(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#noteFailed(error);
    }
  }

  #noteFailed(error: unknown): void {
    this.#deps.logger.error("an observation listener failed", { error, uri: this.#options.request.uri });
  }
}
