import type { Random } from "@tributary/runtime";

/** Length of the tokens of this package: the maximum, so that they cannot be guessed (RFC 7252 section 5.3.1). */
const TOKEN_BYTES = 8;

/** Returns a random token for which `isInUse` is false. */
export function newToken(random: Random, isInUse: (token: Uint8Array) => boolean): Uint8Array {
  for (;;) {
    const token = new Uint8Array(TOKEN_BYTES);
    for (let index = 0; index < TOKEN_BYTES; index++) token[index] = Math.floor(random() * 256);
    if (!isInUse(token)) return token;
  }
}
