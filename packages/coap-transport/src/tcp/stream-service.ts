import type { Environment, Idleness } from "@tributary/runtime";
import type { RequestChannel } from "../client/request-channel.js";
import { CODE, DEFAULT_PARAMETERS } from "../message/codes.js";
import { countRejected } from "../message/counters.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import { createProtectedDispatch } from "../protection/protected-dispatch.js";
import type { ServerProtection } from "../protection/server-protection.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import type { RequestOutcome, ServerDispatch } from "../server/dispatch.js";
import type { NotificationChannel } from "../server/notification-channel.js";
import type { RequestContext } from "../server/request.js";
import { errorMessage } from "../server/response.js";
import type { Peer, RequestHandler, TableSizes, TransportCounters, TransportLimits } from "../types.js";
import type { TcpConnection } from "./connection.js";

export interface StreamServiceDeps {
  readonly env: Environment;
  readonly handler: RequestHandler;
  readonly counters: TransportCounters;
  /** Makes and checks the Echo values of handlers; addresses need no verification here. */
  readonly guard?: AmplificationGuard | undefined;
  /** Requests being handled count as work. Default: not counted. */
  readonly idleness?: Idleness;
  /** Returns the connection of a peer, while there is one. */
  readonly connectionOf: (peer: Peer) => TcpConnection | undefined;
  readonly channelOf: (peer: Peer) => RequestChannel;
  /** See `ListenCoapOptions`. */
  readonly protection?: ServerProtection | undefined;
}

/** A connection verifies the address of its peer, so the amplification limit does not apply. */
const UNLIMITED = (): number => 0;

/** Serves the requests of connections, whichever side made them (RFC 8323 section 3). */
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
    const outcome = this.#dispatch.dispatch(message, { ...where, peer, isMulticast: false, capacity });
    if (outcome instanceof Promise) return outcome.then((settled) => this.#respond(connection, message.token, settled));
    this.#respond(connection, message.token, outcome);
  }

  /** The connection of the peer is over. */
  forgetPeer(peer: Peer): void {
    this.#dispatch.forgetPeer(peer);
  }

  close(): void {
    this.#dispatch.close();
  }

  #respond(connection: TcpConnection, token: Uint8Array, { message, afterSent, observer }: RequestOutcome): void {
    if (message !== null && !connection.send(token, message)) {
      this.#dispatch.endObservation(observer ?? connection.peer, token, "closed");
      if (connection.isOpen) this.#refuseLarge(connection, token, message);
      return;
    }
    afterSent?.();
  }

  /** The options alone may exceed the Max-Message-Size of a very small peer. */
  #refuseLarge(connection: TcpConnection, token: Uint8Array, message: OutgoingMessage): void {
    countRejected(this.#deps.counters, "too-large-for-peer");
    const { code } = message;
    this.#deps.env.logger.debug("a response is larger than the peer accepts", { code, peer: connection.peer.key });
    connection.send(token, errorMessage(CODE.INTERNAL, "the response is larger than your Max-Message-Size"));
  }
}

/** What is written to a stream arrives, or the connection ends: it counts as acknowledged. */
function notificationChannel(connectionOf: StreamServiceDeps["connectionOf"]): NotificationChannel {
  return {
    notify(peer, token, message, listener) {
      let isCancelled = false;
      const isSent = connectionOf(peer)?.send(token, message) ?? false;
      queueMicrotask(() => {
        if (isCancelled) return;
        if (isSent) listener.onAcknowledged();
        else listener.onTimeout();
      });
      return {
        cancel: () => {
          isCancelled = true;
        },
      };
    },
    probe: (peer, onSilence) => void connectionOf(peer)?.ping((isAlive) => isAlive || onSilence()),
    notifyOnce: (peer, token, message) => void connectionOf(peer)?.send(token, message),
    hold: (peer, resume) => connectionOf(peer)?.hold(resume) ?? false,
  };
}
