import { silentLogger, systemClock } from "@tributary/runtime";
import { METHOD } from "../message/codes.js";
import { openCoapClient } from "../node/open-client.js";
import type { ClientRequest, CoapClient } from "../types.js";
import { badArgument, checkOptions } from "./arguments.js";
import { type Body, encodeBody } from "./body.js";
import { ObservedResponses } from "./observed-responses.js";
import { Response } from "./response.js";

/** Settings of one request; all are optional. */
export interface CallOptions {
  /** Uri-Query items besides those of the URI, decoded, e.g. `["rt=temperature"]`. */
  readonly query?: readonly string[];
  /** Content-Format that is wanted, e.g. 40. */
  readonly accept?: number;
  /** Content-Format of the body; default: 0 for text, 42 for bytes, 50 for objects. */
  readonly contentFormat?: number;
  /** Milliseconds until the request is given up; default: as long as RFC 7252 retransmits, about 93 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const OPTION_NAMES = ["query", "accept", "contentFormat", "timeoutMs", "signal"] as const;

/**
 * Requests with a client that is opened when it is needed and closed when nothing is under way, so that a program ends by itself.
 * URIs have the scheme `coap`, `coap+tcp` or `coaps+tcp`. Error codes (4.xx, 5.xx) are responses, with `ok` false.
 */
class Coap {
  #client: Promise<CoapClient> | null = null;
  #underWay = 0;

  /** @throws {TransportError} */
  get(uri: string, options?: CallOptions): Promise<Response> {
    return this.#request(METHOD.GET, uri, undefined, options);
  }

  /** @throws {TransportError} */
  post(uri: string, body?: Body, options?: CallOptions): Promise<Response> {
    return this.#request(METHOD.POST, uri, body, options);
  }

  /** @throws {TransportError} */
  put(uri: string, body?: Body, options?: CallOptions): Promise<Response> {
    return this.#request(METHOD.PUT, uri, body, options);
  }

  /** @throws {TransportError} */
  delete(uri: string, options?: CallOptions): Promise<Response> {
    return this.#request(METHOD.DELETE, uri, undefined, options);
  }

  /** @throws {TransportError} */
  fetch(uri: string, body?: Body, options?: CallOptions): Promise<Response> {
    return this.#request(METHOD.FETCH, uri, body, options);
  }

  /** @throws {TransportError} */
  patch(uri: string, body?: Body, options?: CallOptions): Promise<Response> {
    return this.#request(METHOD.PATCH, uri, body, options);
  }

  /**
   * The states of a resource (RFC 7641), the present one first, to be read by `for await`. Ends when `options.signal` is aborted or
   * the loop is left; the server is then deregistered from. When states arrive faster than they are read, only the latest is kept.
   * The loop throws a {@link TransportError} when the observation ends for another reason, `NOT_OBSERVABLE` among them.
   */
  observe(uri: string, options: CallOptions = {}): AsyncIterableIterator<Response> {
    const request = messageOf(METHOD.GET, uri, undefined, options);
    const { signal, timeoutMs } = options;
    return new ObservedResponses(
      (listener) =>
        this.#hold((client) =>
          client.then((open) =>
            open.observe(request, listener, { keepAlive: true, ...(timeoutMs === undefined ? {} : { timeoutMs }) }),
          ),
        ),
      signal,
    );
  }

  async #request(method: number, uri: string, body: unknown, options: CallOptions = {}): Promise<Response> {
    const request = messageOf(method, uri, body, options);
    const { signal, timeoutMs } = options;
    const { value: client, release } = this.#hold((opening) => opening);
    try {
      const control = {
        ...(signal === undefined ? {} : { signal }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      };
      return new Response(await (await client).request(request, control));
    } finally {
      release();
    }
  }

  /** Keeps the client open until `release` is called. */
  #hold<T>(use: (client: Promise<CoapClient>) => T): { readonly value: T; readonly release: () => void } {
    this.#client ??= openCoapClient({ env: { clock: systemClock(), random: Math.random, logger: silentLogger } });
    this.#underWay++;
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      this.#underWay--;
      // What follows an `await` may make the next request at once.
      setImmediate(() => this.#closeIdle());
    };
    return { value: use(this.#client), release };
  }

  #closeIdle(): void {
    if (this.#underWay > 0 || this.#client === null) return;
    const opening = this.#client;
    this.#client = null;
    opening.then((client) => client.close()).catch(() => {});
  }
}

function messageOf(method: number, uri: unknown, body: unknown, options: unknown): ClientRequest {
  if (typeof uri !== "string") throw badArgument('a URI is a string such as "coap://localhost/t"', uri);
  checkOptions(options, OPTION_NAMES);
  const { query, accept, contentFormat, timeoutMs, signal } = options as CallOptions;
  if (query !== undefined && !(Array.isArray(query) && query.every((item) => typeof item === "string")))
    throw badArgument("query is an array of strings", query);
  for (const [name, value] of Object.entries({ accept, contentFormat })) {
    const isFormat = value === undefined || (Number.isInteger(value) && value >= 0 && value <= 65_535);
    if (!isFormat) throw badArgument(`${name} is a Content-Format from 0 to 65535`, value);
  }
  if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs > 0))
    throw badArgument("timeoutMs is a number above 0", timeoutMs);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw badArgument("signal is an AbortSignal", signal);
  return {
    method,
    uri,
    ...(query === undefined ? {} : { query }),
    ...(accept === undefined ? {} : { accept }),
    ...(body === undefined ? {} : encodeBody(body)),
    ...(contentFormat === undefined ? {} : { contentFormat }),
  };
}

/** Requests to CoAP servers: `(await coap.get("coap://localhost/t")).text()`. */
export const coap: Coap = new Coap();
export type { Coap };
