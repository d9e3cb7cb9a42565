import { CONTENT_FORMAT, METHOD, type ServerRequest } from "@tributary/coap-transport";
import { DEFAULT_LIFETIME_S } from "../constants.js";
import { accepted, type Result, refused } from "../refusal.js";
import type { RegistrationContent } from "../registrar/registrar.js";
import type { RegistrationLimits } from "../types.js";
import { addressBase, explicitBase, type RegistrationBase } from "./registration-base.js";
import { parseRegistrationParameters, type RegistrationParameters } from "./registration-parameters.js";

/** A request to register, read as far as its query goes. */
export interface RegistrationRequest {
  readonly ep: string;
  readonly parameters: RegistrationParameters;
  readonly base: RegistrationBase;
}

/** What registration interface and simple registration have in common (RFC 9176 sections 5 and 5.1). `hasProxy`: see draft 6.3. Pure. */
export function readRegistrationRequest(
  request: ServerRequest,
  limits: RegistrationLimits,
  hasProxy = false,
): Result<RegistrationRequest> {
  if (request.method !== METHOD.POST) return refused("bad-method", "registrations are made by POST");
  const { contentFormat } = request;
  // Simple clients leave the Content-Format out (REG-23).
  if (contentFormat !== undefined && contentFormat !== CONTENT_FORMAT.LINK_FORMAT) {
    return refused("bad-format", "the links of a registration are application/link-format (40)");
  }
  const parsed = parseRegistrationParameters(request.query, limits.attributes, hasProxy);
  if (!parsed.ok) return parsed;
  const parameters = parsed.value;
  if (parameters.ep === undefined) return refused("bad-request", "ep is missing");
  const base =
    parameters.base === undefined
      ? addressBase(request, parameters.forwardedBase)
      : explicitBase(parameters.base, request.peer);
  return base.ok ? accepted({ ep: parameters.ep, parameters, base: base.value }) : base;
}

/** The endpoint that is asked for. Pure. */
export function endpointOf({ ep, parameters: { d } }: RegistrationRequest): Pick<RegistrationContent, "ep" | "d"> {
  return { ep, ...(d === undefined ? {} : { d }) };
}

/** The registration that is asked for: nothing of an earlier one stays (RFC 9176 section 5). Pure. */
export function registrationContent(asked: RegistrationRequest, links: string, isSimple: boolean): RegistrationContent {
  const { d, ltS, attributes } = asked.parameters;
  return {
    ep: asked.ep,
    ...(d === undefined ? {} : { d }),
    ...asked.base,
    ltS: ltS ?? DEFAULT_LIFETIME_S,
    attributes,
    links,
    isSimple,
  };
}
