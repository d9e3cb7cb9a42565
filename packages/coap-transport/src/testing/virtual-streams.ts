import type { Clock, Random } from "../environment.js";
import type { StreamSocket } from "../stream-socket.js";

type Address = { readonly address: string; readonly port: number };

/** Byte streams in virtual time: bytes come in order, in pieces of any size, some time later, until a stream is cut. */
export interface VirtualStreams {
  /** Take connections to `at`; the result ends that. */
  listen(at: Address, accept: (socket: VirtualStream) => void): () => void;
  /** Connect from `from`. Rejects when nobody listens. */
  connect(from: Address, to: Address): Promise<VirtualStream>;
  /** Both ends of every stream are gone, with an error. */
  cutAll(): void;
  /** From now on nothing arrives, and nobody is told: power lost, or a firewall that forgot. */
  silenceAll(): void;
}

/** One end. */
export interface VirtualStream extends StreamSocket {
  readonly other: VirtualStream;
  readonly isClosed: boolean;
}

export interface VirtualStreamsOptions {
  readonly latencyMs?: number;
  /** Bytes under way and unread that the system takes before they count as queued. Default 65 536. */
  readonly windowBytes?: number;
  /** Largest piece in which bytes arrive. Default 1460. */
  readonly maxPieceBytes?: number;
}

export function createVirtualStreams(
  deps: { clock: Clock; random: Random },
  options: VirtualStreamsOptions = {},
): VirtualStreams {
  const { latencyMs = 1, windowBytes = 65_536, maxPieceBytes = 1460 } = options;
  const listeners = new Map<string, (socket: VirtualStream) => void>();
  const ends = new Set<End>();
  let isSilent = false;

  class End implements VirtualStream {
    readonly local: Address;
    readonly remote: Address;
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
        deps.clock.setTimer(latencyMs, () => this.other.#arrive(piece));
        start = end;
      }
    }

    #arrive(piece: Uint8Array): void {
      if (this.isClosed || isSilent) return;
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
      deps.clock.setTimer(latencyMs, () => {
        if (isSilent) return;
        this.other.close(null);
        this.close(null);
      });
    }

    destroy(): void {
      if (this.isClosed) return;
      deps.clock.setTimer(latencyMs, () => isSilent || this.other.close(new Error("reset by the peer")));
      this.close(null);
    }

    close(error: Error | null): void {
      if (this.isClosed) return;
      this.isClosed = true;
      this.#inbox = [];
      ends.delete(this);
      this.onClosed?.(error);
    }
  }

  const keyOf = ({ address, port }: Address): string => `${address} ${port}`;
  return {
    listen(at, accept) {
      listeners.set(keyOf(at), accept);
      return () => void listeners.delete(keyOf(at));
    },
    async connect(from, to) {
      await new Promise<void>((resolve) => void deps.clock.setTimer(latencyMs, resolve));
      const accept = listeners.get(keyOf(to));
      if (accept === undefined || isSilent) throw new Error("connection refused");
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
  };
}
