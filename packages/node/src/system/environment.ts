import { randomFillSync } from "node:crypto";
import { type Environment, type Logger, type Random, systemClock } from "@tributary/runtime";

/** Random bytes drawn at once. */
const POOL_BYTES = 4096;
/** A double holds 53 random bits: 27 of one word and 26 of another. */
const LOW_SCALE = 2 ** 26;

/** The real world: the clock of the system and unpredictable numbers. */
export function systemEnvironment(logger: Logger): Environment {
  return { clock: systemClock(), random: secureRandom(), logger };
}

/** Uniform numbers in [0, 1) that nobody can foresee: tokens, message ids and Echo values are made of them (RFC 7252 section 11.4). */
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
