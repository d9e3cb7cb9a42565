import {
  CODE,
  CONTENT_FORMAT,
  METHOD,
  type RequestHandler,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import { type AnnouncedUris, withAnnounced } from "../proxy/endpoint-names.js";
import { accepted, type Result, refused } from "../refusal.js";
import { registrantOf } from "../registrar/own-memory.js";
import { NOT_FOUND, type RegistrationContent, type SaveContext } from "../registrar/registrar.js";
import { keyOf, type RegistryEntry } from "../registrar/registry.js";
import type { StoredRegistration } from "../stored-registration.js";
import { andThen } from "../turns/keyed-queue.js";
import type { RegistrationLimits } from "../types.js";
import { addressBase, explicitBase, type RegistrationBase } from "./registration-base.js";
import type { RegistrationHandlerDeps } from "./registration-interface.js";
import { parseRegistrationParameters, type RegistrationParameters } from "./registration-parameters.js";

/** The registration resources (RFC 9176 section 5.3): update by POST, removal by DELETE, the links by GET. */
export function createRegistrationResource(
  deps: RegistrationHandlerDeps,
  options: { readonly resourcePath: readonly string[]; readonly limits: RegistrationLimits },
): RequestHandler {
  const { registrar, refusals } = deps;
  const resource = new RegistrationResource(deps, options.limits);
  return (request) => {
    const id = request.path.length === options.resourcePath.length + 1 ? request.path.at(-1) : undefined;
    const entry = id === undefined ? undefined : registrar.byId(id);
    if (entry !== undefined) return resource.handle(request, entry);
    if (id === undefined) return refusals.answer(NOT_FOUND.refusal);
    if (registrar.isOutOfReach(id)) return refusals.answer(OUT_OF_REACH.refusal);
    return andThen(registrar.isUpToDate(), (isUpToDate) => {
      const late = registrar.byId(id);
      if (late !== undefined) return resource.handle(request, late);
      return refusals.answer((isUpToDate ? NOT_FOUND : BEHIND).refusal);
    });
  };
}

const BEHIND = refused("store-away", "this instance does not know now what the others have registered");
const OUT_OF_REACH = refused("memory", "this instance has no memory for the registration");

class RegistrationResource {
  readonly #deps: RegistrationHandlerDeps;
  readonly #limits: RegistrationLimits;

  constructor(deps: RegistrationHandlerDeps, limits: RegistrationLimits) {
    this.#deps = deps;
    this.#limits = limits;
  }

  handle(request: ServerRequest, entry: RegistryEntry): ServerResponse | Promise<ServerResponse> {
    switch (request.method) {
      case METHOD.GET:
        return this.#read(request, entry);
      case METHOD.POST:
        return this.#update(request, entry);
      case METHOD.DELETE:
        return this.#remove(entry);
      default:
        return this.#deps.refusals.answer({
          cause: "bad-method",
          message: "a registration takes GET, POST and DELETE",
        });
    }
  }

  /** RFC 9176 section 5.3.3 leaves reading open: the links as they were submitted. */
  #read({ accept }: ServerRequest, { stored, phase }: RegistryEntry): ServerResponse {
    const { refusals } = this.#deps;
    if (phase.kind === "dormant") return refusals.answer(NOT_FOUND.refusal);
    if (accept !== undefined && accept !== CONTENT_FORMAT.LINK_FORMAT) {
      return refusals.answer({ cause: "not-acceptable", message: "a registration is application/link-format (40)" });
    }
    return {
      code: CODE.CONTENT,
      contentFormat: CONTENT_FORMAT.LINK_FORMAT,
      payload: Buffer.from(stored.links, "utf8"),
    };
  }

  /** RFC 9176 section 5.3.1. An expired registration is revived by it (section 5.3.3). */
  #update(request: ServerRequest, { stored }: RegistryEntry): ServerResponse | Promise<ServerResponse> {
    const { registrar, refusals } = this.#deps;
    const parameters = this.#readUpdate(request);
    if (!parameters.ok) return refusals.answer(parameters.refusal);
    const update = (announced?: AnnouncedUris) =>
      registrar.update(
        stored.id,
        (entry) => updated(entry.stored, parameters.value, request, { limits: this.#limits, announced }),
        (entry) => contextOf(entry, request),
      );
    const key = keyOf(stored);
    const outcome = registrar.run(key, () => {
      const { proxied } = this.#deps;
      if (proxied === undefined) return update();
      return parameters.value.base === undefined && (parameters.value.isProxied === true || stored.isProxied === true)
        ? proxied.update(key, request, { isAsked: parameters.value.isProxied === true, update })
        : proxied.unproxied(key, update());
    });
    return andThen(outcome, (result) =>
      result.ok
        ? { code: CODE.CHANGED, isStillTrue: registrar.whileUnchanged(result.value) }
        : refusals.answer(result.refusal),
    );
  }

  #readUpdate(request: ServerRequest): Result<RegistrationParameters> {
    if (request.payload.length > 0)
      return refused("bad-request", "an update has no payload; register again to change links");
    const parsed = parseRegistrationParameters(
      request.query,
      this.#limits.attributes,
      this.#deps.proxied !== undefined,
    );
    if (!parsed.ok) return parsed;
    const { ep, d } = parsed.value;
    return ep === undefined && d === undefined ? parsed : refused("bad-request", "ep and d cannot be changed");
  }

  /** RFC 9176 section 5.3.2. */
  #remove({ stored }: RegistryEntry): ServerResponse | Promise<ServerResponse> {
    const { registrar, refusals } = this.#deps;
    const { id } = stored;
    const outcome = registrar.run(keyOf(stored), () =>
      registrar.byId(stored.id) === undefined ? NOT_FOUND : registrar.remove(stored),
    );
    return andThen(outcome, (result) =>
      result.ok
        ? { code: CODE.DELETED, isStillTrue: () => registrar.byId(id) === undefined }
        : refusals.answer(result.refusal),
    );
  }
}

/** An update counts for whom the registration counts already. */
function contextOf({ registrant, freshUntilMs }: RegistryEntry, { peer }: ServerRequest): SaveContext {
  return { registrant: registrant === "" ? registrantOf(peer.address) : registrant, freshUntilMs };
}

/** RFC 9176 section 5.3.1: what is given replaces, what is not stays; a base taken from the source address follows it. */
function updated(
  stored: StoredRegistration,
  parameters: RegistrationParameters,
  request: ServerRequest,
  { limits, announced }: { readonly limits: RegistrationLimits; readonly announced: AnnouncedUris | undefined },
): Result<RegistrationContent & Pick<StoredRegistration, "id">> {
  const given = new Set(parameters.attributes.map(([name]) => name));
  const kept = given.size === 0 ? stored.attributes : stored.attributes.filter(([name]) => !given.has(name));
  const attributes = given.size === 0 ? kept : [...kept, ...parameters.attributes];
  if (attributes.length > limits.attributes)
    return refused("bad-request", `more than ${limits.attributes} endpoint attributes`);
  const ltS = parameters.ltS ?? stored.ltS;
  if (announced !== undefined)
    return accepted({ ...withAnnounced({ ...stored, attributes, ltS }, announced), id: stored.id });
  const base = updatedBase(stored, parameters, request);
  if (!base.ok) return base;
  const { zone: _, isProxied = false, ...rest } = stored;
  const isStillProxied = isProxied && parameters.base === undefined;
  return accepted({
    ...rest,
    ...base.value,
    // What the RD announced for the endpoint goes with the proxy.
    attributes:
      isProxied && !isStillProxied && !given.has("at") ? attributes.filter(([name]) => name !== "at") : attributes,
    ltS,
    ...(isStillProxied ? { isProxied: true } : {}),
  });
}

function updatedBase(
  stored: StoredRegistration,
  given: RegistrationParameters,
  request: ServerRequest,
): Result<RegistrationBase> {
  if (given.base !== undefined) return explicitBase(given.base, request.peer);
  if (stored.isProxied === true) return accepted({ base: stored.base, isBaseExplicit: false });
  if (!stored.isBaseExplicit) return addressBase(request, given.forwardedBase);
  const { base, zone } = stored;
  return accepted({ base, isBaseExplicit: true, ...(zone === undefined ? {} : { zone }) });
}
