import { CODE, type RequestHandler, type ServerRequest, type ServerResponse } from "@tributary/coap-transport";
import { type Result, refused } from "../refusal.js";
import { registrantOf } from "../registrar/own-memory.js";
import { keyOf, type RegistryEntry } from "../registrar/registry.js";
import type { StoredRegistration } from "../stored-registration.js";
import { andThen } from "../turns/keyed-queue.js";
import type { RegistrationLimits } from "../types.js";
import type { EndpointDocuments, FetchedDocument } from "./endpoint-documents.js";
import type { RegistrationHandlerDeps } from "./registration-interface.js";
import {
  endpointOf,
  type RegistrationRequest,
  readRegistrationRequest,
  registrationContent,
} from "./registration-request.js";

export interface SimpleRegistrationDeps extends RegistrationHandlerDeps {
  readonly documents: EndpointDocuments;
  readonly nowMs: () => number;
}

/** Simple registration (RFC 9176 section 5.1): the RD fetches the links itself, and answers 2.04 when it has them. */
export function createSimpleRegistration(
  deps: SimpleRegistrationDeps,
  options: { readonly limits: RegistrationLimits; readonly hasProxy: boolean },
): RequestHandler {
  const simple = new SimpleRegistration(deps);
  return (request) => {
    const asked = readSimpleRequest(request, options);
    return asked.ok ? simple.handle(request, asked.value) : deps.refusals.answer(asked.refusal);
  };
}

function readSimpleRequest(
  request: ServerRequest,
  { limits, hasProxy }: { readonly limits: RegistrationLimits; readonly hasProxy: boolean },
): Result<RegistrationRequest> {
  if (request.payload.length > 0) return refused("bad-request", "a simple registration has no payload");
  const asked = readRegistrationRequest(request, limits, hasProxy);
  if (asked.ok && asked.value.parameters.isProxied === true)
    return refused("bad-request", "proxy is a parameter of the registration interface, not of simple registration");
  // Its links are read from where it came from, and from nowhere else.
  if (asked.ok && (asked.value.parameters.base ?? asked.value.parameters.forwardedBase) !== undefined)
    return refused("bad-request", "a simple registration has no base");
  return asked;
}

class SimpleRegistration {
  readonly #deps: SimpleRegistrationDeps;

  constructor(deps: SimpleRegistrationDeps) {
    this.#deps = deps;
  }

  handle(request: ServerRequest, asked: RegistrationRequest): ServerResponse | Promise<ServerResponse> {
    const { registrar, refusals } = this.#deps;
    const key = keyOf(endpointOf(asked));
    const outcome = registrar.run(key, () => this.#refresh(request, asked));
    return andThen(outcome, (refreshed) => {
      if (refreshed === null) return this.#fetchAndRegister(request, key, asked);
      return refreshed.ok ? this.#changed(refreshed.value) : refusals.answer(refreshed.refusal);
    });
  }

  /** Renew from the document fetched before, while that is fresh (RFC 9176 section 5.1); null when it is not. */
  #refresh(
    request: ServerRequest,
    asked: RegistrationRequest,
  ): Result<StoredRegistration> | Promise<Result<StoredRegistration>> | null {
    const { registrar, nowMs } = this.#deps;
    const entry = registrar.byEndpoint(endpointOf(asked));
    if (entry === undefined || !isFromSameEndpoint(entry, asked) || nowMs() >= entry.freshUntilMs) return null;
    const content = registrationContent(asked, entry.stored.links, true);
    return registrar.register(content, null, {
      registrant: registrantOf(request.peer.address),
      freshUntilMs: entry.freshUntilMs,
    });
  }

  /**
   * The fetch is not part of the queue of the key: an endpoint that does not answer must not keep others from registering
   * under that name. What happened to the name meanwhile is newer than this request.
   */
  async #fetchAndRegister(request: ServerRequest, key: string, asked: RegistrationRequest): Promise<ServerResponse> {
    const { registrar, refusals, documents } = this.#deps;
    const before = registrar.byEndpoint(endpointOf(asked))?.stored;
    const fetched = await documents.fetch(request);
    if (!fetched.ok) return refusals.answer(fetched.refusal);
    const outcome = await registrar.run(key, () => {
      const now = registrar.byEndpoint(endpointOf(asked));
      const isOvertaken = now !== undefined && now.stored !== before && !isFromSameEndpoint(now, asked);
      return isOvertaken ? OVERTAKEN : this.#register(request, asked, fetched.value);
    });
    return outcome.ok ? this.#changed(outcome.value) : refusals.answer(outcome.refusal);
  }

  #changed(saved: StoredRegistration): ServerResponse {
    return { code: CODE.CHANGED, isStillTrue: this.#deps.registrar.whileUnchanged(saved) };
  }

  #register(request: ServerRequest, asked: RegistrationRequest, { document, freshUntilMs }: FetchedDocument) {
    const content = registrationContent(asked, document.text, true);
    return this.#deps.registrar.register(content, document.links, {
      registrant: registrantOf(request.peer.address),
      freshUntilMs,
    });
  }
}

const OVERTAKEN = refused("conflict", "the endpoint was registered otherwise meanwhile");

function isFromSameEndpoint({ stored }: RegistryEntry, asked: RegistrationRequest): boolean {
  return stored.isSimple && stored.base === asked.base.base && stored.zone === asked.base.zone;
}
