import type { Logger } from "@tributary/runtime";
import { peerText, summariseMessage } from "../message/message-summary.js";
import type { DatagramSocket } from "../types.js";
import { parseDatagram } from "./message-codec.js";

const TYPES = ["CON", "NON", "ACK", "RST"];

/** Logs one datagram, if the logger traces packets. `direction` is as this process sees it. */
export function traceDatagram(
  logger: Logger,
  direction: "in" | "out",
  peer: { readonly address: string; readonly port: number },
  datagram: Uint8Array,
): void {
  if (logger.trace === undefined) return;
  const message = parseDatagram(datagram);
  const from = { dir: direction, peer: peerText(peer) };
  if (message === null) logger.trace("coap", { ...from, not: "coap", bytes: datagram.length });
  else if (message.kind === "malformed") {
    logger.trace("coap", { ...from, type: TYPES[message.type], mid: message.messageId, malformed: true });
  } else {
    const { code, ...rest } = summariseMessage(message);
    logger.trace("coap", { ...from, type: TYPES[message.type], code, mid: message.messageId, ...rest });
  }
}

/** Returns a socket that logs what it sends and receives; `socket` itself if the logger does not trace packets. */
export function tracedSocket(socket: DatagramSocket, logger: Logger): DatagramSocket {
  if (logger.trace === undefined) return socket;
  return {
    local: socket.local,
    send(datagram, to, isReported) {
      traceDatagram(logger, "out", to, datagram);
      socket.send(datagram, to, isReported);
    },
    get onDatagram() {
      return socket.onDatagram;
    },
    set onDatagram(listener) {
      socket.onDatagram =
        listener === null
          ? null
          : (datagram, from, isMulticast) => {
              traceDatagram(logger, "in", from, datagram);
              listener(datagram, from, isMulticast);
            };
    },
    get onError() {
      return socket.onError;
    },
    set onError(listener) {
      socket.onError = listener;
    },
    close: () => socket.close(),
  };
}
