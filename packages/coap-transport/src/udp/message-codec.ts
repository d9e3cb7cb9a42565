import type { MESSAGE_TYPE } from "../message/codes.js";
import type { Message, OutgoingMessage } from "../message/message.js";
import { optionsLength, readOptions, writeOptions } from "../message/option-codec.js";
import type { CoapOption } from "../types.js";

/** A message as CoAP over UDP frames it (RFC 7252 section 3). */
export interface UdpMessage extends Message {
  readonly kind: "message";
  readonly type: number;
  readonly messageId: number;
}

/** A message format error: its header was readable, so that a confirmable one can be rejected (section 4.2). */
export interface MalformedMessage {
  readonly kind: "malformed";
  readonly type: number;
  readonly messageId: number;
}

const HEADER_BYTES = 4;
const MAX_TOKEN_BYTES = 8;

/**
 * Read one datagram. Options, token and payload are views into it. Null when it is too short for a header or of an
 * unknown version, which is silently ignored (RFC 7252 section 3). Pure.
 */
export function parseDatagram(bytes: Uint8Array): UdpMessage | MalformedMessage | null {
  if (bytes.length < HEADER_BYTES) return null;
  const first = bytes[0] as number;
  if (first >> 6 !== 1) return null;
  const type = (first >> 4) & 3;
  const tokenLength = first & 15;
  const code = bytes[1] as number;
  const messageId = ((bytes[2] as number) << 8) | (bytes[3] as number);
  const optionsStart = HEADER_BYTES + tokenLength;
  // Token lengths 9 to 15 are reserved; an Empty message is nothing but a header (section 4.1).
  if (tokenLength > MAX_TOKEN_BYTES || optionsStart > bytes.length || (code === 0 && bytes.length > HEADER_BYTES)) {
    return { kind: "malformed", type, messageId };
  }
  const options: CoapOption[] = [];
  const payloadStart = readOptions(bytes, optionsStart, options);
  if (payloadStart < 0) return { kind: "malformed", type, messageId };
  return {
    kind: "message",
    type,
    code,
    messageId,
    token: bytes.subarray(HEADER_BYTES, optionsStart),
    options,
    payload: bytes.subarray(payloadStart),
    wireBytes: bytes.length,
  };
}

/** Write one datagram. Pure. */
export function encodeDatagram(
  type: number,
  messageId: number,
  token: Uint8Array,
  message: OutgoingMessage,
): Uint8Array {
  const { code, options, payload } = message;
  const datagram = Buffer.allocUnsafe(datagramLength(token, message));
  datagram[0] = 64 | (type << 4) | token.length;
  datagram[1] = code;
  writeMessageId(datagram, messageId);
  for (let index = 0; index < token.length; index++) datagram[HEADER_BYTES + index] = token[index] as number;
  const end = writeOptions(datagram, HEADER_BYTES + token.length, options);
  if (payload.length > 0) {
    datagram[end] = 0xff;
    datagram.set(payload, end + 1);
  }
  return datagram;
}

/** Bytes that `encodeDatagram` makes of the message. Pure. */
export function datagramLength(token: Uint8Array, { options, payload }: OutgoingMessage): number {
  const payloadLength = payload.length === 0 ? 0 : 1 + payload.length;
  return HEADER_BYTES + token.length + optionsLength(options) + payloadLength;
}

/** Put a message id into a datagram made by `encodeDatagram`. */
export function writeMessageId(datagram: Uint8Array, messageId: number): void {
  datagram[2] = messageId >> 8;
  datagram[3] = messageId & 255;
}

/** An Empty message: ACK, RST, or CON as a ping (RFC 7252 section 4.1). */
export function emptyMessage(
  type: typeof MESSAGE_TYPE.CON | typeof MESSAGE_TYPE.ACK | typeof MESSAGE_TYPE.RST,
  messageId: number,
): Uint8Array {
  return Buffer.from([64 | (type << 4), 0, messageId >> 8, messageId & 255]);
}
