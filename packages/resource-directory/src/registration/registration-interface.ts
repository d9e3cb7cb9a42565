import { CODE, type RequestHandler } from "@tributary/coap-transport";
import { type AnnouncedUris, withAnnounced } from "../proxy/endpoint-names.js";
import type { ProxiedRegistrations } from "../proxy/proxied-registrations.js";
import type { RefusalLog } from "../refusal.js";
import { registrantOf } from "../registrar/own-memory.js";
import type { Registrar } from "../registrar/registrar.js";
import { readDocument } from "../registrar/registration-document.js";
import { keyOf } from "../registrar/registry.js";
import { andThen } from "../turns/keyed-queue.js";
import type { RegistrationLimits } from "../types.js";
import { endpointOf, readRegistrationRequest, registrationContent } from "./registration-request.js";

export interface RegistrationHandlerDeps {
  readonly registrar: Registrar;
  readonly refusals: RefusalLog;
  /** Present in an RD that proxies endpoints. */
  readonly proxied?: ProxiedRegistrations | undefined;
}

/** The registration interface (RFC 9176 section 5): POST {rd}?ep=… answers 2.01 with the location. */
export function createRegistrationInterface(
  { registrar, refusals, proxied }: RegistrationHandlerDeps,
  options: { readonly limits: RegistrationLimits },
): RequestHandler {
  return (request) => {
    const asked = readRegistrationRequest(request, options.limits, proxied !== undefined);
    if (!asked.ok) return refusals.answer(asked.refusal);
    const registrant = registrantOf(request.peer.address);
    const endpoint = endpointOf(asked.value);
    const lack = registrar.refusalOf(endpoint, request.payload, registrant);
    if (lack !== undefined) return refusals.answer(lack);
    const { payload } = request;
    const key = keyOf(endpoint);
    let hasWaited = false;
    const register = (announced?: AnnouncedUris): ReturnType<Registrar["register"]> => {
      // Others may have taken the room meanwhile.
      const lack = hasWaited ? registrar.refusalOf(endpoint, payload, registrant) : undefined;
      if (lack !== undefined) return { ok: false, refusal: lack };
      const read = readDocument(payload, options.limits);
      if (!read.ok) return read;
      const content = withAnnounced(registrationContent(asked.value, read.value.text, false), announced);
      return registrar.register(content, read.value.links, { registrant });
    };
    const task =
      proxied === undefined
        ? register
        : asked.value.parameters.isProxied === true
          ? () => proxied.register(key, request, register)
          : () => proxied.unproxied(key, register());
    const pending = registrar.runReading(key, registrant, payload.length, task);
    hasWaited = true;
    return andThen(pending, (outcome) =>
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
