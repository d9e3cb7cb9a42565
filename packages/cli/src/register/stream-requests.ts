import {
  type ChooseProtection,
  type ClientRequest,
  type CoapClient,
  formatCode,
  METHOD,
  openCoapClient,
  type RequestHandler,
  type TlsClientCredentials,
  TransportError,
} from "@tributary/coap-transport";
import { systemEnvironment } from "@tributary/node";
import type { Logger } from "@tributary/runtime";
import type { EndpointRequest, EndpointResponse } from "./endpoint-exchange.js";
import { EndpointError, type EndpointErrorCode } from "./errors.js";
import type { Address, Control } from "./first-response.js";

/** How requests are protected. */
export interface EndpointAccess {
  readonly tls?: () => TlsClientCredentials;
  /** Protects requests one by one, over UDP as well (RFC 8613). */
  readonly protect?: ChooseProtection;
}

/** Requests over TCP (RFC 8323), with connections that stay open between them, and protected ones over UDP. */
export interface StreamRequests {
  /** @throws {EndpointError} */
  request(request: EndpointRequest, address: Address, control: Control): Promise<EndpointResponse>;
  close(): void;
}

const LINK_FORMAT = 40;
const CODES: Readonly<Partial<Record<TransportError["code"], EndpointErrorCode>>> = {
  TIMEOUT: "TIMEOUT",
  RESET: "RESET",
  ABORTED: "ABORTED",
  BAD_URI: "BAD_URI",
};

/** Requests of the other side, over the same connections, go to `handler`; without it they get no useful response. */
export function createStreamRequests(
  logger: Logger,
  handler: RequestHandler | undefined,
  { tls, protect }: EndpointAccess,
): StreamRequests {
  const env = systemEnvironment(logger);
  const service = handler === undefined ? {} : { handler };
  /** One client per address: the caller has resolved the name. */
  const clients = new Map<string, Promise<CoapClient>>();
  const clientAt = (address: string): Promise<CoapClient> => {
    const known =
      clients.get(address) ??
      openCoapClient(
        { env, resolve: async () => [address], ...service },
        { ...(tls === undefined ? {} : { tls }), protect },
      );
    clients.set(address, known);
    return known;
  };
  return {
    request: async (request, { address }, control) => ask(await clientAt(address), request, control),
    close() {
      for (const opening of clients.values())
        opening.then(
          (client) => client.close(),
          () => {},
        );
      clients.clear();
    },
  };
}

async function ask(client: CoapClient, request: EndpointRequest, control: Control): Promise<EndpointResponse> {
  try {
    const { code, payload, locationPath, locationQuery } = await client.request(messageOf(request), control);
    return { code: formatCode(code), payload, locationPath, locationQuery };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    throw new EndpointError(CODES[error.code] ?? "UNREACHABLE", error.message, { cause: error });
  }
}

function messageOf({ method, uri, query = [], payload = "" }: EndpointRequest): ClientRequest {
  const body = payload === "" ? {} : { payload: Buffer.from(payload), contentFormat: LINK_FORMAT };
  return { method: METHOD[method], uri, query, ...(method === "GET" ? { accept: LINK_FORMAT } : {}), ...body };
}
