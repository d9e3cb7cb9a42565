import type { Clock, Random } from "@tributary/runtime";
import type { StreamSocket } from "../tcp/stream-socket.js";
import { OrderedPath } from "./ordered-path.js";

type Address = { readonly address: string; readonly port: number };

/** Byte streams in virtual time: bytes come in order, in pieces of any size, some time later, until a stream is cut. */
export interface VirtualStreams {
  /** Take connections to `at`; the result ends that. */
  listen(at: Address, accept: (socket: VirtualStream) => void): () => void;
  /** Connect from `from`; port 0 for a free one. Rejects when nobody listens, or nobody answers for minutes. */
  connect(from: Address, to: Address): Promise<VirtualStream>;
  /** Both ends of every stream are gone, with an error. */
  cutAll(): void;
  /** From now on nothing arrives, and there is no error: power loss, or a firewall without state. */
  silenceAll(): void;
  /**
   * The process at an address is gone, and hears nothing more of its streams. Its system resets them; or, when it lost
   * power (`isSilent`), says nothing to anybody until `powerUp`, and resets then what it does not know.
   */
  crash(address: string, isSilent: boolean): void;
  powerUp(address: string): void;
}

/** One end. */
export interface VirtualStream extends StreamSocket {
  readonly other: VirtualStream;
  readonly isClosed: boolean;
}

export interface VirtualStreamsOptions {
  /** Default 1. */
  readonly latencyMs?: number;
  /** Time that something takes from one address to another, ms; null: it is lost, and sent again. Default: `latencyMs`. */
  readonly transit?: (from: string, to: string) => number | null;
  /** Bytes under way and unread that the system takes before they count as queued. Default 65 536. */
  readonly windowBytes?: number;
  /** Largest piece in which bytes arrive. Default 1460. */
  readonly maxPieceBytes?: number;
}

const FIRST_EPHEMERAL_PORT = 32_768;
/** Pause before a connection that is not answered is tried again, ms, doubled each time, and how often. */
const FIRST_CONNECT_PAUSE_MS = 1000;
const CONNECT_TRIES = 7;

export function createVirtualStreams(
  deps: { clock: Clock; random: Random },
  options: VirtualStreamsOptions = {},
): VirtualStreams {
  const { latencyMs = 1, windowBytes = 65_536, maxPieceBytes = 1460, transit = () => latencyMs } = options;
  const listeners = new Map<string, (socket: VirtualStream) => void>();
  const ends = new Set<End>();
  const powerless = new Set<string>();
  let isSilent = false;
  let nextPort = FIRST_EPHEMERAL_PORT;

  class End implements VirtualStream {
    readonly local: Address;
    readonly remote: Address;
    readonly #path: OrderedPath;
    other!: End;
    onBytes: ((bytes: Uint8Array) => void) | null = null;
    onDrained: (() => void) | null = null;
    onClosed: ((error: Error | null) => void) | null = null;
    isClosed = false;
    /** Written and not yet read by the other side. */
    #unread = 0;
    #wasQueued = false;
    #inbox: Uint8Array[] = [];
    #isPaused = false;
    #endsAfter = false;

    constructor(local: Address, remote: Address) {
      this.local = local;
      this.remote = remote;
      this.#path = new OrderedPath(
        deps.clock,
        () => transit(local.address, remote.address),
        () => this.close(new Error("timed out")),
      );
      ends.add(this);
    }

    get queuedBytes(): number {
      return Math.max(0, this.#unread - windowBytes);
    }

    write(bytes: Uint8Array): void {
      if (this.isClosed || this.#endsAfter) return;
      this.#unread += bytes.length;
      if (this.queuedBytes > 0) this.#wasQueued = true;
      for (let start = 0; start < bytes.length; ) {
        const end = Math.min(bytes.length, start + 1 + Math.floor(deps.random() * maxPieceBytes));
        const piece = bytes.slice(start, end);
        this.#path.send(() => this.other.#arrive(piece));
        start = end;
      }
    }

    #arrive(piece: Uint8Array): void {
      if (isSilent || powerless.has(this.local.address)) return;
      if (this.isClosed) {
        this.#resetOther();
        return;
      }
      this.#inbox.push(piece);
      this.#deliver();
    }

    #deliver(): void {
      while (!this.#isPaused && !this.isClosed) {
        const piece = this.#inbox.shift();
        if (piece === undefined) return;
        this.onBytes?.(piece);
        this.other.#taken(piece.length);
      }
    }

    #taken(length: number): void {
      this.#unread -= length;
      if (!this.#wasQueued || this.queuedBytes > 0 || this.isClosed) return;
      this.#wasQueued = false;
      deps.clock.setTimer(0, () => this.isClosed || this.onDrained?.());
    }

    pause(): void {
      this.#isPaused = true;
    }

    resume(): void {
      this.#isPaused = false;
      deps.clock.setTimer(0, () => this.#deliver());
    }

    end(): void {
      if (this.#endsAfter || this.isClosed) return;
      this.#endsAfter = true;
      this.#path.send(() => {
        if (isSilent || powerless.has(this.remote.address)) return;
        this.other.close(null);
        this.close(null);
      });
    }

    destroy(): void {
      if (this.isClosed) return;
      this.#resetOther();
      this.close(null);
    }

    /** The process is gone: there is no callback. */
    vanish(): void {
      this.isClosed = true;
      this.#inbox = [];
      this.#path.close();
      ends.delete(this);
      if (!powerless.has(this.local.address)) this.#resetOther();
    }

    close(error: Error | null): void {
      if (this.isClosed) return;
      this.isClosed = true;
      this.#inbox = [];
      this.#path.close();
      ends.delete(this);
      this.onClosed?.(error);
    }

    /** Resets are said once; who misses one gets another when it goes on speaking. */
    #resetOther(): void {
      const delayMs = transit(this.local.address, this.remote.address);
      if (delayMs === null || this.other.isClosed) return;
      deps.clock.setTimer(delayMs, () => {
        if (!isSilent && !powerless.has(this.remote.address)) this.other.close(new Error("reset by the peer"));
      });
    }
  }

  /** There and back again. */
  async function knock(from: Address, to: Address): Promise<void> {
    let pauseMs = FIRST_CONNECT_PAUSE_MS;
    for (let tries = 1; tries <= CONNECT_TRIES; tries++, pauseMs *= 2) {
      const there = transit(from.address, to.address);
      const back = powerless.has(to.address) ? null : transit(to.address, from.address);
      const isAnswered = there !== null && back !== null;
      await pause(isAnswered ? there : pauseMs);
      if (isAnswered) return;
    }
    throw new Error("connection timed out");
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => void deps.clock.setTimer(ms, resolve));
  }

  const isSame = (a: Address, b: Address): boolean => a.address === b.address && a.port === b.port;
  return {
    listen(at, accept) {
      listeners.set(keyOf(at), accept);
      return () => void listeners.delete(keyOf(at));
    },
    async connect({ address, port }, to) {
      const from = { address, port: port === 0 ? nextPort++ : port };
      await knock(from, to);
      const accept = listeners.get(keyOf(to));
      if (accept === undefined || isSilent) throw new Error("connection refused");
      // One pair of ports is one connection: an earlier one, of which this side knows nothing any more, is over.
      for (const end of [...ends]) {
        if (isSame(end.local, from) && isSame(end.remote, to)) throw new Error("address in use");
        if (isSame(end.local, to) && isSame(end.remote, from)) end.close(new Error("reset by the peer"));
      }
      const [near, far] = [new End(from, to), new End(to, from)];
      near.other = far;
      far.other = near;
      accept(far);
      return near;
    },
    cutAll() {
      for (const end of [...ends]) end.close(new Error("cut"));
    },
    silenceAll() {
      isSilent = true;
    },
    crash(address, isPowerLost) {
      if (isPowerLost) powerless.add(address);
      for (const key of [...listeners.keys()]) if (key.startsWith(`${address} `)) listeners.delete(key);
      for (const end of [...ends]) if (end.local.address === address) end.vanish();
    },
    powerUp(address) {
      powerless.delete(address);
    },
  };
}

function keyOf({ address, port }: Address): string {
  return `${address} ${port}`;
}
