/**
 * Receives the outcome of a transmission (RFC 7252 section 4.2, 4.3). At most one of the methods is called, never before the call that
 * started the transmission returned, and none after `cancel`.
 */
export interface TransmissionListener {
  /** The message arrived. Over TCP: it was written to the stream. */
  onAcknowledged(): void;
  /** The peer rejected the message, or responded to a ping. */
  onReset(): void;
  /** No retransmission was acknowledged, or the connection ended. */
  onTimeout(): void;
  /** The network reports that the peer cannot be reached. Absent: such reports are ignored, and retransmission goes on. */
  onUnreachable?(error: Error): void;
}

/** A transmission in progress. */
export interface Transmission {
  /** Stops retransmission; the listener is not called any more. */
  cancel(): void;
}

const ignore = (): void => {};

/** Ignores every outcome. */
export const IGNORE_OUTCOME: TransmissionListener = {
  onAcknowledged: ignore,
  onReset: ignore,
  onTimeout: ignore,
  onUnreachable: ignore,
};
