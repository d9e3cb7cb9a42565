import { CODE, type RequestHandler, type ServerRequest } from "@tributary/coap-transport";
import { andThen } from "./keyed-queue.js";
import { accepted, type RefusalLog, type Result } from "./refusal.js";
import type { Registrar } from "./registrar.js";
import { type RegistrationDocument, readDocument } from "./registration-document.js";
import { type RegistrationRequest, readRegistrationRequest, registrationContent } from "./registration-request.js";
import { keyOf } from "./registry.js";
import type { RegistrationLimits } from "./types.js";

export interface RegistrationHandlerDeps {
  readonly registrar: Registrar;
  readonly refusals: RefusalLog;
}

/** The registration interface (RFC 9176 section 5): POST {rd}?ep=… answers 2.01 with the location. */
export function createRegistrationInterface(
  { registrar, refusals }: RegistrationHandlerDeps,
  options: { readonly limits: RegistrationLimits },
): RequestHandler {
  return (request) => {
    const read = readRegistration(request, options.limits);
    if (!read.ok) return refusals.answer(read.refusal);
    const { asked, document } = read.value;
    const content = registrationContent(asked, document.text, false);
    return andThen(
      registrar.run(keyOf(content), () => registrar.register(content, document.links)),
      (outcome) =>
        outcome.ok
          ? {
              code: CODE.CREATED,
              locationPath: registrar.locationPath(outcome.value.id),
              isStillTrue: registrar.whileUnchanged(outcome.value),
            }
          : refusals.answer(outcome.refusal),
    );
  };
}

function readRegistration(
  request: ServerRequest,
  limits: RegistrationLimits,
): Result<{ asked: RegistrationRequest; document: RegistrationDocument }> {
  const asked = readRegistrationRequest(request, limits);
  if (!asked.ok) return asked;
  const document = readDocument(request.payload, limits);
  return document.ok ? accepted({ asked: asked.value, document: document.value }) : document;
}
