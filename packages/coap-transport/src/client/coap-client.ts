import type { Environment } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { szxFor } from "../message/block-option.js";
import { type ParsedCoapUri, parseCoapUri } from "../message/coap-uri.js";
import { DEFAULT_MAX_BODY_BYTES, METHOD } from "../message/codes.js";
import { isMulticastAddress } from "../message/ip-address.js";
import { EMPTY_BYTES } from "../message/message.js";
import type { StreamCapacity } from "../message/stream-capacity.js";
import type {
  ClientRequest,
  ClientResponse,
  CoapClient,
  Observation,
  ObservationControl,
  ObservationListener,
  RequestControl,
} from "../types.js";
import { downloadBody } from "./block-wise-download.js";
import { needsBlocks, uploadBody } from "./block-wise-upload.js";
import { askWithEcho } from "./echo-retry.js";
import { ClientObservation } from "./observation.js";
import { OperationScope, watchControl } from "./operation-scope.js";
import type { RequestChannel } from "./request-channel.js";
import { unreachable } from "./request-exchange.js";
import { RequestOperation } from "./request-operation.js";
import { etagOptions, requestOptions, withOptions } from "./request-options.js";
import { RequestTags } from "./request-tags.js";
import { toClientResponse } from "./response.js";
import type { Route } from "./route.js";

/** Finds the way to the peer that a URI names. Throws or rejects with a TransportError when there is none. */
export type Connect = (uri: ParsedCoapUri) => Route | Promise<Route>;

export interface ClientDeps {
  readonly env: Environment;
  readonly connect: Connect;
  /** What can be asked. Default `coap` alone. */
  readonly schemes?: readonly string[];
  /** Called once, by `close`, after everything under way was ended. */
  readonly onClose: () => void | Promise<void>;
}

/** A client over whatever `connect` gives: block-wise transfer, Echo, Observe, time limits. */
export function createClient(deps: ClientDeps, options: { blockSize: number }): CoapClient {
  return new Client(deps, options);
}

class Client implements CoapClient {
  readonly #deps: ClientDeps;
  readonly #szx: number;
  readonly #scope = new OperationScope();
  readonly #tags = new RequestTags();
  #closing: Promise<void> | null = null;

  constructor(deps: ClientDeps, options: { blockSize: number }) {
    this.#deps = deps;
    this.#szx = szxFor(options.blockSize);
  }

  async request(request: ClientRequest, control: RequestControl = {}): Promise<ClientResponse> {
    const uri = parseTarget(request.uri, this.#deps.schemes);
    return await this.#run(control, async (scope) => {
      const route = await scope.join(this.#deps.connect(uri));
      try {
        return await this.#requestBy(route.channel, uri, request, { control, scope });
      } catch (error) {
        route.failed?.(error);
        // Nothing listens there any more: another address of the name may do at once.
        const mayRepeat = error instanceof TransportError && error.code === "UNREACHABLE" && isSafe(request.method);
        if (!mayRepeat || route.failed === undefined) throw error;
      }
      const other = await scope.join(this.#deps.connect(uri));
      try {
        return await this.#requestBy(other.channel, uri, request, { control, scope });
      } catch (error) {
        other.failed?.(error);
        throw error;
      }
    });
  }

  async #requestBy(
    channel: RequestChannel,
    uri: ParsedCoapUri,
    request: ClientRequest,
    { control, scope }: { readonly control: RequestControl; readonly scope: OperationScope },
  ): Promise<ClientResponse> {
    const deps = { clock: this.#deps.env.clock, channel };
    const { confirmable: isConfirmable = true, isRelayed = false } = request;
    const operation = scope.own(new RequestOperation(deps, { isConfirmable, isRelayed }));
    const isInBlocks = needsBlocks(request.payload?.length ?? 0, { szx: this.#szx, capacity: channel.capacity });
    const tag = isInBlocks ? this.#tags.take(`${request.method} ${request.uri}`) : null;
    try {
      const options = withOptions(requestOptions(uri, request), tag?.options ?? []);
      const transfer = { control, capacity: channel.capacity };
      const { head, payload } = await this.#transfer(operation, request, options, transfer);
      return toClientResponse(head, { payload, wireBytes: operation.wireBytes }, channel.peer);
    } finally {
      tag?.release();
    }
  }

  observe(request: ClientRequest, listener: ObservationListener, control: ObservationControl = {}): Observation {
    const { env, connect } = this.#deps;
    const maxBodyBytes = control.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
    let route: Route | null = null;
    const observation = new ClientObservation(
      { clock: env.clock, logger: env.logger, listener, onFailure: (error) => route?.failed?.(error) },
      { request, maxBodyBytes, timeoutMs: control.timeoutMs, isSeries: control.isSeries ?? false },
    );
    // Nothing is told before the caller has the observation in hand.
    queueMicrotask(() => {
      observation.whenOver(this.#scope.add((error) => observation.fail(error)));
      void observation.start(async () => {
        const uri = parseTarget(request.uri, this.#deps.schemes);
        route = await connect(uri);
        const unwatch = route.onMoved?.((error) => observation.fail(error));
        if (unwatch !== undefined) observation.whenOver(unwatch);
        return { channel: route.channel, options: requestOptions(uri, request) };
      });
    });
    return observation;
  }

  async ping(uri: string, control: RequestControl = {}): Promise<boolean> {
    const target = parseTarget(uri, this.#deps.schemes);
    try {
      await this.#run(control, async (scope) => {
        const { channel, failed } = await scope.join(this.#deps.connect(target));
        await ping(channel, scope).catch((error: unknown) => {
          failed?.(error);
          throw error;
        });
      });
      return true;
    } catch (error) {
      const isSilence = error instanceof TransportError && (error.code === "TIMEOUT" || error.code === "UNREACHABLE");
      if (isSilence) return false;
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#scope.stop(new TransportError("CLOSED", "the client was closed"));
    await this.#deps.onClose();
  }

  async #transfer(
    operation: RequestOperation,
    request: ClientRequest,
    options: ReturnType<typeof requestOptions>,
    { control, capacity }: { control: RequestControl; capacity: StreamCapacity | undefined },
  ): ReturnType<typeof downloadBody> {
    const { method, payload = EMPTY_BYTES, etags } = request;
    const ask = request.isRelayed === true ? operation.ask : askWithEcho(operation.ask);
    const upload = { method, options: withOptions(options, etagOptions(etags)), payload };
    const head = await uploadBody(ask, upload, { szx: this.#szx, capacity });
    const maxBodyBytes = control.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
    return await downloadBody(ask, { method, options, payload }, head, { maxBodyBytes, capacity });
  }

  /** Run within the caller's limits and the life of this client. */
  async #run<T>(control: RequestControl, run: (scope: OperationScope) => Promise<T>): Promise<T> {
    const scope = new OperationScope();
    const release = this.#scope.add((error) => scope.stop(error));
    const unwatch = watchControl(this.#deps.env, control, scope);
    try {
      await scope.join(undefined); // over before it began: nothing is sent
      return await run(scope);
    } finally {
      unwatch();
      release();
    }
  }
}

/** Whatever `connect` can reach. */
function parseTarget(uri: string, schemes: readonly string[] = ["coap"]): ParsedCoapUri {
  const target = parseCoapUri(uri);
  if (!schemes.includes(target.scheme))
    throw new TransportError("BAD_URI", `scheme ${target.scheme} is not supported yet: ${uri}`);
  if (target.hostIsLiteral && isMulticastAddress(target.host)) {
    throw new TransportError("BAD_URI", `a multicast address has no single answer: ${uri}`);
  }
  if (target.port === 0) throw new TransportError("BAD_URI", `port 0 cannot be asked: ${uri}`);
  return target;
}

/** Methods that change nothing (RFC 7252 section 5.1, RFC 8132 section 2): asking twice does no harm. */
function isSafe(method: number): boolean {
  return method === METHOD.GET || method === METHOD.FETCH;
}

/** Settles with the first sign of life; rejects when there is none, or with what stops `scope`. */
export function ping(channel: RequestChannel, scope: OperationScope): Promise<void> {
  return new Promise((resolve, reject) => {
    const sending = channel.ping({
      onAcknowledged: resolve,
      onReset: resolve,
      onTimeout: () => reject(new TransportError("TIMEOUT", "no answer after all retransmissions")),
      onUnreachable: (cause) => reject(unreachable(cause)),
    });
    scope.add((error) => {
      sending.cancel();
      reject(error);
    });
  });
}
