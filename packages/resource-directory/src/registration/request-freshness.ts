import { CODE, METHOD, type RequestHandler, type ServerRequest, type ServerResponse } from "@tributary/coap-transport";
import type { RefusalLog } from "../refusal.js";
import { andThen } from "./keyed-queue.js";

const SAFE_METHODS: readonly number[] = [METHOD.GET, METHOD.FETCH];

/**
 * Ask for an Echo value before anything is changed (RFC 9176 section 5.3.4, RFC 9175 section 2.3), and hand out one for
 * the next change with each answer.
 */
export function requireFreshness(handle: RequestHandler, refusals: RefusalLog): RequestHandler {
  return (request) => {
    if (SAFE_METHODS.includes(request.method)) return handle(request);
    if (request.sourceProof !== "fresh") return challenge(refusals, "not-fresh");
    return andThen(handle(request), (answer) => (isSuccess(answer) ? { ...answer, issuesEcho: true } : answer));
  };
}

/** Ask for an Echo value before something is sent to where the request says that it comes from (RFC 9175 section 2.4). */
export function requireProvenSource(handle: RequestHandler, refusals: RefusalLog): RequestHandler {
  return (request: ServerRequest) =>
    request.sourceProof === "none" ? challenge(refusals, "unverified") : handle(request);
}

function challenge(refusals: RefusalLog, cause: "not-fresh" | "unverified"): ServerResponse {
  return { ...refusals.answer({ cause, message: "repeat the request with this Echo value" }), issuesEcho: true };
}

function isSuccess({ code }: ServerResponse): boolean {
  return code < CODE.BAD_REQUEST;
}
