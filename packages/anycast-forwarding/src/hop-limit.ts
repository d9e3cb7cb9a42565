import { CODE, type ServerResponse } from "@tributary/coap-transport";
import { DEFAULT_HOP_LIMIT, MAX_HOP_DIAGNOSTIC_BYTES } from "./constants.js";

/** Returns the Hop-Limit of the forwarded request, or null when it must not be forwarded (RFC 8768 section 3). Pure. */
export function nextHopLimit(received: number | undefined): number | null {
  if (received === undefined) return DEFAULT_HOP_LIMIT;
  return received > 1 ? received - 1 : null;
}

/** Creates a 5.08 with the name of the node that found the loop as diagnostic payload (RFC 8768 section 4). Pure. */
export function hopLimitReached(name: string): ServerResponse {
  return { code: CODE.HOP_LIMIT_REACHED, payload: new TextEncoder().encode(name) };
}

/** Prepends the name of this node to the diagnostic payload of a 5.08, if there is room (RFC 8768 section 4). Pure. */
export function withNameInFront(name: string, response: ServerResponse): ServerResponse {
  if (response.code !== CODE.HOP_LIMIT_REACHED) return response;
  const front = new TextEncoder().encode(`${name} `);
  const rest = response.payload ?? new Uint8Array();
  if (front.length + rest.length > MAX_HOP_DIAGNOSTIC_BYTES) return response;
  const payload = new Uint8Array(front.length + rest.length);
  payload.set(front);
  payload.set(rest, front.length);
  return { ...response, payload };
}
