import type { Clock, Timer } from "@tributary/runtime";

/** The next address is tried so long after one that does not answer (RFC 8305 section 5), ms. */
const ATTEMPT_DELAY_MS = 250;
/** After the last address was begun with, answers are waited for so long, ms: one retransmission of CoAP. */
const LAST_CHANCE_MS = 4000;

/**
 * The first of `addresses` that answers. Each is begun with a quarter of a second after the one before it, or at once when
 * that one fails. When all are silent, the first that did not fail; rejects, with the reason of the first, when all failed.
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
