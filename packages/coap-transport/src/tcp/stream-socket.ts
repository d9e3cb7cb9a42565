import type { PeerIdentity } from "../types.js";

/** A byte stream to one peer as CoAP over TCP needs it; real ones are made in `streams`, simulated ones by tests. */
export interface StreamSocket {
  readonly local: { readonly address: string; readonly port: number };
  /** Zone included, IPv4-mapped addresses as IPv4. */
  readonly remote: { readonly address: string; readonly port: number };
  /** Default `tcp`. */
  readonly transport?: "tcp" | "tls";
  /** Who is at the other end, as TLS has proved. */
  readonly identity?: PeerIdentity;
  /** Sends, or buffers until the peer reads. Does nothing after the end. */
  write(bytes: Uint8Array): void;
  /** Bytes that the system has not taken yet. */
  readonly queuedBytes: number;
  /** Stop, or go on with, `onBytes`. */
  pause(): void;
  /** Continues reading after `pause`. */
  resume(): void;
  /** No more bytes of ours; what is queued still goes out. */
  end(): void;
  /** Closes the connection at once; `onClosed` is called. */
  destroy(): void;
  /** These three are set once, before anything is received. */
  onBytes: ((bytes: Uint8Array) => void) | null;
  /** Everything written was taken by the system. Called after `queuedBytes` was above some hundred kilobytes at least. */
  onDrained: (() => void) | null;
  /** Called once; the peer's end, or an error, ends both directions. */
  onClosed: ((error: Error | null) => void) | null;
}

/** Where streams come from. */
export interface StreamListener {
  readonly local: { readonly address: string; readonly port: number };
  /** Stops accepting connections. */
  close(): void;
}
