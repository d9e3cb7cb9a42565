import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "@tributary/runtime";
import type { Peer, SourceProof } from "../types.js";

/** Verifies source addresses, so that a server on UDP cannot be used to flood others (RFC 7252 section 11.3, RFC 9175 section 2.4, 2.6). */
export interface AmplificationGuard {
  /** Returns how far the source of a request with this Echo option is verified. A valid value verifies the address for a while. */
  examine(peer: Peer, echo: Uint8Array | undefined): SourceProof;
  /** Returns the size of the largest response to a request of `requestBytes` from an unverified address, in bytes of UDP payload. */
  allowance(requestBytes: number): number;
  /** Returns an Echo value for this peer: 20 opaque bytes, valid for `echoLifetimeMs`. */
  issue(peer: Peer): Uint8Array;
  /** Verified addresses in the table. */
  readonly size: number;
}

/** Collaborators of an amplification guard. */
export interface AmplificationGuardDeps {
  readonly clock: Clock;
  /** Authenticates Echo values. Default: a random one, so that no value outlives the process. */
  readonly key?: Uint8Array;
}

/** Settings of `createAmplificationGuard`. */
export interface AmplificationGuardOptions {
  /** Size of a response that may be sent to any address, in bytes of UDP payload. Default 136. */
  readonly freeBytes: number;
  /** Peers whose addresses need no verification. Default: none. */
  readonly isTrusted: (peer: Peer) => boolean;
  /** Addresses remembered as verified; beyond it the one verified longest ago is forgotten. Default 10 000. */
  readonly maxVerifiedPeers: number;
  /** How long an address counts as verified after its last valid Echo, in ms. Default 10 minutes. */
  readonly verifiedForMs: number;
  /** How long an Echo value may take to come back, in ms. Default 247 s, EXCHANGE_LIFETIME. */
  readonly echoLifetimeMs: number;
}

/** RFC 9175 section 2.4: safe to send to any address, with the headers of the layers below. A challenge is smaller. */
const FREE_BYTES = 136;
/** RFC 9175 section 2.4, RFC 9000 section 8: a response of up to three times its request is of little use to an attacker. */
const MAX_AMPLIFICATION = 3;
const DEFAULTS: AmplificationGuardOptions = {
  freeBytes: FREE_BYTES,
  isTrusted: () => false,
  maxVerifiedPeers: 10_000,
  verifiedForMs: 600_000,
  echoLifetimeMs: 247_000,
};
const KEY_BYTES = 32;
const TIME_BYTES = 4;
const MAC_BYTES = 16;
const TIME_SPACE = 2 ** 32;

/** Creates the guard that limits responses to unverified addresses (RFC 9175 section 2.4). */
export function createAmplificationGuard(
  deps: AmplificationGuardDeps,
  options: Partial<AmplificationGuardOptions> = {},
): AmplificationGuard {
  return new Guard(deps, { ...DEFAULTS, ...options });
}

/**
 * Both the Echo values and the memory are of addresses without their ports: it is a host, and the line to it, that is
 * flooded, and many clients use a new port each time.
 */
class Guard implements AmplificationGuard {
  readonly #clock: Clock;
  readonly #key: Uint8Array;
  readonly #options: AmplificationGuardOptions;
  /** End of its time by address; the order of entry is the order of expiry. */
  readonly #verifiedUntilMs = new Map<string, number>();

  constructor(deps: AmplificationGuardDeps, options: AmplificationGuardOptions) {
    this.#clock = deps.clock;
    this.#key = deps.key ?? randomBytes(KEY_BYTES);
    this.#options = options;
  }

  get size(): number {
    return this.#verifiedUntilMs.size;
  }

  examine(peer: Peer, echo: Uint8Array | undefined): SourceProof {
    const isTrusted = peer.transport !== "udp" || this.#options.isTrusted(peer);
    if (echo !== undefined && this.#isValid(peer, echo)) {
      if (!isTrusted) this.#remember(hostOf(peer));
      return "fresh";
    }
    if (isTrusted) return "trusted";
    // Nothing but Echo makes the time longer: requests alone may be forged.
    return (this.#verifiedUntilMs.get(hostOf(peer)) ?? 0) > this.#clock.nowMs() ? "seen" : "none";
  }

  allowance(requestBytes: number): number {
    return Math.max(this.#options.freeBytes, MAX_AMPLIFICATION * requestBytes);
  }

  /** RFC 9175 appendix A, method 2: a time stamp and a truncated MAC of it and the address. */
  issue(peer: Peer): Uint8Array {
    const echo = Buffer.alloc(TIME_BYTES + MAC_BYTES);
    echo.writeUInt32BE(this.#now(), 0);
    echo.set(this.#mac(peer, echo.subarray(0, TIME_BYTES)), TIME_BYTES);
    return echo;
  }

  #remember(host: string): void {
    const nowMs = this.#clock.nowMs();
    const known = this.#verifiedUntilMs;
    known.delete(host);
    for (const [oldest, untilMs] of known) {
      if (untilMs > nowMs && known.size < this.#options.maxVerifiedPeers) break;
      known.delete(oldest);
    }
    if (this.#options.maxVerifiedPeers > 0) known.set(host, nowMs + this.#options.verifiedForMs);
  }

  #isValid(peer: Peer, echo: Uint8Array): boolean {
    if (echo.length !== TIME_BYTES + MAC_BYTES) return false;
    const time = echo.subarray(0, TIME_BYTES);
    const issuedAtMs = Buffer.from(time).readUInt32BE(0);
    const ageMs = (this.#now() - issuedAtMs + TIME_SPACE) % TIME_SPACE;
    if (ageMs >= this.#options.echoLifetimeMs) return false;
    return timingSafeEqual(this.#mac(peer, time), echo.subarray(TIME_BYTES));
  }

  /** The monotonic time: one process makes and reads the values, so that no clock has to agree with another. */
  #now(): number {
    return Math.floor(this.#clock.nowMs()) % TIME_SPACE;
  }

  #mac(peer: Peer, time: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#key).update(time).update(hostOf(peer)).digest().subarray(0, MAC_BYTES);
  }
}

function hostOf({ address, zone }: Peer): string {
  return zone === undefined ? address : `${address}%${zone}`;
}
