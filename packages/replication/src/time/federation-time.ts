/**
 * Query item of a request for a feed that tells the RD the federation time of who asks: whole microseconds since the Unix
 * epoch, in lower-case hexadecimal. It selects nothing.
 */
export const TIME_CRITERION = "tributary-time";

/** The value of the item, or null when it is none. Pure. */
export function parseFederationTime(text: string): number | null {
  return /^[0-9a-f]{1,13}$/.test(text) ? Number.parseInt(text, 16) / 1000 : null;
}

/** The query item that tells a federation time, ms since the Unix epoch. Pure. */
export function federationTimeItem(timeMs: number): string {
  return `${TIME_CRITERION}=${Math.round(timeMs * 1000).toString(16)}`;
}
