import { randomFillSync } from "node:crypto";
import { type Environment, type Logger, type Random, systemClock } from "@tributary/runtime";

/** Random bytes drawn at once. */
const POOL_BYTES = 4096;
/** A double has 53 random bits: 27 from one word and 26 from another. */
const LOW_SCALE = 2 ** 26;

/** Returns the environment of a real node: the system clock and secure random numbers. */
export function systemEnvironment(logger: Logger): Environment {
  return { clock: systemClock(), random: secureRandom(), logger };
}

/** Creates an unpredictable Random, for tokens, message IDs and Echo values (RFC 7252 section 11.4). */
export function secureRandom(): Random {
  const pool = new Uint32Array(POOL_BYTES / 4);
  let next = pool.length;
  return () => {
    if (next >= pool.length) {
      randomFillSync(pool);
      next = 0;
    }
    const high = (pool[next] as number) >>> 5;
    const low = (pool[next + 1] as number) >>> 6;
    next += 2;
    return (high * LOW_SCALE + low) / 2 ** 53;
  };
}
