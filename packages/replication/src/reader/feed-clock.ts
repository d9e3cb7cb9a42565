import { isBareObject, parseFeedPatch } from "../feed-operations.js";
import { type ClockReading, parseClockReading } from "../time/remote-clock.js";

/** The reading of the RD's clock in a patch that starts the endpoint feed from nothing; null when it has none. Pure. */
export function readClock(patch: Uint8Array | string): ClockReading | null {
  const content = parseFeedPatch("ep", patch);
  if (typeof content === "string" || !isBareObject(content.document)) return null;
  return parseClockReading(content.document.clock);
}
