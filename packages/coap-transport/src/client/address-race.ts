import type { Clock, Timer } from "@tributary/runtime";

/** Time from one address to the next when there is no response (RFC 8305 section 5), ms. */
const ATTEMPT_DELAY_MS = 250;
/** Time to wait for responses after the last address was tried, ms: one retransmission of CoAP. */
const LAST_CHANCE_MS = 4000;

/**
 * Returns the first of `addresses` that responds. Each is tried 250 ms after the one before it, or at once when that one fails. When
 * none responds, it is the first that did not fail; when all failed, the promise is rejected with the error of the first.
 */
export async function raceAddresses(
  clock: Clock,
  addresses: readonly string[],
  probe: (address: string, signal: AbortSignal) => Promise<void>,
): Promise<string> {
  const stop = new AbortController();
  const failed = new Map<string, unknown>();
  let timer: Timer | null = null;
  try {
    return await new Promise<string>((resolve, reject) => {
      let begun = 0;
      const begin = (): void => {
        timer?.cancel();
        const address = addresses[begun];
        if (address === undefined) return;
        begun++;
        timer =
          begun < addresses.length
            ? clock.setTimer(ATTEMPT_DELAY_MS, begin)
            : clock.setTimer(LAST_CHANCE_MS, () => resolve(addresses.find((each) => !failed.has(each)) ?? address));
        probe(address, stop.signal).then(
          () => resolve(address),
          (error: unknown) => {
            failed.set(address, error);
            if (failed.size === addresses.length) reject(failed.get(addresses[0] as string));
            else if (failed.size === begun) begin();
          },
        );
      };
      begin();
    });
  } finally {
    (timer as Timer | null)?.cancel();
    stop.abort();
  }
}
