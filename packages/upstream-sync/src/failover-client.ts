import {
  type ClientRequest,
  type ClientResponse,
  type CoapClient,
  METHOD,
  type Observation,
  type ObservationControl,
  type ObservationListener,
  type RequestControl,
  TransportError,
} from "@tributary/coap-transport";

/** Errors that say that nobody useful is at an address. */
const FAILURES: ReadonlySet<string> = new Set(["TIMEOUT", "UNREACHABLE", "RESET"]);
const AUTHORITY = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)/i;

/** Called when another address is used from now on. */
export type MoveListener = (move: { readonly from: string; readonly to: string; readonly error: string }) => void;

/**
 * A client for one RD that has several addresses, e.g. instances over one store (draft 4.1). Requests name it by the first of `uris`;
 * all of them, and all observations, go to the address in use, until one fails there: then the next address is in use. A GET
 * that fails because nothing listens is repeated there. The RD keeps one name that way, whichever instance answers.
 */
export function failoverClient(
  client: CoapClient,
  uris: readonly [string, ...string[]],
  onMove: MoveListener,
): CoapClient {
  return new FailoverClient(client, uris, onMove);
}

class FailoverClient implements CoapClient {
  readonly #client: CoapClient;
  readonly #uris: readonly string[];
  readonly #authorities: readonly string[];
  readonly #onMove: MoveListener;
  #at = 0;

  constructor(client: CoapClient, uris: readonly string[], onMove: MoveListener) {
    this.#client = client;
    this.#uris = uris;
    this.#authorities = uris.map(authorityOf);
    this.#onMove = onMove;
  }

  async request(request: ClientRequest, control?: RequestControl): Promise<ClientResponse> {
    for (let tries = 1; ; tries++) {
      const at = this.#at;
      try {
        return await this.#client.request(this.#addressed(request, at), control);
      } catch (error) {
        this.#note(at, request.uri, error);
        // A time-out has used up the time that there was.
        const isRefusal = error instanceof TransportError && error.code === "UNREACHABLE";
        if (!isRefusal || request.method !== METHOD.GET || tries >= this.#uris.length) throw error;
      }
    }
  }

  observe(request: ClientRequest, listener: ObservationListener, control?: ObservationControl): Observation {
    const at = this.#at;
    const noting: ObservationListener = {
      onNotification: (response) => listener.onNotification(response),
      onEnd: (reason) => {
        this.#note(at, request.uri, reason);
        listener.onEnd(reason);
      },
    };
    return this.#client.observe(this.#addressed(request, at), noting, control);
  }

  async ping(uri: string, control?: RequestControl): Promise<boolean> {
    const at = this.#at;
    try {
      const isThere = await this.#client.ping(this.#addressed({ uri }, at).uri, control);
      if (!isThere) this.#note(at, uri, new TransportError("TIMEOUT", "no response to a ping"));
      return isThere;
    } catch (error) {
      this.#note(at, uri, error);
      throw error;
    }
  }

  /** The client is shared with other upstreams. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Other hosts, to which discovery may lead, keep their address. */
  #addressed<R extends Pick<ClientRequest, "uri">>(request: R, at: number): R {
    if (at === 0 || authorityOf(request.uri) !== this.#authorities[0]) return request;
    return { ...request, uri: request.uri.replace(AUTHORITY, `$1${this.#authorities[at]}`) };
  }

  /** Of several requests that fail at one address, the first decides. */
  #note(at: number, uri: string, error: unknown): void {
    if (at !== this.#at || authorityOf(uri) !== this.#authorities[0]) return;
    if (!(error instanceof TransportError) || !FAILURES.has(error.code)) return;
    this.#at = (at + 1) % this.#uris.length;
    this.#onMove({ from: this.#uris[at] ?? "", to: this.#uris[this.#at] ?? "", error: error.message });
  }
}

function authorityOf(uri: string): string {
  return AUTHORITY.exec(uri)?.[2]?.toLowerCase() ?? "";
}
