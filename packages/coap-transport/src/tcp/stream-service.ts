import type { Environment } from "@tributary/runtime";
import type { RequestChannel } from "../client/request-channel.js";
import { CODE, DEFAULT_PARAMETERS } from "../message/codes.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import { createProtectedDispatch } from "../protection/protected-dispatch.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import { countRejected, type Reply, type ServerDispatch } from "../server/dispatch.js";
import type { DeliverySink, NotificationChannel } from "../server/observers.js";
import type { RequestContext } from "../server/request.js";
import { errorMessage } from "../server/response.js";
import type { Peer, RequestHandler, TableSizes, TransportCounters, TransportLimits } from "../types.js";
import type { TcpConnection } from "./connection.js";

export interface StreamServiceDeps {
  readonly env: Environment;
  readonly handler: RequestHandler;
  readonly counters: TransportCounters;
  /** Makes and checks Echo values where handlers want fresh ones; addresses need no proof here. */
  readonly guard?: AmplificationGuard | undefined;
  /** The connection of a peer, while there is one. */
  readonly connectionOf: (peer: Peer) => TcpConnection | undefined;
  readonly channelOf: (peer: Peer) => RequestChannel;
  /** See `ListenCoapOptions`. */
  readonly protection?: ServerProtection | undefined;
}

/** A connection proves the address of its peer, so no message is too long for it. */
const UNLIMITED = (): number => 0;

/** Serves the requests that come by connections, whoever made them (RFC 8323 section 3: both sides may ask). */
export class StreamService {
  readonly #deps: StreamServiceDeps;
  readonly #dispatch: ServerDispatch;

  constructor(deps: StreamServiceDeps, limits: TransportLimits) {
    this.#deps = deps;
    const channel = notificationChannel(deps.connectionOf);
    this.#dispatch = createProtectedDispatch(
      { ...deps, channel, messageLength: UNLIMITED },
      { limits, parameters: DEFAULT_PARAMETERS },
    );
  }

  /** No handler is running. */
  get isIdle(): boolean {
    return this.#dispatch.running === 0;
  }

  isObserver(peer: Peer): boolean {
    return this.#dispatch.isObserver(peer);
  }

  tableSizes(): TableSizes {
    return this.#dispatch.tableSizes();
  }

  handle(
    connection: TcpConnection,
    message: Message,
    where: Omit<RequestContext, "peer" | "isMulticast" | "capacity">,
  ): void | Promise<void> {
    const { peer, capacity } = connection;
    const reply = this.#dispatch.dispatch(message, { ...where, peer, isMulticast: false, capacity });
    if (reply instanceof Promise) return reply.then((settled) => this.#answer(connection, message.token, settled));
    this.#answer(connection, message.token, reply);
  }

  /** The connection of the peer is over. */
  forgetPeer(peer: Peer): void {
    this.#dispatch.forgetPeer(peer);
  }

  close(): void {
    this.#dispatch.close();
  }

  #answer(connection: TcpConnection, token: Uint8Array, { message, afterSent, observer }: Reply): void {
    if (message !== null && !connection.send(token, message)) {
      this.#dispatch.endObservation(observer ?? connection.peer, token, "closed");
      if (connection.isOpen) this.#refuseLarge(connection, token, message);
      return;
    }
    afterSent?.();
  }

  /** Options alone may be more than a very small peer takes. */
  #refuseLarge(connection: TcpConnection, token: Uint8Array, message: OutgoingMessage): void {
    countRejected(this.#deps.counters, "too-large-for-peer");
    const { code } = message;
    this.#deps.env.logger.debug("an answer is larger than the peer takes", { code, peer: connection.peer.key });
    connection.send(token, errorMessage(CODE.INTERNAL, "the answer is larger than your Max-Message-Size"));
  }
}

/** What was written to the stream arrives, or the connection ends: delivered once it is there. */
function notificationChannel(at: StreamServiceDeps["connectionOf"]): NotificationChannel {
  return {
    notify(peer, token, message, sink) {
      let isCancelled = false;
      const isSent = at(peer)?.send(token, message) ?? false;
      queueMicrotask(() => {
        if (isCancelled) return;
        if (isSent) sink.onDelivered();
        else sink.onUndelivered();
      });
      return {
        cancel: () => {
          isCancelled = true;
        },
      };
    },
    probe: (peer, sink) => void at(peer)?.ping((isAlive) => tellProbe(sink, isAlive)),
    notifyOnce: (peer, token, message) => void at(peer)?.send(token, message),
    hold: (peer, resume) => at(peer)?.hold(resume) ?? false,
  };
}

function tellProbe(sink: DeliverySink, isAlive: boolean): void {
  if (isAlive) sink.onDelivered();
  else sink.onUndelivered();
}
