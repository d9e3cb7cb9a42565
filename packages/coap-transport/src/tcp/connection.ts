import { type Environment, type Timer, turnsOf } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { countRejected } from "../message/counters.js";
import { addressHolder } from "../message/ip-address.js";
import { isRequestCode, isResponseCode, type Message, type OutgoingMessage } from "../message/message.js";
import { peerText, summariseMessage } from "../message/message-summary.js";
import type { StreamCapacity } from "../message/stream-capacity.js";
import type { Peer, TransportCounters } from "../types.js";
import { ConnectionWatch, type WatchedConnection } from "./connection-watch.js";
import { encodeFrame, StreamParser } from "./framing.js";
import { capacityFor, type StreamLimits } from "./limits.js";
import { streamScheme } from "./peer.js";
import * as signals from "./signals.js";
import type { StreamSocket } from "./stream-socket.js";

/** Callbacks of a connection. */
export interface ConnectionOwner {
  /** The peer's CSM is here: requests may go out. */
  onReady(): void;
  /** Resolves, or returns, when the response was sent. */
  onRequest(message: Message): void | Promise<void>;
  /** Returns false for an unexpected response. */
  onResponse(message: Message): boolean;
  /** Anything under way that makes it worth to keep the connection? */
  isInUse(): boolean;
  /** Called once. Nothing is called afterwards. */
  onClosed(error: TransportError): void;
}

export interface ConnectionDeps {
  readonly socket: StreamSocket;
  readonly peer: Peer;
  readonly env: Environment;
  readonly counters: TransportCounters;
  readonly owner: ConnectionOwner;
}

/** `handshake` the peer's CSM is to come · `open` · `ending` ours is said, what is queued goes out · `closed`. */
type Phase = "handshake" | "open" | "ending" | "closed";

/** How long the last bytes may take to be taken, ms. */
const LINGER_MS = 2000;
/** Received bytes from which on they are parsed in turns: it may take long. */
const LARGE_READ_BYTES = 16_384;
/** Least silence after which a connection is given up, ms: the time limit of a request may be shorter. */
const MIN_SILENCE_MS = 1000;

/** One connection of CoAP over TCP (RFC 8323): framing, signalling, keep-alive and the bounds of both directions. */
export class TcpConnection {
  readonly peer: Peer;
  readonly #deps: ConnectionDeps;
  readonly #limits: StreamLimits;
  readonly #parser: StreamParser;
  readonly #running = new Set<Promise<void>>();
  readonly #held = new Set<() => void>();
  readonly #pings = new Set<(isAlive: boolean) => void>();
  #peerCan = signals.BASE_CAPABILITIES;
  #capacity: StreamCapacity;
  #phase: Phase = "handshake";
  #isReading = true;
  #isParsing = false;
  #takesRequests = true;
  readonly #watch: ConnectionWatch;
  /** Of the payloads of the requests being handled. */
  #runningBytes = 0;
  /** Number of those that hold the peer back. */
  #holders = 0;
  /** Of the handshake, and of the end. */
  #timer: Timer;

  constructor(deps: ConnectionDeps, limits: StreamLimits) {
    this.peer = deps.peer;
    this.#deps = deps;
    this.#limits = limits;
    this.#parser = new StreamParser(limits);
    this.#capacity = capacityFor(this.#peerCan, limits.maxMessageBytes);
    const { clock } = deps.env;
    const watched: WatchedConnection = {
      isInUse: () => this.isInUse,
      isBlocked: () => this.isBlocked,
      isHeldBack: () => !this.isBlocked && !this.#mayRead(),
      ping: () => this.#write(new Uint8Array(), signals.ping()),
      release: () => this.release(),
      giveUp: (cause) => this.#drop(cause, "no sign of life"),
    };
    this.#watch = new ConnectionWatch(clock, watched, limits);
    this.#timer = clock.setTimer(limits.handshakeMs, () => this.#drop("handshake-timeout", "no CSM came in time"));
    const { socket } = deps;
    socket.onBytes = (bytes) => this.#receive(bytes);
    socket.onDrained = () => this.#onDrained();
    socket.onClosed = (error) => this.#onClosed(error);
    this.#write(new Uint8Array(), signals.csm({ maxMessageBytes: limits.maxMessageBytes, isBlockwise: true }));
  }

  /** The peer's CSM was received. */
  get hasSpoken(): boolean {
    return this.#phase !== "handshake";
  }

  /** Something waits for the peer, or the peer for us. */
  get isInUse(): boolean {
    return this.#running.size > 0 || this.#deps.owner.isInUse();
  }

  get usedAtMs(): number {
    return this.#watch.usedAtMs;
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  /** How much can be sent to the peer at once. */
  get capacity(): StreamCapacity {
    return this.#capacity;
  }

  /** The peer reads more slowly than it is written to. */
  get isBlocked(): boolean {
    return this.#deps.socket.queuedBytes >= this.#limits.maxQueuedBytes;
  }

  /** Requests being handled. */
  get running(): number {
    return this.#running.size;
  }

  /** False when the message is larger than the peer takes, or the connection is over: nothing was sent. */
  send(token: Uint8Array, message: OutgoingMessage): boolean {
    if (this.#phase !== "open" && this.#phase !== "handshake") return false;
    this.#watch.used();
    return this.#write(token, message);
  }

  /** Call `resume`, once, as soon as the peer has read; false: it need not wait. */
  hold(resume: () => void): boolean {
    if (this.#phase !== "open" || !this.isBlocked) return false;
    this.#held.add(resume);
    return true;
  }

  /** Reads nothing more until the returned function is called. */
  holdBack(): () => void {
    this.#holders++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders--;
      // Nobody listened to the peer meanwhile.
      this.#watch.heard();
      this.#read();
    };
  }

  /** Calls `settle` with whether there was a sign of life before the connection ended. */
  ping(settle: (isAlive: boolean) => void): { cancel(): void } {
    if (this.#phase !== "open") queueMicrotask(() => settle(false));
    else {
      this.#pings.add(settle);
      this.#write(new Uint8Array(), signals.ping());
    }
    return { cancel: () => void this.#pings.delete(settle) };
  }

  /**
   * A request that was sent at this time got no response in time. A peer from which nothing at all arrived since then is gone, or has
   * lost the connection: the next request makes a new one.
   */
  timedOut(sentAtMs: number): void {
    const silentMs = this.#deps.env.clock.nowMs() - sentAtMs;
    const isSilent = this.#watch.heardAtMs < sentAtMs && silentMs >= MIN_SILENCE_MS;
    if (this.#phase === "open" && this.#isReading && isSilent) this.#drop("silent", "silent while a request timed out");
  }

  /** Ignores further requests. */
  stopAccepting(): void {
    this.#takesRequests = false;
  }

  /** End in good order (RFC 8323 section 5.5): what was sent still goes out. */
  release(): void {
    if (this.#phase === "open") this.#write(new Uint8Array(), signals.release());
    this.#linger(new TransportError("UNREACHABLE", "the connection was released"));
  }

  /** Closes the connection at once. */
  destroy(error: TransportError): void {
    this.#finish(error);
    this.#deps.socket.destroy();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#phase === "closed" || this.#phase === "ending") return;
    this.#watch.heard();
    this.#parser.push(bytes);
    if (this.#parser.heldBytes < LARGE_READ_BYTES) this.#read();
    else this.#readInTurns();
  }

  /**
   * Many connections may receive large messages at the same moment. They share the time of a turn of the event loop; a connection for
   * which none is left continues in a later turn, and is not read from until then.
   */
  #readInTurns(): void {
    const turns = turnsOf(this.#deps.env.clock);
    const owner = addressHolder(this.peer);
    if (turns.leftMs() > 0) {
      void turns.start(owner, () => {
        this.#read();
        return false;
      });
      return;
    }
    const release = this.holdBack();
    this.#setReading(false);
    turns.add(owner, () => {
      release();
      return false;
    });
  }

  /** Take messages for as long as there is room for what they bring about. */
  #read(): void {
    if (this.#isParsing) return;
    this.#isParsing = true;
    try {
      while (this.#mayRead()) {
        const next = this.#parser.next();
        if (next === null) break;
        if (typeof next === "string") this.#abort(next, next === "malformed" ? "format error" : this.#sizeText());
        else this.#handle(next);
      }
    } catch (error) {
      this.#deps.env.logger.error("a message could not be handled", { error, peer: this.peer.key });
    } finally {
      this.#isParsing = false;
    }
    this.#setReading(this.#mayRead());
  }

  #mayRead(): boolean {
    if (this.#phase !== "open" && this.#phase !== "handshake") return false;
    if (this.#holders > 0 || this.isBlocked) return false;
    const { maxRequestsPerConnection, maxRequestBytesPerConnection } = this.#limits;
    return this.#running.size < maxRequestsPerConnection && this.#runningBytes < maxRequestBytesPerConnection;
  }

  #setReading(isReading: boolean): void {
    if (this.#isReading === isReading) return;
    this.#isReading = isReading;
    if (isReading) this.#deps.socket.resume();
    else this.#deps.socket.pause();
  }

  #sizeText(): string {
    return `more than ${this.#limits.maxMessageBytes} bytes`;
  }

  #handle(message: Message): void {
    const { code } = message;
    this.#deps.counters.received++;
    this.#trace("in", message);
    if (code === 0) return; // RFC 8323 section 3.4: of no meaning
    if (this.#phase === "handshake" && code !== signals.SIGNAL.CSM) {
      this.#abort("no-csm", "the first message is not a CSM");
    } else if (signals.isSignalCode(code)) this.#handleSignal(message);
    else if (isRequestCode(code)) this.#handleRequest(message);
    else if (isResponseCode(code)) {
      this.#watch.used();
      if (!this.#deps.owner.onResponse(message)) countRejected(this.#deps.counters, "unexpected-response");
    } else this.#abort("malformed", "reserved class of codes");
  }

  #handleRequest(message: Message): void {
    if (!this.#takesRequests) return;
    this.#watch.used();
    const answered = this.#deps.owner.onRequest(message);
    if (answered instanceof Promise) this.#track(answered, message.payload.length);
  }

  #track(work: Promise<void>, bytes = 0): void {
    this.#runningBytes += bytes;
    const settled = work
      .catch((error: unknown) => {
        this.#deps.env.logger.error("a response could not be sent", { error, peer: this.peer.key });
      })
      .then(() => {
        this.#running.delete(settled);
        this.#runningBytes -= bytes;
        this.#read();
      });
    this.#running.add(settled);
  }

  #handleSignal(message: Message): void {
    const { SIGNAL } = signals;
    const unknown = signals.criticalOption(message);
    if (unknown !== undefined && message.code !== SIGNAL.ABORT) {
      const diagnostic = `critical option ${unknown} not understood`;
      this.#abort("bad-signal-option", diagnostic, message.code === SIGNAL.CSM ? unknown : undefined);
      return;
    }
    switch (message.code) {
      case SIGNAL.CSM:
        this.#takeCsm(message);
        return;
      case SIGNAL.PING:
        this.#answerPing(message);
        return;
      case SIGNAL.PONG:
        this.#settlePings(true);
        return;
      case SIGNAL.RELEASE:
        this.#linger(new TransportError("UNREACHABLE", "the peer released the connection"));
        return;
      case SIGNAL.ABORT:
        this.destroy(new TransportError("UNREACHABLE", `the peer aborted the connection${diagnosticOf(message)}`));
        return;
      default:
        this.#abort("malformed", "unknown signalling message");
    }
  }

  #takeCsm(message: Message): void {
    this.#peerCan = signals.afterCsm(this.#peerCan, message);
    this.#capacity = capacityFor(this.#peerCan, this.#limits.maxMessageBytes);
    if (this.#phase !== "handshake") return;
    this.#phase = "open";
    this.#timer.cancel();
    this.#watch.start();
    this.#deps.owner.onReady();
  }

  /** RFC 8323 section 5.4.1: a Pong with Custody is sent when all messages before the Ping were processed. */
  #answerPing(message: Message): void {
    const token = message.token;
    const custody = signals.hasCustody(message);
    const answer = (): void => void this.#write(token, signals.pong(custody));
    if (!custody || this.#running.size === 0) answer();
    else this.#track(Promise.all([...this.#running]).then(answer));
  }

  #settlePings(isAlive: boolean): void {
    const waiting = [...this.#pings];
    this.#pings.clear();
    for (const settle of waiting) settle(isAlive);
  }

  #onDrained(): void {
    if (this.#phase === "closed") return;
    // That the peer has read something is a sign of life, too.
    this.#watch.heard();
    const held = [...this.#held];
    this.#held.clear();
    for (const resume of held) {
      if (this.isBlocked) this.#held.add(resume);
      else resume();
    }
    this.#read();
  }

  #write(token: Uint8Array, message: OutgoingMessage): boolean {
    if (this.#phase === "closed" || this.#phase === "ending") return false;
    const frame = encodeFrame(token, message);
    if (frame.length > this.#peerCan.maxMessageBytes) return false;
    this.#deps.counters.sent++;
    this.#trace("out", { ...message, token });
    this.#deps.socket.write(frame);
    return true;
  }

  #trace(dir: "in" | "out", message: Omit<Message, "wireBytes">): void {
    const { logger } = this.#deps.env;
    if (logger.trace === undefined) return;
    logger.trace(streamScheme(this.peer), {
      dir,
      peer: peerText(this.#deps.socket.remote),
      ...summariseMessage(message),
    });
  }

  /** Aborts the connection of a peer that violates the protocol (RFC 8323 section 5.6). */
  #abort(cause: string, diagnostic: string, badCsmOption?: number): void {
    countRejected(this.#deps.counters, cause);
    this.#write(new Uint8Array(), signals.abort(diagnostic, badCsmOption));
    this.#linger(new TransportError("MALFORMED", `the connection was aborted: ${diagnostic}`));
  }

  #drop(cause: string, text: string): void {
    countRejected(this.#deps.counters, cause);
    this.destroy(new TransportError("UNREACHABLE", `the connection was given up: ${text}`));
  }

  /** Let the last words go out, within limits. */
  #linger(error: TransportError): void {
    if (this.#phase === "ending" || this.#phase === "closed") return;
    const { socket, env } = this.#deps;
    this.#finish(error, "ending");
    this.#timer = env.clock.setTimer(LINGER_MS, () => socket.destroy());
    this.#setReading(true); // further bytes are discarded, so that the end is noticed
    socket.end();
  }

  #onClosed(error: Error | null): void {
    const why = error === null ? "the peer closed the connection" : `the connection was lost: ${error.message}`;
    this.#finish(new TransportError("UNREACHABLE", why, error === null ? undefined : { cause: error }));
  }

  #finish(error: TransportError, phase: "ending" | "closed" = "closed"): void {
    const before = this.#phase;
    this.#phase = phase === "ending" && before === "closed" ? before : phase;
    this.#timer.cancel();
    this.#watch.stop();
    if (before === "ending" || before === "closed") return;
    this.#held.clear();
    this.#settlePings(false);
    this.#deps.owner.onClosed(error);
  }
}

function diagnosticOf({ payload }: Message): string {
  return payload.length === 0 ? "" : `: ${JSON.stringify(Buffer.from(payload.subarray(0, 200)).toString("utf8"))}`;
}
