import {
  CODE,
  errorResponse,
  type RequestHandler,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import type { LookupScope, SiteResource } from "@tributary/lookup-interface";
import {
  createEndpointDocuments,
  type EndpointDocuments,
  REGISTRATION_ATTRIBUTES,
  type Refusal,
  refusalAnswer,
  requireFreshness,
  SIMPLE_REGISTRATION_PATH,
} from "@tributary/resource-directory";
import { isForwardable } from "./forwardable-lookup.js";
import { withClientAddress } from "./forwarded-request.js";
import { Forwarder } from "./forwarder.js";
import { REGISTRATIONS_SEGMENT, type Route, RoutingTable } from "./routing-table.js";
import { createSimpleForwarding } from "./simple-forwarding.js";
import type { ForwardingDeps, ForwardingOptions, RequestForwarding } from "./types.js";

/**
 * Creates the request forwarding of a node that shares its address with others (draft 6.2.2). Only requests that the draft names
 * are forwarded, and only to the configured peers: this is not a general proxy.
 */
export function createRequestForwarding(deps: ForwardingDeps, options: ForwardingOptions): RequestForwarding {
  const routing = new RoutingTable(options.self, options.peers);
  const forwarder = new Forwarder(deps, options);
  const { client, env } = deps;
  const documents = createEndpointDocuments({ client, clock: env.clock }, { limits: options.limits });
  // The RD sees the address of this node, which is always proven: whether a change is fresh is found out here.
  const refusals = { answer: (refusal: Refusal) => forwarder.reject(refusal.cause, refusalAnswer(refusal)) };
  const guarded = (handle: RequestHandler) => (options.requiresFreshness ? requireFreshness(handle, refusals) : handle);
  const registrationResources: SiteResource = {
    path: [REGISTRATIONS_SEGMENT],
    isSubtree: true,
    exists: () => "elsewhere",
    handle: guarded((request) => forwardRegistration(forwarder, routing.registrationResource(request.path), request)),
  };
  return {
    resources: [...registrationInterfaces(routing, forwarder, documents, guarded), registrationResources],
    lookup: (local, scopeOf) => lookupHandler(routing, forwarder, local, scopeOf),
    peers: () => forwarder.peers(),
    rejected: forwarder.rejected,
    tableSizes: () => ({ ...forwarder.tableSizes(), "forwarded-documents": documents.size }),
    close() {
      documents.close();
      forwarder.close();
    },
  };
}

/** Resources for `/rd` and simple registration, where this node is not an RD. */
function registrationInterfaces(
  routing: RoutingTable,
  forwarder: Forwarder,
  documents: EndpointDocuments,
  guarded: (handle: RequestHandler) => RequestHandler,
): SiteResource[] {
  const route = routing.registration();
  if (route.kind !== "peers") return [];
  return [
    {
      path: ["rd"],
      attributes: REGISTRATION_ATTRIBUTES,
      handle: guarded((request) => forwardRegistration(forwarder, route, request)),
      exists: () => "elsewhere",
    },
    {
      path: SIMPLE_REGISTRATION_PATH,
      handle: guarded(createSimpleForwarding({ forwarder, documents }, { peers: route.peers })),
    },
  ];
}

function forwardRegistration(
  forwarder: Forwarder,
  route: Route,
  request: ServerRequest,
): ServerResponse | Promise<ServerResponse> {
  // Requests for registrations of this node go to its RD before they get here.
  if (route.kind !== "peers") {
    return forwarder.reject(
      "not-found",
      errorResponse(CODE.NOT_FOUND, "no node of this name takes registrations here"),
    );
  }
  return forwarder.forward(request, route.peers, { query: withClientAddress(request) });
}

function lookupHandler(
  routing: RoutingTable,
  forwarder: Forwarder,
  local: RequestHandler,
  scopeOf: (request: ServerRequest) => LookupScope,
): RequestHandler {
  const route = routing.lookup();
  if (route.kind !== "peers") return local;
  return (request) =>
    isForwardable(request, scopeOf(request)) ? forwarder.forward(request, route.peers) : local(request);
}
