import { CODE, type ServerResponse } from "@tributary/coap-transport";
import { DEFAULT_HOP_LIMIT, MAX_HOP_DIAGNOSTIC_BYTES } from "./constants.js";

/** The Hop-Limit that a request goes on with, or null when it must not go on (RFC 8768 section 3). Pure. */
export function nextHopLimit(received: number | undefined): number | null {
  if (received === undefined) return DEFAULT_HOP_LIMIT;
  return received > 1 ? received - 1 : null;
}

/** 5.08 with the name of the node that found the loop as diagnostic (RFC 8768 section 4). Pure. */
export function hopLimitReached(name: string): ServerResponse {
  return { code: CODE.HOP_LIMIT_REACHED, payload: new TextEncoder().encode(name) };
}

/** A 5.08 on its way back: each node puts its name in front, as far as there is room (RFC 8768 section 4). Pure. */
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
