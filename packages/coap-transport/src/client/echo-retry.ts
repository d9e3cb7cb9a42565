import { CODE } from "../message/codes.js";
import type { Ask } from "./request-operation.js";
import { withEcho } from "./request-options.js";
import { echoOf } from "./response.js";

/**
 * Wraps `ask` so that a message is sent once more with the Echo value of a 4.01 (RFC 9175 section 2.3). All further messages of the
 * operation carry that value.
 */
export function askWithEcho(ask: Ask): Ask {
  let known: Uint8Array | null = null;
  return async (message) => {
    const first = await ask(known === null ? message : { ...message, options: withEcho(message.options, known) });
    const echo = first.code === CODE.UNAUTHORIZED ? echoOf(first) : undefined;
    if (echo === undefined) return first;
    known = echo;
    return await ask({ ...message, options: withEcho(message.options, echo) });
  };
}
