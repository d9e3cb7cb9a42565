import type {
  ClientRequest,
  ClientResponse,
  CoapClient,
  Observation,
  ObservationControl,
  ObservationListener,
  RequestControl,
} from "@tributary/coap-transport";

/** `client`, whose requests are all protected with the security context of this name, wherever they go. */
export function protectedClient(client: CoapClient, context: string): CoapClient {
  return new ProtectedClient(client, context);
}

class ProtectedClient implements CoapClient {
  readonly #client: CoapClient;
  readonly #context: string;

  constructor(client: CoapClient, context: string) {
    this.#client = client;
    this.#context = context;
  }

  request(request: ClientRequest, control?: RequestControl): Promise<ClientResponse> {
    return this.#client.request({ ...request, context: this.#context }, control);
  }

  observe(request: ClientRequest, listener: ObservationListener, control?: ObservationControl): Observation {
    return this.#client.observe({ ...request, context: this.#context }, listener, control);
  }

  ping(uri: string, control?: RequestControl): Promise<boolean> {
    return this.#client.ping(uri, control);
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
