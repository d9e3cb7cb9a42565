import type { OutgoingMessage } from "../message/message.js";
import type { Transmission, TransmissionListener } from "../message/transmission.js";
import type { Peer } from "../types.js";

/** What carries notifications: confirmable messages over UDP, the byte stream over TCP. */
export interface NotificationChannel {
  /** Sends a notification reliably. */
  notify(peer: Peer, token: Uint8Array, message: OutgoingMessage, listener: TransmissionListener): Transmission;
  /** Finds out whether the peer is there; calls `onSilence` if it is not. */
  probe(peer: Peer, onSilence: () => void): void;
  /** Sends a notification whose outcome does not matter. */
  notifyOnce(peer: Peer, token: Uint8Array, message: OutgoingMessage): void;
  /** Whether a peer that may have several notifications in transit may get a further one now. Absent: no peer may. */
  hasRoom?(peer: Peer): boolean;
  /**
   * Returns true when the peer reads more slowly than it is written to. `resume` is then called once it has caught up, so that the
   * state sent is the newest one. Absent: never.
   */
  hold?(peer: Peer, resume: () => void): boolean;
}
