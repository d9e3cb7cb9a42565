import type { Logger } from "@tributary/runtime";
import { silentLogger, systemClock } from "@tributary/runtime";
import { CODE, METHOD } from "../message/codes.js";
import { listenCoap } from "../node/coap-listener.js";
import { errorResponse } from "../server/response.js";
import type { CoapListener, ObservationSource, RequestHandler, ServerRequest, ServerResponse } from "../types.js";
import { badArgument, checkOptions } from "./arguments.js";
import { type Body, encodeBody } from "./body.js";

/** What a handler returns: a body, a complete response, or nothing (2.05, 2.02 or 2.04 by the method). */
// biome-ignore lint/suspicious/noConfusingVoidType: a function without a return statement is a handler, too.
export type Result = Body | ServerResponse | undefined | void;
/** Handles the requests of one method and path. What it throws is logged, and the response is 5.00. */
export type Handler = (request: ServerRequest) => Result | Promise<Result>;

type MethodName = keyof typeof METHOD;

interface Resource {
  readonly handlers: Map<number, Handler>;
  /** Present: observable. */
  observers?: Set<() => void>;
}

/** A resource that clients can observe (RFC 7641). */
export interface ObservableResource {
  /** Its state changed: observers are sent the new one. */
  changed(): void;
}

/** Settings of a server; all are optional. */
export interface ServerOptions {
  /** Where failures of handlers go; default: warnings of the process, on stderr. */
  readonly logger?: Logger;
}

/** Shows what fails as a warning of the process, and nothing else. */
const WARNINGS: Logger = {
  ...silentLogger,
  error: (message, fields) =>
    process.emitWarning(message, { type: "CoapWarning", detail: String((fields?.error as Error)?.stack ?? "") }),
};

/** A server under construction. Paths are exact, e.g. `/sensors/temp`; the response for other paths is 4.04, for other methods 4.05. */
export class Server {
  readonly #resources = new Map<string, Resource>();
  readonly #logger: Logger;

  constructor(options: ServerOptions) {
    this.#logger = options.logger ?? WARNINGS;
  }

  /** Adds a handler for GET requests of a path. */
  get(path: string, handler: Handler): this {
    return this.#on("GET", path, handler);
  }

  /** Adds a handler for POST requests of a path. */
  post(path: string, handler: Handler): this {
    return this.#on("POST", path, handler);
  }

  /** Adds a handler for PUT requests of a path. */
  put(path: string, handler: Handler): this {
    return this.#on("PUT", path, handler);
  }

  /** Adds a handler for DELETE requests of a path. */
  delete(path: string, handler: Handler): this {
    return this.#on("DELETE", path, handler);
  }

  /** Adds a handler for FETCH requests of a path. */
  fetch(path: string, handler: Handler): this {
    return this.#on("FETCH", path, handler);
  }

  /** Adds a handler for PATCH requests of a path. */
  patch(path: string, handler: Handler): this {
    return this.#on("PATCH", path, handler);
  }

  /** A resource whose state is read by `handler`, at each GET and after each `changed()` for those who observe it. */
  observable(path: string, handler: Handler): ObservableResource {
    this.#on("GET", path, handler);
    const observers = new Set<() => void>();
    this.#resourceAt(path).observers = observers;
    return {
      changed() {
        for (const wake of [...observers]) wake();
      },
    };
  }

  /** Handles one request without a network. */
  readonly handler: RequestHandler = (request) => {
    const resource = this.#resources.get(keyOf(request.path));
    if (resource === undefined) return this.#missing(request);
    const handler = resource.handlers.get(request.method);
    if (handler === undefined) return errorResponse(CODE.METHOD_NOT_ALLOWED, "this resource has other methods");
    const { observers } = resource;
    if (observers === undefined || request.observe !== 0 || request.method !== METHOD.GET)
      return answer(handler, request);
    return answer(handler, request).then((response) => ({
      ...response,
      observation: observation(observers, handler, request),
    }));
  };

  /**
   * Binds and serves, e.g. `coap://localhost` or `coap+tcp://[::]:5683`; port 0 for any. Ends with `close()`.
   * @throws {TransportError} BIND_FAILED, BAD_URI, BAD_ARGUMENT
   */
  listen(uri = "coap://localhost"): Promise<CoapListener> {
    if (typeof uri !== "string") throw badArgument('a URI is a string such as "coap://localhost"', uri);
    const env = { clock: systemClock(), random: Math.random, logger: this.#logger };
    return listenCoap({ env, handler: this.handler }, { uri });
  }

  #on(method: MethodName, path: unknown, handler: unknown): this {
    if (typeof path !== "string" || !path.startsWith("/")) throw badArgument('a path is a string such as "/t"', path);
    if (typeof handler !== "function") throw badArgument("a handler is a function", handler);
    this.#resourceAt(path).handlers.set(METHOD[method], handler as Handler);
    return this;
  }

  #resourceAt(path: string): Resource {
    const key = keyOf(path === "/" ? [] : path.slice(1).split("/"));
    const resource = this.#resources.get(key) ?? { handlers: new Map() };
    this.#resources.set(key, resource);
    return resource;
  }

  /** `/.well-known/core` lists the resources (RFC 6690 section 4), unless it has a handler of its own. */
  #missing({ path, method }: ServerRequest): ServerResponse {
    if (keyOf(path) !== WELL_KNOWN || method !== METHOD.GET) return errorResponse(CODE.NOT_FOUND, "nothing here");
    const links = [...this.#resources].map(([key, { observers }]) => `<${pathOf(key)}>${observers ? ";obs" : ""}`);
    return { code: CODE.CONTENT, contentFormat: 40, payload: Buffer.from(links.join(","), "utf8") };
  }
}

const SEPARATOR = "\0";
const WELL_KNOWN = keyOf([".well-known", "core"]);

function keyOf(path: readonly string[]): string {
  return path.join(SEPARATOR);
}

function pathOf(key: string): string {
  return `/${key.split(SEPARATOR).map(encodeURIComponent).join("/")}`;
}

async function answer(handler: Handler, request: ServerRequest): Promise<ServerResponse> {
  const result = await handler(request);
  if (result === undefined) return { code: emptyCode(request.method) };
  if (isResponse(result)) return result;
  const isRead = request.method === METHOD.GET || request.method === METHOD.FETCH;
  return { code: isRead ? CODE.CONTENT : CODE.CHANGED, ...encodeBody(result) };
}

function isResponse(result: Result): result is ServerResponse {
  return typeof result === "object" && "code" in result && typeof result.code === "number";
}

function emptyCode(method: number): number {
  if (method === METHOD.GET || method === METHOD.FETCH) return CODE.CONTENT;
  return method === METHOD.DELETE ? CODE.DELETED : CODE.CHANGED;
}

function observation(observers: Set<() => void>, handler: Handler, request: ServerRequest): ObservationSource {
  return {
    attach(observer) {
      let isDue = false;
      const wake = (): void => {
        isDue = true;
        observer.wake();
      };
      observers.add(wake);
      return {
        next() {
          if (!isDue) return null;
          isDue = false;
          return answer(handler, request);
        },
        closed() {
          observers.delete(wake);
        },
      };
    },
  };
}

/** A new server without resources: `await createServer().get("/t", () => "22.5 C").listen()`. */
export function createServer(options: ServerOptions = {}): Server {
  checkOptions(options, ["logger"]);
  return new Server(options);
}
