import type { Clock, Timer } from "@tributary/runtime";

type Source = { readonly address: string; readonly port: number };

/** How long a copy may be behind the other, ms. The kernel makes both in one go. */
const HOLD_MS = 4;
/** Datagrams held at once; beyond that they are taken for unicast without waiting. */
const MAX_HELD = 256;
/** Datagrams to groups remembered at once. */
const MAX_NOTED = 1024;

/**
 * Tells datagrams that a wildcard socket got as copies from those that it alone got: each waits a few milliseconds for
 * the socket of a group to get the same.
 */
export class WildcardCopies {
  readonly #clock: Clock;
  readonly #deliver: (datagram: Buffer, from: Source) => void;
  /** What the sockets of groups got lately, oldest first. */
  readonly #noted = new Map<string, number>();
  readonly #held = new Set<Timer>();

  /** `deliver` is called with what came alone. */
  constructor(clock: Clock, deliver: (datagram: Buffer, from: Source) => void) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  /** The socket of a group got this. */
  note(datagram: Buffer, from: Source): void {
    const nowMs = this.#clock.nowMs();
    for (const [key, atMs] of this.#noted) {
      if (nowMs - atMs <= 2 * HOLD_MS && this.#noted.size < MAX_NOTED) break;
      this.#noted.delete(key);
    }
    this.#noted.set(keyOf(datagram, from), nowMs);
  }

  /** The wildcard socket got this. */
  hold(datagram: Buffer, from: Source): void {
    if (this.#held.size >= MAX_HELD) {
      this.#deliver(datagram, from);
      return;
    }
    const timer = this.#clock.setTimer(HOLD_MS, () => {
      this.#held.delete(timer);
      if (!this.#noted.delete(keyOf(datagram, from))) this.#deliver(datagram, from);
    });
    this.#held.add(timer);
  }

  close(): void {
    for (const timer of this.#held) timer.cancel();
    this.#held.clear();
    this.#noted.clear();
  }
}

function keyOf(datagram: Buffer, { address, port }: Source): string {
  return `${address} ${port} ${datagram.toString("latin1")}`;
}
