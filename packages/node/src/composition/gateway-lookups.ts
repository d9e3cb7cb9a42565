import { METHOD, type RequestHandler, type ServerRequest } from "@tributary/coap-transport";
import type { Link } from "@tributary/link-model";
import {
  createLookupInterface,
  type LookupInterfaceDeps,
  type LookupRefusal,
  type LookupResult,
  type LookupSource,
} from "@tributary/lookup-interface";

/** Formats of lookups for other protocols than CoAP. linkset+json has no registered number; it has one of the experimental range. */
export const GATEWAY_FORMAT = { LINK_FORMAT: 40, JSON: 50, LINKSET_JSON: 65_000 } as const;

/** A lookup that came by another protocol. */
export interface GatewayLookup {
  readonly query: readonly string[];
  /** One of GATEWAY_FORMAT. */
  readonly accept: number;
  readonly peer: ServerRequest["peer"];
  /** URI of this node over CoAP, e.g. `coap://[2001:db8::1]`: what references without a scheme and host are relative to. */
  readonly authority: string;
}

/** A lookup of a gateway as a request, with what is noted of its result. */
export class GatewayRequest implements ServerRequest {
  readonly method = METHOD.GET;
  readonly path: readonly string[] = [];
  readonly query: readonly string[];
  readonly accept: number;
  readonly etags: readonly Uint8Array[] = [];
  readonly payload = new Uint8Array();
  readonly options = [];
  readonly peer: ServerRequest["peer"];
  readonly isMulticast = false;
  readonly scheme: string;
  readonly local: ServerRequest["local"];
  readonly sourceProof = "trusted";
  readonly authority: string;
  /** Upstreams whose part is missing in the result. */
  missing: readonly string[] = [];
  /** Links of the result so far. */
  links = 0;

  constructor({ query, accept, peer, authority }: GatewayLookup, local: ServerRequest["local"]) {
    this.query = query;
    this.accept = accept;
    this.peer = peer;
    this.authority = authority;
    this.scheme = authority.slice(0, authority.indexOf(":"));
    this.local = local;
  }
}

/** The lookups of a node for other protocols: the same results, and what was noted of them. */
export type GatewayLookups = Readonly<Record<"ep" | "res", RequestHandler>>;

/** Creates the lookups for gateways. Requests are instances of GatewayRequest. */
export function createGatewayLookups(
  deps: Omit<LookupInterfaceDeps, "feed">,
  { resourcePath }: { readonly resourcePath: readonly string[] },
): GatewayLookups {
  const source = notedSource(deps.source);
  const create = (kind: "ep" | "res"): RequestHandler =>
    createLookupInterface(
      { ...deps, source },
      {
        kind,
        path: [],
        attributes: [],
        resourcePath,
        linksetFormat: GATEWAY_FORMAT.LINKSET_JSON,
        jsonFormat: GATEWAY_FORMAT.JSON,
      },
    ).handle;
  return { ep: create("ep"), res: create("res") };
}

function notedSource(source: LookupSource): LookupSource {
  return (context) => {
    const result = source(context);
    const { request } = context;
    if (!(request instanceof GatewayRequest)) return result;
    return result instanceof Promise ? result.then((one) => noted(one, request)) : noted(result, request);
  };
}

/** The result with absolute references, for a client whose base URI is not one of CoAP. */
function noted(result: LookupResult | LookupRefusal, request: GatewayRequest): LookupResult | LookupRefusal {
  if (!("links" in result)) return result;
  const { links, steps, missing, maxAgeS, origin } = result;
  request.missing = missing ?? [];
  request.links = 0;
  const show = (link: Link): Link => {
    request.links++;
    return absolute(link, request.authority);
  };
  return {
    links: mapped(links, show),
    ...(steps === undefined ? {} : { steps: () => mapped(steps(), (link) => (link === null ? null : show(link))) }),
    ...(maxAgeS === undefined ? {} : { maxAgeS }),
    ...(origin === undefined ? {} : { origin }),
  };
}

function* mapped<T, U>(items: Iterable<T>, map: (item: T) => U): Generator<U> {
  for (const item of items) yield map(item);
}

/** Registration resources of this node are given by their path (RFC 9176 section 6.2). */
function absolute(link: Link, authority: string): Link {
  const { target, attributes } = link;
  const hasPath = attributes.some(([name, value]) => isReference(name) && value?.startsWith("/") === true);
  if (!target.startsWith("/") && !hasPath) return link;
  return {
    ...link,
    target: target.startsWith("/") ? `${authority}${target}` : target,
    attributes: hasPath
      ? attributes.map((attribute) => {
          const [name, value] = attribute;
          return isReference(name) && value?.startsWith("/") === true ? [name, `${authority}${value}`] : attribute;
        })
      : attributes,
  };
}

/** Attributes of lookup results that are references: the context (RFC 6690), and the registration (draft section 5.1). */
function isReference(name: string): boolean {
  return name === "anchor" || name === "provenance";
}
