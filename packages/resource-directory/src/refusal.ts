import { CODE, errorResponse, type ServerResponse } from "@tributary/coap-transport";
import { RETRY_AFTER_S } from "@tributary/lookup-interface";
import { addCount } from "@tributary/runtime";
import { REFUSAL_CODE, type RefusalCause } from "./constants.js";

/** Why a request cannot be served. */
export interface Refusal {
  readonly cause: RefusalCause;
  /** A sentence for the diagnostic payload. */
  readonly message: string;
}

/** Something, or the reason why not. */
export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

export function accepted<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function refused(cause: RefusalCause, message: string): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: { cause, message } };
}

/** The answer that says so. Pure. */
export function refusalAnswer({ cause, message }: Refusal): ServerResponse {
  const answer = errorResponse(REFUSAL_CODE[cause], message);
  return answer.code === CODE.UNAVAILABLE ? { ...answer, maxAgeS: RETRY_AFTER_S } : answer;
}

/** Turns refusals into answers and counts them by cause. */
export interface RefusalLog {
  readonly counts: ReadonlyMap<string, number>;
  answer(refusal: Refusal): ServerResponse;
  /** Counts what is refused elsewhere. */
  count(cause: string): void;
}

export function createRefusalLog(): RefusalLog {
  const counts = new Map<string, number>();
  return {
    counts,
    answer({ cause, message }) {
      addCount(counts, cause);
      return refusalAnswer({ cause, message });
    },
    count: (cause) => addCount(counts, cause),
  };
}
