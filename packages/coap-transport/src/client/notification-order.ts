/** When a notification was made, as far as the client can tell. */
export interface NotificationStamp {
  /** Observe value, 24 bits. */
  readonly sequence: number;
  /** Local time of arrival, ms. */
  readonly atMs: number;
}

const HALF_SEQUENCE_SPACE = 0x800000;
/** No notification is under way for longer than this. */
const REORDER_WINDOW_MS = 128_000;

/** Was `next` made after `last`, though both came in this order (RFC 7641 section 3.4)? Pure. */
export function isFresher(last: NotificationStamp, next: NotificationStamp): boolean {
  const ahead = next.sequence - last.sequence;
  return (
    (ahead > 0 && ahead < HALF_SEQUENCE_SPACE) ||
    -ahead > HALF_SEQUENCE_SPACE ||
    next.atMs > last.atMs + REORDER_WINDOW_MS
  );
}
