import { MESSAGE_TYPE } from "../message/codes.js";
import { EMPTY_BYTES } from "../message/message.js";
import { sortOptions } from "../message/option-codec.js";
import { stringOption } from "../message/option-values.js";
import type { CoapOption, DatagramSocket } from "../types.js";
import { emptyMessage, encodeDatagram, parseDatagram, type UdpMessage } from "../udp/message-codec.js";
import type { NetworkAddress } from "./virtual-network.js";

/** A message as tests write it; what is left out is as plain as can be. */
export interface RawMessage {
  readonly type?: number;
  readonly code?: number;
  readonly messageId?: number;
  readonly token?: Uint8Array | readonly number[];
  /** Path as in a URI, e.g. `/rd-lookup/ep`. */
  readonly path?: string;
  readonly query?: readonly string[];
  readonly options?: readonly CoapOption[];
  readonly payload?: Uint8Array | string;
}

/** A peer that does what the test says, message by message. */
export interface RawPeer {
  readonly local: NetworkAddress;
  /** Messages received and not taken yet. */
  readonly inbox: UdpMessage[];
  /** The oldest message received. Throws when there is none. */
  take(): UdpMessage;
  send(message: RawMessage): void;
  /** Send bytes as they are; text is hex, blanks ignored. */
  sendBytes(bytes: Uint8Array | string): void;
  acknowledge(messageId: number): void;
  reset(messageId: number): void;
  /** Sees what arrives, after it was put into the inbox. */
  onMessage: ((message: UdpMessage) => void) | null;
}

/** Speak CoAP by hand through `socket` with the peer at `to`. */
export function createRawPeer(socket: DatagramSocket, to: NetworkAddress): RawPeer {
  const inbox: UdpMessage[] = [];
  let nextMessageId = 1;
  const peer: RawPeer = {
    local: socket.local,
    inbox,
    onMessage: null,
    take() {
      const message = inbox.shift();
      if (message === undefined) throw new Error("no message was received");
      return message;
    },
    send: (message) => socket.send(encodeRaw(message, message.messageId ?? nextMessageId++), to),
    sendBytes: (bytes) => socket.send(typeof bytes === "string" ? fromHex(bytes) : bytes, to),
    acknowledge: (messageId) => socket.send(emptyMessage(MESSAGE_TYPE.ACK, messageId), to),
    reset: (messageId) => socket.send(emptyMessage(MESSAGE_TYPE.RST, messageId), to),
  };
  socket.onDatagram = (datagram) => {
    const message = parseDatagram(datagram);
    if (message?.kind !== "message") return;
    inbox.push(message);
    peer.onMessage?.(message);
  };
  return peer;
}

/** Bytes written as hex, blanks ignored. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ""), "hex"));
}

function encodeRaw(message: RawMessage, messageId: number): Uint8Array {
  const {
    type = MESSAGE_TYPE.CON,
    code = 1,
    token = EMPTY_BYTES,
    path = "",
    query = [],
    payload = EMPTY_BYTES,
  } = message;
  const segments = path.split("/").slice(1);
  const options = sortOptions([
    ...segments.map((segment) => stringOption(11, segment)),
    ...query.map((item) => stringOption(15, item)),
    ...(message.options ?? []),
  ]);
  const bytes = typeof payload === "string" ? Buffer.from(payload, "utf8") : payload;
  return encodeDatagram(type, messageId, Uint8Array.from(token), { code, options, payload: bytes });
}
