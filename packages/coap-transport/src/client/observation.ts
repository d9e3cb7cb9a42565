import type { Clock, Logger } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { findBlock } from "../message/block-option.js";
import { CODE, OPTION } from "../message/codes.js";
import { EMPTY_BYTES, isErrorCode, type Message } from "../message/message.js";
import { uintOption } from "../message/option-values.js";
import type { ClientRequest, CoapOption, Observation, ObservationListener } from "../types.js";
import { downloadBody } from "./block-wise-download.js";
import { askWithEcho } from "./echo-retry.js";
import { isFresher, type NotificationStamp } from "./notification-order.js";
import { ObservationRegistration } from "./observation-registration.js";
import type { RequestChannel, ResponseSink, SendSink } from "./request-channel.js";
import { RequestOperation } from "./request-operation.js";
import { etagOptions, withEcho, withOptions } from "./request-options.js";
import { echoOf, hasUnknownCritical, observeValue, toClientResponse } from "./response.js";

export interface ClientObservationDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly listener: ObservationListener;
  /** Called with what ended the observation where that is a fault of the way, before the listener is. */
  readonly onFailure?: (error: Error) => void;
}

export interface ClientObservationOptions {
  readonly request: ClientRequest;
  readonly maxBodyBytes: number;
  /** How long a registration may take to be answered. */
  readonly timeoutMs: number | undefined;
  /** Notifications build on each other: none takes the place of another. */
  readonly isSeries: boolean;
}

/** The way to the peer and what is asked of it. */
interface Target {
  readonly channel: RequestChannel;
  readonly options: readonly CoapOption[];
}

/** Where to send and under which token, once that is known. */
interface Connection extends Target {
  readonly token: Uint8Array;
}

type Phase =
  | { readonly kind: "connecting" }
  | { readonly kind: "running"; readonly connection: Connection }
  | { readonly kind: "over" };

/** Notifications of a series that wait for one that is being fetched; the peer sends the next when it was asked for the last block. */
const MAX_WAITING = 4;

const INDIFFERENT: SendSink = {
  onAcknowledged: () => {},
  onReset: () => {},
  onTimeout: () => {},
  onUnreachable: () => {},
};
const REGISTER = 0;
const DEREGISTER = 1;

/** An observation on the client's side (RFC 7641 section 3), with notifications larger than a block (RFC 7959 section 2.6). */
export class ClientObservation implements Observation, ResponseSink {
  readonly #deps: ClientObservationDeps;
  readonly #options: ClientObservationOptions;
  #phase: Phase = { kind: "connecting" };
  #etags: readonly Uint8Array[] | undefined;
  #echo: Uint8Array | null = null;
  /** The registration under way was sent anew with an Echo value: another challenge is a refusal. */
  #isChallenged = false;
  #registration: ObservationRegistration | null = null;
  #last: NotificationStamp | null = null;
  /** Newer notifications came since the registration under way was sent. */
  #heardSince = false;
  #fetch: RequestOperation | null = null;
  /** Notifications of a series that came while another was being fetched. */
  #waiting: { readonly head: Message; readonly observe: number | undefined }[] = [];
  readonly #onOver: (() => void)[] = [];

  constructor(deps: ClientObservationDeps, options: ClientObservationOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#etags = options.request.etags;
  }

  /** Call `release` as soon as the observation is over. */
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
      this.fail(error instanceof Error ? error : new TransportError("UNREACHABLE", String(error)));
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
          // Only the answer to this; a notification under way is rejected, which ends the observation as well.
          if (!isPiggybacked && observeValue(message) !== undefined) return false;
          done();
          return true;
        },
      });
      registration.send(token, this.#message(phase.connection, DEREGISTER), true, channel.ackTimeoutMs);
    });
  }

  /** End with an error. */
  fail(error: Error): void {
    const phase = this.#phase;
    this.#end(error);
    if (phase.kind === "running") this.#withdraw(phase.connection);
  }

  /** Where nothing can be rejected (RFC 8323 section 3.4), the peer has to be told; what it answers is of no interest. */
  #withdraw(connection: Connection): void {
    const { channel, token } = connection;
    if (channel.isOrdered === true) channel.send(token, this.#message(connection, DEREGISTER), false, INDIFFERENT);
  }

  /** The connection is over, and the observation with it (RFC 8323 appendix A.4). */
  onClosed(error: TransportError): void {
    this.#end(error);
  }

  onResponse(message: Message, isPiggybacked: boolean): boolean {
    const phase = this.#phase;
    if (phase.kind !== "running") return false;
    if (hasUnknownCritical(message.options, this.#isRelayed)) {
      this.#end(new TransportError("MALFORMED", "a notification has a critical option that is not understood"));
      return false;
    }
    const isAnswer = this.#registration?.isAnsweredBy(isPiggybacked, this.#last === null) ?? false;
    const mayBeChallenge = message.code === CODE.UNAUTHORIZED && !this.#isChallenged && !this.#isRelayed;
    const echo = isAnswer && mayBeChallenge ? echoOf(message) : undefined;
    if (echo !== undefined) {
      this.#isChallenged = true;
      this.#echo = echo; // RFC 9175 section 2.3
      this.#register(phase.connection);
      return true;
    }
    if (isAnswer) this.#stopRegistration();
    const observe = observeValue(message);
    if (observe === undefined || isErrorCode(message.code)) this.#receive(phase.connection, message, undefined);
    else if (phase.connection.channel.isOrdered === true || this.#isNew(observe, isAnswer && isPiggybacked))
      this.#receive(phase.connection, message, observe);
    return true;
  }

  #register(connection: Connection): void {
    this.#stopRegistration();
    this.#heardSince = false;
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

  /** RFC 7641 section 3.4. The direct answer to a registration is newer than all that came before that was sent. */
  #isNew(observe: number, isDirectAnswer: boolean): boolean {
    const stamp = { sequence: observe, atMs: this.#deps.clock.nowMs() };
    const isNew = this.#last === null || (isDirectAnswer && !this.#heardSince) || isFresher(this.#last, stamp);
    if (!isNew) return false;
    this.#last = stamp;
    // What was left out as old says nothing: the answer must not be left out on its account.
    this.#heardSince = true;
    return true;
  }

  /** A newer state, of which this message may be but the beginning; whatever was being fetched is out of date. */
  #receive(connection: Connection, head: Message, observe: number | undefined): void {
    if (this.#options.isSeries && this.#fetch !== null && this.#waiting.length < MAX_WAITING) {
      this.#waiting.push({ head, observe });
      return;
    }
    this.#waiting = [];
    this.#fetch?.stop(new TransportError("ABORTED", "superseded by a newer notification"));
    this.#fetch = null;
    const { maxBodyBytes } = this.#options;
    const isWhole = findBlock(head.options, OPTION.BLOCK2)?.more !== true;
    if (isWhole && head.payload.length <= maxBodyBytes) {
      this.#deliver(connection, head, { payload: head.payload, wireBytes: head.wireBytes, observe });
      return;
    }
    const { channel } = connection;
    const isRelayed = this.#isRelayed;
    const operation = new RequestOperation({ clock: this.#deps.clock, channel }, { isConfirmable: true, isRelayed });
    this.#fetch = operation;
    const { method, payload = EMPTY_BYTES } = this.#options.request;
    const options = this.#echo === null ? connection.options : withEcho(connection.options, this.#echo);
    const ask = isRelayed ? operation.ask : askWithEcho(operation.ask);
    downloadBody(ask, { method, options, payload }, head, {
      maxBodyBytes,
      capacity: channel.capacity,
    }).then(
      (body) => {
        if (this.#fetch !== operation) return;
        this.#fetch = null;
        const wireBytes = head.wireBytes + operation.wireBytes;
        this.#deliver(connection, body.head, { payload: body.payload, wireBytes, observe });
      },
      (error: Error) => {
        if (this.#fetch === operation) this.fail(error);
      },
    );
  }

  #deliver(
    { channel }: Connection,
    head: Message,
    body: { payload: Uint8Array; wireBytes: number; observe: number | undefined },
  ): void {
    const response = toClientResponse(head, body, channel.peer);
    this.#tell(() => this.#deps.listener.onNotification(response));
    if (isErrorCode(head.code)) this.#end("error-response");
    else if (body.observe === undefined) this.#end("not-observable");
    this.#receiveWaiting();
  }

  #receiveWaiting(): void {
    const phase = this.#phase;
    if (phase.kind !== "running" || this.#fetch !== null) return;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#receive(phase.connection, next.head, next.observe);
  }

  #end(reason: "not-observable" | "error-response" | Error): void {
    if (this.#isOver()) return;
    this.#finish();
    if (reason instanceof Error) this.#deps.onFailure?.(reason);
    this.#tell(() => this.#deps.listener.onEnd(reason));
  }

  /** No callback after this, and notifications are rejected (RFC 7641 section 3.6). */
  #finish(): void {
    const phase = this.#phase;
    if (phase.kind === "over") return;
    this.#phase = { kind: "over" };
    this.#stopRegistration();
    this.#fetch?.stop(new TransportError("ABORTED", "the observation is over"));
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

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#deps.logger.error("an observation listener failed", { error, uri: this.#options.request.uri });
    }
  }
}
