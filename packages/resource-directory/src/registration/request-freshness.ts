import {
  CODE,
  type RequestHandler,
  SAFE_METHODS,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import type { RefusalLog } from "../refusal.js";
import { andThen } from "../turns/keyed-queue.js";

/** Turns refusals into responses, and counts them. */
type Refusals = Pick<RefusalLog, "answer">;

/**
 * Requires a fresh Echo value of every request that changes something (RFC 9176 section 5.3.4, RFC 9175 section 2.3). Each
 * successful response carries an Echo value for the next change.
 */
export function requireFreshness(handle: RequestHandler, refusals: Refusals): RequestHandler {
  return (request) => {
    if (SAFE_METHODS.includes(request.method)) return handle(request);
    if (request.sourceProof !== "fresh") return challenge(refusals, "not-fresh");
    return andThen(handle(request), (response) => (isSuccess(response) ? { ...response, issuesEcho: true } : response));
  };
}

/** Requires an Echo value before something is sent to the source address of a request (RFC 9175 section 2.4). */
export function requireProvenSource(handle: RequestHandler, refusals: Refusals): RequestHandler {
  return (request: ServerRequest) =>
    request.sourceProof === "none" ? challenge(refusals, "unverified") : handle(request);
}

function challenge(refusals: Refusals, cause: "not-fresh" | "unverified"): ServerResponse {
  return { ...refusals.answer({ cause, message: "repeat the request with this Echo value" }), issuesEcho: true };
}

function isSuccess({ code }: ServerResponse): boolean {
  return code < CODE.BAD_REQUEST;
}
