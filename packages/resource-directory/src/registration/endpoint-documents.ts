import {
  type ClientResponse,
  CODE,
  CONTENT_FORMAT,
  type CoapClient,
  formatAuthority,
  formatCode,
  METHOD,
  type ServerRequest,
  TransportError,
} from "@tributary/coap-transport";
import type { Clock } from "@tributary/runtime";
import { MAX_SIMPLE_FETCHES, SIMPLE_FETCH_TIMEOUT_MS } from "../constants.js";
import { accepted, type Result, refused } from "../refusal.js";
import { type RegistrationDocument, readDocument } from "../registrar/registration-document.js";
import type { RegistrationLimits } from "../types.js";

/** The links that an endpoint hands out, and how long they need not be fetched again (Max-Age). */
export interface FetchedDocument {
  readonly document: RegistrationDocument;
  readonly freshUntilMs: number;
}

type Sender = Pick<ServerRequest, "scheme" | "peer" | "askPeer">;

/** Reads `/.well-known/core` of endpoints (RFC 9176 section 5.1). */
export interface EndpointDocuments {
  /** From where `request` came, asked from the address and port, or by the connection, that it came to. Never rejects. */
  fetch(request: Sender): Promise<Result<FetchedDocument>>;
  /** Documents being read. */
  readonly size: number;
  /** Ends the requests that are under way. */
  close(): void;
}

/** Creates the client for the documents of endpoints (RFC 9176 section 5.1). */
export function createEndpointDocuments(
  deps: { readonly client: CoapClient; readonly clock: Clock },
  options: { readonly limits: RegistrationLimits },
): EndpointDocuments {
  const running = new Map<string, Promise<Result<FetchedDocument>>>();
  const stop = new AbortController();

  async function load(uri: string, { peer, askPeer }: Sender): Promise<Result<FetchedDocument>> {
    const sentMs = deps.clock.nowMs();
    const asked = { method: METHOD.GET, uri, accept: CONTENT_FORMAT.LINK_FORMAT };
    const maxBodyBytes = options.limits.registrationBytes;
    const control = { signal: stop.signal, timeoutMs: SIMPLE_FETCH_TIMEOUT_MS, maxBodyBytes };
    try {
      // Behind a NAT or a firewall, an endpoint hears nobody but whom it spoke to.
      const response = await (askPeer?.(peer, asked, control) ?? deps.client.request(asked, control));
      const document = readResponse(response, options.limits);
      return document.ok
        ? accepted({ document: document.value, freshUntilMs: sentMs + response.maxAgeS * 1000 })
        : document;
    } catch (error) {
      return failure(error);
    }
  }

  return {
    fetch(request) {
      const uri = documentUri(request);
      const known = running.get(uri);
      if (known !== undefined) return known;
      if (running.size >= MAX_SIMPLE_FETCHES)
        return Promise.resolve(refused("overload", "too many simple registrations at once"));
      const fetching = load(uri, request).finally(() => running.delete(uri));
      running.set(uri, fetching);
      return fetching;
    },
    get size() {
      return running.size;
    },
    close: () => stop.abort(),
  };
}

function documentUri({ scheme, peer }: Sender): string {
  const address = peer.zone === undefined ? peer.address : `${peer.address}%${peer.zone}`;
  // The port is always written: what is the default depends on the scheme.
  return `${scheme}://${formatAuthority(address, peer.port, 0)}/.well-known/core`;
}

function readResponse(response: ClientResponse, limits: RegistrationLimits): Result<RegistrationDocument> {
  const { code, contentFormat, payload } = response;
  if (code !== CODE.CONTENT) return refused("bad-document", `your /.well-known/core answers ${formatCode(code)}`);
  if (contentFormat !== undefined && contentFormat !== CONTENT_FORMAT.LINK_FORMAT) {
    return refused("bad-document", "your /.well-known/core is not application/link-format (40)");
  }
  const document = readDocument(payload, limits);
  return document.ok ? document : refused("bad-document", `your /.well-known/core: ${document.refusal.message}`);
}

function failure(error: unknown): {
  readonly ok: false;
  readonly refusal: { cause: "endpoint-silent" | "bad-document" | "closed"; message: string };
} {
  const code = error instanceof TransportError ? error.code : undefined;
  switch (code) {
    case "TOO_LARGE":
      return { ok: false, refusal: { cause: "bad-document", message: "your /.well-known/core is too large" } };
    case "MALFORMED":
      return { ok: false, refusal: { cause: "bad-document", message: "your /.well-known/core cannot be read" } };
    case "ABORTED":
    case "CLOSED":
      return { ok: false, refusal: { cause: "closed", message: "shutting down" } };
    default:
      return {
        ok: false,
        refusal: { cause: "endpoint-silent", message: "your /.well-known/core could not be fetched" },
      };
  }
}
