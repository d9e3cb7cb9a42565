import {
  CODE,
  CONTENT_FORMAT,
  errorResponse,
  METHOD,
  type RequestHandler,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import { type EndpointDocuments, refusalAnswer } from "@tributary/resource-directory";
import { withClientAddress } from "./forwarded-request.js";
import type { Forwarder } from "./forwarder.js";
import type { ForwardingPeer } from "./types.js";

/** Collaborators of `createSimpleForwarding`. */
export interface SimpleForwardingDeps {
  readonly forwarder: Forwarder;
  readonly documents: EndpointDocuments;
}

/**
 * Handles simple registration (RFC 9176 section 5.1) at a node that is not an RD. The RD would fetch the links from the source
 * address, which is this node. So this node fetches them, and registers them for the endpoint. The RD never sends a request to
 * an address that only a query names.
 */
export function createSimpleForwarding(
  deps: SimpleForwardingDeps,
  options: { readonly peers: readonly ForwardingPeer[] },
): RequestHandler {
  return (request) => {
    const refusal = check(request);
    return refusal ?? fetchAndForward(deps, options.peers, request);
  };
}

function check({ method, payload, query, sourceProof }: ServerRequest): ServerResponse | null {
  if (method !== METHOD.POST) return errorResponse(CODE.METHOD_NOT_ALLOWED, "registrations are made by POST");
  // RFC 9175 section 2.4: the fetch goes to the source address, which must be proven.
  if (sourceProof === "none") return { code: CODE.UNAUTHORIZED, issuesEcho: true };
  if (payload.length > 0) return errorResponse(CODE.BAD_REQUEST, "a simple registration has no payload");
  if (query.some((item) => item === "base" || item.startsWith("base=")))
    return errorResponse(CODE.BAD_REQUEST, "a simple registration has no base");
  return null;
}

async function fetchAndForward(
  { forwarder, documents }: SimpleForwardingDeps,
  peers: readonly ForwardingPeer[],
  request: ServerRequest,
): Promise<ServerResponse> {
  const fetched = await documents.fetch(request);
  if (!fetched.ok) return forwarder.reject(fetched.refusal.cause, refusalAnswer(fetched.refusal));
  const response = await forwarder.forward(request, peers, {
    path: ["rd"],
    query: withClientAddress(request),
    contentFormat: CONTENT_FORMAT.LINK_FORMAT,
    payload: new TextEncoder().encode(fetched.value.document.text),
  });
  // RFC 9176 section 5.1: 2.04, and no location.
  return response.code === CODE.CREATED ? { code: CODE.CHANGED } : response;
}
