import type { Environment } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { szxFor } from "../message/block-option.js";
import { type ParsedCoapUri, parseCoapUri } from "../message/coap-uri.js";
import { DEFAULT_MAX_BODY_BYTES, SAFE_METHODS } from "../message/codes.js";
import { countRejected } from "../message/counters.js";
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
  TransportCounters,
} from "../types.js";
import { applyControl, onAbort, unlessAborted } from "./abort.js";
import { downloadBody } from "./block-wise-download.js";
import { needsBlocks, uploadBody } from "./block-wise-upload.js";
import { askWithEcho } from "./echo-retry.js";
import { ClientObservation } from "./observation.js";
import type { RequestChannel } from "./request-channel.js";
import { unreachable } from "./request-exchange.js";
import { RequestOperation } from "./request-operation.js";
import { etagOptions, requestOptions, withOptions } from "./request-options.js";
import { RequestTags } from "./request-tags.js";
import { toClientResponse } from "./response.js";
import type { Route } from "./route.js";

/** Finds the channel to the peer that a URI names. @throws {TransportError} when there is none. */
export type Connect = (uri: ParsedCoapUri, context?: string) => Route | Promise<Route>;

export interface ClientDeps {
  readonly env: Environment;
  readonly connect: Connect;
  /** Schemes of the URIs that can be requested. Default: `coap`. */
  readonly schemes?: readonly string[];
  /** Counts what fails by a defect of this program. Default: not counted. */
  readonly counters?: TransportCounters;
  /** Called once, by `close`, after all operations were aborted. */
  readonly onClose: () => void | Promise<void>;
}

/** A client over the channels of `connect`: block-wise transfer, Echo, Observe and time limits. */
export class Client implements CoapClient {
  readonly #deps: ClientDeps;
  readonly #szx: number;
  /** One for each request and observation in progress. */
  readonly #operations = new Set<AbortController>();
  readonly #tags = new RequestTags();
  #isClosed = false;
  #closing: Promise<void> | null = null;

  constructor(deps: ClientDeps, options: { blockSize: number }) {
    this.#deps = deps;
    this.#szx = szxFor(options.blockSize);
  }

  async request(request: ClientRequest, control: RequestControl = {}): Promise<ClientResponse> {
    const uri = parseTarget(request.uri, this.#deps.schemes);
    return await this.#run(control, async (signal) => {
      const route = await unlessAborted(signal, this.#deps.connect(uri, request.context));
      try {
        return await this.#requestBy(route.channel, uri, request, { control, signal });
      } catch (error) {
        route.failed?.(error);
        // Another address of the name may work at once.
        const isRefused = error instanceof TransportError && error.code === "UNREACHABLE";
        if (!isRefused || !SAFE_METHODS.includes(request.method) || route.failed === undefined) throw error;
      }
      const other = await unlessAborted(signal, this.#deps.connect(uri, request.context));
      try {
        return await this.#requestBy(other.channel, uri, request, { control, signal });
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
    { control, signal }: { readonly control: RequestControl; readonly signal: AbortSignal },
  ): Promise<ClientResponse> {
    const deps = { clock: this.#deps.env.clock, channel };
    const { confirmable: isConfirmable = true, isRelayed = false } = request;
    const operation = new RequestOperation(deps, { isConfirmable, isRelayed }, signal);
    const isInBlocks = needsBlocks(request.payload?.length ?? 0, { szx: this.#szx, capacity: channel.capacity });
    const tag = isInBlocks ? this.#tags.take(`${request.method} ${request.uri}`) : null;
    try {
      const options = withOptions(requestOptions(uri, request), tag?.options ?? []);
      const transfer = { control, capacity: channel.capacity, maxParallelBlocks: channel.maxParallelBlocks };
      const { head, payload } = await this.#transfer(operation, request, options, transfer);
      return toClientResponse(head, { payload, wireBytes: operation.wireBytes }, channel.peer);
    } finally {
      tag?.release();
    }
  }

  observe(request: ClientRequest, listener: ObservationListener, control: ObservationControl = {}): Observation {
    const { env, connect } = this.#deps;
    const { maxBodyBytes = DEFAULT_MAX_BODY_BYTES, timeoutMs, isSeries = false, keepAlive = false } = control;
    let route: Route | null = null;
    const onFailure = (cause: Error): Error => {
      const error = this.#noted(cause);
      route?.failed?.(error);
      return error;
    };
    const observation = new ClientObservation(
      { ...env, listener, onFailure },
      { request, maxBodyBytes, timeoutMs, isSeries, keepAlive: keepAlive === true ? {} : keepAlive || null },
    );
    // The listener is not called before the caller has the observation.
    queueMicrotask(() => {
      const { controller, end } = this.#begin();
      const unsubscribe = onAbort(controller.signal, (error) => observation.fail(error));
      observation.whenOver(() => {
        unsubscribe();
        end();
      });
      void observation.start(async () => {
        const uri = parseTarget(request.uri, this.#deps.schemes);
        route = await connect(uri, request.context);
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
      await this.#run(control, async (signal) => {
        const { channel, failed } = await unlessAborted(signal, this.#deps.connect(target));
        await ping(channel, signal).catch((error: unknown) => {
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
    this.#isClosed = true;
    for (const controller of [...this.#operations]) controller.abort(closedError());
    await this.#deps.onClose();
  }

  async #transfer(
    operation: RequestOperation,
    request: ClientRequest,
    options: ReturnType<typeof requestOptions>,
    {
      control,
      capacity,
      maxParallelBlocks,
    }: {
      control: RequestControl;
      capacity: StreamCapacity | undefined;
      maxParallelBlocks: number | undefined;
    },
  ): ReturnType<typeof downloadBody> {
    const { method, payload = EMPTY_BYTES, etags } = request;
    const ask = request.isRelayed === true ? operation.ask : askWithEcho(operation.ask);
    const upload = { method, options: withOptions(options, etagOptions(etags)), payload };
    const head = await uploadBody(ask, upload, { szx: this.#szx, capacity });
    const maxBodyBytes = control.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
    return await downloadBody(ask, { method, options, payload }, head, { maxBodyBytes, capacity, maxParallelBlocks });
  }

  /** Runs an operation within the limits of the caller and the life of this client. */
  async #run<T>(control: RequestControl, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { controller, end } = this.#begin();
    const release = applyControl(this.#deps.env.clock, control, controller);
    try {
      controller.signal.throwIfAborted();
      return await run(controller.signal);
    } catch (error) {
      throw this.#noted(error);
    } finally {
      release();
      end();
    }
  }

  #begin(): { readonly controller: AbortController; readonly end: () => void } {
    const controller = new AbortController();
    if (this.#isClosed) controller.abort(closedError());
    this.#operations.add(controller);
    return { controller, end: () => void this.#operations.delete(controller) };
  }

  /** Returns the error for the caller. An exception that is none of ours is a defect: it is logged with its stack and counted. */
  #noted(error: unknown): TransportError {
    if (error instanceof TransportError && error.code !== "INTERNAL") return error;
    const { env, counters } = this.#deps;
    env.logger.error("a request failed by an unexpected exception", { error });
    if (counters !== undefined) countRejected(counters, "internal-error");
    if (error instanceof TransportError) return error;
    const why = error instanceof Error ? error.message : String(error);
    return new TransportError("INTERNAL", `an unexpected exception: ${why}`, { cause: error });
  }
}

function closedError(): TransportError {
  return new TransportError("CLOSED", "the client was closed");
}

/** Parses the URI of a request and checks that it names one host by a known scheme. */
function parseTarget(uri: string, schemes: readonly string[] = ["coap"]): ParsedCoapUri {
  const target = parseCoapUri(uri);
  if (!schemes.includes(target.scheme))
    throw new TransportError("BAD_URI", `scheme ${target.scheme} is not supported: ${uri}`);
  if (target.hostIsLiteral && isMulticastAddress(target.host)) {
    throw new TransportError("BAD_URI", `a multicast address has no single response: ${uri}`);
  }
  if (target.port === 0) throw new TransportError("BAD_URI", `port 0 cannot be requested: ${uri}`);
  return target;
}

/** Resolves when the peer responds to a ping; rejects when it does not, or with the reason of `signal`. */
export function ping(channel: RequestChannel, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const transmission = channel.ping({
      onAcknowledged: resolve,
      onReset: resolve,
      onTimeout: () => reject(new TransportError("TIMEOUT", "no response after all retransmissions")),
      onUnreachable: (cause) => reject(unreachable(cause)),
    });
    onAbort(signal, (reason) => {
      transmission.cancel();
      reject(reason);
    });
  });
}
