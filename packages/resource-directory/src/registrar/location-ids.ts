import type { Random } from "@tributary/runtime";

/** Base 32 without letters that look like others (Crockford). */
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
/** Random digits at the start of every id of a run: 20 bits. */
const RUN_DIGITS = 4;

/**
 * Makes ids of registration resources: short, never repeated within a run, and unlikely to be those of an earlier run
 * whose clients may still ask for theirs.
 */
export function createLocationIds(random: Random): { next(isTaken: (id: string) => boolean): string } {
  let run = "";
  for (let digit = 0; digit < RUN_DIGITS; digit++) run += DIGITS[Math.floor(random() * DIGITS.length)];
  let counter = 0;
  return {
    next(isTaken) {
      let id: string;
      do id = run + base32(counter++);
      while (isTaken(id));
      return id;
    },
  };
}

function base32(number: number): string {
  let text = "";
  let rest = number;
  do {
    text = DIGITS[rest % 32] + text;
    rest = Math.floor(rest / 32);
  } while (rest > 0);
  return text;
}
