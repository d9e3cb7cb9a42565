import type { Precondition, ServerResponse } from "../types.js";
import { CODE } from "./codes.js";

/** What is known of the target of a conditional request. */
export interface PreconditionTarget {
  readonly exists: boolean;
  /** Entity-tag of its representation; absent: it has none. */
  readonly etag?: Uint8Array | undefined;
}

/**
 * Does the target meet the condition of a request (RFC 7252 section 5.10.8)? If-Match: it exists, with one of the tags (an empty
 * one stands for any). If-None-Match: it does not exist. Pure.
 */
export function meetsPrecondition({ ifMatch, ifNoneMatch }: Precondition, target: PreconditionTarget): boolean {
  if (ifNoneMatch && target.exists) return false;
  if (ifMatch.length === 0) return true;
  return target.exists && ifMatch.some((tag) => tag.length === 0 || isSameTag(tag, target.etag));
}

/** Returns the target of a safe request, as its response shows it: it exists only with a success. Pure. */
export function targetOf({ code, etag }: Pick<ServerResponse, "code" | "etag">): PreconditionTarget {
  return { exists: code < CODE.BAD_REQUEST, etag };
}

function isSameTag(tag: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && tag.length === other.length && tag.every((byte, index) => byte === other[index]);
}
