import { blockOption } from "../message/block-option.js";
import { OPTION } from "../message/codes.js";
import type { UdpMessage } from "../udp/message-codec.js";
import type { RawMessage, RawPeer } from "./raw-peer.js";
import type { ServedEndpoint } from "./served-endpoint.js";

/** Options by name. */
export const { BLOCK1, BLOCK2 } = OPTION;

/** Bytes that differ wherever blocks might be mixed up. */
export function pattern(length: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length }, (_unused, index) => (index * 31 + (index >> 8) * 7 + salt) & 255);
}

/** Send, and take the answer. */
export async function ask(served: ServedEndpoint, client: RawPeer, message: RawMessage): Promise<UdpMessage> {
  client.send(message);
  await served.clock.advance(5);
  return client.take();
}

/** A Block1 option. */
export function block1(num: number, more: boolean, szx: number) {
  return blockOption(BLOCK1, { num, more, szx });
}

/** A Block2 option of a request. */
export function block2(num: number, szx: number) {
  return blockOption(BLOCK2, { num, more: false, szx });
}
