import { formatCode, METHOD, type RequestHandler } from "@tributary/coap-transport";
import { andThen } from "../turns/keyed-queue.js";
import type { RegistrationOperation, RequestCount } from "../types.js";

const REGISTRATION_OPERATIONS: readonly RegistrationOperation[] = ["register", "simple", "update", "remove", "read"];

/** A response code is one byte. */
const CODES = 256;

/** How many requests were for what, and how they ended. Repeated requests that the transport answers by itself are not among them. */
export class RequestCounts {
  readonly #counts = new Map(REGISTRATION_OPERATIONS.map((operation) => [operation, new Float64Array(CODES)]));

  /** The handler, with its responses counted for one operation, or for that which the method of a request to a registration says. */
  counted(handle: RequestHandler, operation: "register" | "simple" | "resource"): RequestHandler {
    return (request) =>
      andThen(handle(request), (response) => {
        const counts = this.#counts.get(operation === "resource" ? operationOf(request.method) : operation);
        if (counts !== undefined) counts[response.code & 0xff] = (counts[response.code & 0xff] ?? 0) + 1;
        return response;
      });
  }

  /** The counts that are not 0. */
  *[Symbol.iterator](): Generator<RequestCount> {
    for (const [operation, counts] of this.#counts)
      for (const [code, count] of counts.entries()) if (count > 0) yield { operation, code: formatCode(code), count };
  }
}

function operationOf(method: number): RegistrationOperation {
  if (method === METHOD.DELETE) return "remove";
  return method === METHOD.GET || method === METHOD.FETCH ? "read" : "update";
}
