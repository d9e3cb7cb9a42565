import type { Clock, Timer } from "@tributary/runtime";
import type { StreamLimits } from "./limits.js";

/** A connection as the watch sees it. */
export interface WatchedConnection {
  /** Something waits for the peer, or the peer for us. */
  isInUse(): boolean;
  /** The peer does not read what is written to it. */
  isBlocked(): boolean;
  /** Nothing is read from the peer at present. */
  isHeldBack(): boolean;
  ping(): void;
  release(): void;
  giveUp(cause: "stalled" | "keep-alive-timeout"): void;
}

/**
 * Looks after an open connection once in a while: a peer that is silent is pinged, one that stays silent is given up, and what
 * has been of no use for long is released (RFC 8323 sections 5.4 and 5.5).
 */
export class ConnectionWatch {
  readonly #clock: Clock;
  readonly #connection: WatchedConnection;
  readonly #limits: Pick<StreamLimits, "keepAliveMs" | "idleMs">;
  #timer: Timer | null = null;
  #heardAtMs: number;
  #usedAtMs: number;
  #isPinged = false;

  constructor(clock: Clock, connection: WatchedConnection, limits: Pick<StreamLimits, "keepAliveMs" | "idleMs">) {
    this.#clock = clock;
    this.#connection = connection;
    this.#limits = limits;
    this.#heardAtMs = clock.nowMs();
    this.#usedAtMs = this.#heardAtMs;
  }

  /** Time of the last sign of life. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** When a request or response went one way or the other last, or the connection was made. */
  get usedAtMs(): number {
    return this.#usedAtMs;
  }

  /** The peer gave a sign of life: it sent something, or has read what was written to it. */
  heard(): void {
    this.#heardAtMs = this.#clock.nowMs();
    this.#isPinged = false;
  }

  /** A request or response went one way or the other. */
  used(): void {
    this.#usedAtMs = this.#clock.nowMs();
  }

  start(): void {
    this.#timer = this.#clock.setTimer(this.#limits.keepAliveMs / 2, () => {
      if (this.#look()) this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** False: there is nothing to watch any more. */
  #look(): boolean {
    const { keepAliveMs, idleMs } = this.#limits;
    if (this.#connection.isHeldBack()) this.heard();
    const nowMs = this.#clock.nowMs();
    const silentMs = nowMs - this.#heardAtMs;
    const isBlocked = this.#connection.isBlocked();
    // A blocked peer is not read from, so it cannot respond to a ping: one that reads nothing for this long is given up as well.
    if (silentMs >= 2 * keepAliveMs && (this.#isPinged || isBlocked)) {
      this.#connection.giveUp(isBlocked ? "stalled" : "keep-alive-timeout");
      return false;
    }
    const isInUse = this.#connection.isInUse();
    if (isInUse) this.#usedAtMs = Math.max(this.#usedAtMs, nowMs - idleMs / 2);
    else if (nowMs - this.#usedAtMs >= idleMs) {
      this.#connection.release();
      return false;
    }
    if (isInUse && silentMs >= keepAliveMs && !this.#isPinged) {
      this.#isPinged = true;
      this.#connection.ping();
    }
    return true;
  }
}
