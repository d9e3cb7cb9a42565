import { createHash } from "node:crypto";
import { NAME_PREFIX } from "../constants.js";

/** Most bytes of an endpoint name (RFC 9176 section 5). */
const MAX_NAME_BYTES = 63;

/** Returns the key under which an endpoint name is announced: SHA-256 of `tributary:` and the name in UTF-8. Pure. */
export function nameKey(name: string): Uint8Array {
  return createHash("sha256").update(NAME_PREFIX).update(name).digest();
}

/** Whether a text can be the name of an endpoint: 1 to 63 bytes without control characters (RFC 9176 section 5). Pure. */
export function isEndpointName(name: string): boolean {
  return name !== "" && Buffer.byteLength(name) <= MAX_NAME_BYTES && !/\p{Cc}/u.test(name);
}
