import type { SharedLimit } from "@tributary/merge-engine";
import {
  DOCUMENT_ATTRIBUTE_BYTES,
  DOCUMENT_LINK_BYTES,
  DOCUMENT_SHARE,
  DOCUMENT_WEIGHT_SHARE,
  MAX_DOCUMENT_BYTES,
} from "./constants.js";
import { UpstreamError } from "./errors.js";

/** Bytes looked at in one step. */
const STEP_BYTES = 65_536;
const [LESS_THAN, SEMICOLON] = [0x3c, 0x3b];

/** Largest lookup document that is taken from an upstream, bytes: a share of the memory for what upstreams hold. Pure. */
export function documentLimit(memory: SharedLimit): number {
  return Math.floor(Math.min(MAX_DOCUMENT_BYTES, DOCUMENT_SHARE * memory.total));
}

/**
 * Checks that a lookup document can be read without more memory than there is for it: as much as the upstream may still take, and
 * always a share of the whole. Each link has a `<`, and each attribute a `;`. @throws {UpstreamError} `UPSTREAM_TOO_LARGE`
 */
export function* checkDocumentWeight(payload: Uint8Array, memory: SharedLimit, account: string): Generator<void, true> {
  const most = Math.max(DOCUMENT_WEIGHT_SHARE * memory.total, memory.room(account));
  // Text and bytes.
  let weight = 2 * payload.length;
  for (let at = 0; at < payload.length; at++) {
    const byte = payload[at];
    if (byte === LESS_THAN) weight += DOCUMENT_LINK_BYTES;
    else if (byte === SEMICOLON) weight += DOCUMENT_ATTRIBUTE_BYTES;
    if (at % STEP_BYTES !== 0) continue;
    if (weight > most) break;
    yield;
  }
  if (weight > most)
    throw new UpstreamError(
      "UPSTREAM_TOO_LARGE",
      `a document of ${payload.length} bytes takes more memory to read than there is (limits.memory)`,
    );
  return true;
}
