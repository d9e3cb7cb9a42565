import { blockOption, blockSize, findBlock } from "../message/block-option.js";
import { CODE, MESSAGE_TYPE, METHOD, OPTION } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import type { ClientRequest, ClientResponse, CoapOption, RequestControl } from "../types.js";
import type { UdpMessage } from "../udp/message-codec.js";
import type { RawMessage } from "./raw-peer.js";
import { serveEndpoint } from "./served-endpoint.js";

/** Message types and options by name, as tests write them. */
export const { ACK } = MESSAGE_TYPE;
export const { BLOCK1, BLOCK2 } = OPTION;
export const SERVER = "2001:db8::2";
export const URI = `coap://[${SERVER}]/x`;

/** Bytes that differ wherever blocks might be mixed up. */
export function pattern(length: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length }, (_unused, index) => (index * 31 + (index >> 8) * 7 + salt) & 255);
}

/** One block of `body`, as a server would send it. */
export function blockOf(body: Uint8Array, num: number, szx: number, etag: number | null): RawMessage {
  const size = blockSize(szx);
  const more = (num + 1) * size < body.length;
  const options: CoapOption[] = [blockOption(BLOCK2, { num, more, szx }), uintOption(OPTION.CONTENT_FORMAT, 40)];
  if (etag !== null) options.push({ number: OPTION.ETAG, value: Uint8Array.of(etag) });
  return { code: CODE.CONTENT, options, payload: body.subarray(num * size, (num + 1) * size) };
}

/** Ask once; `answer` is what the server says to each request in turn. */
export async function exchange(
  answer: (request: UdpMessage, turn: number) => RawMessage,
  request: Partial<ClientRequest> = {},
  control?: RequestControl,
) {
  const served = serveEndpoint();
  const server = served.peer(SERVER, 5683);
  const requests: UdpMessage[] = [];
  server.onMessage = (message) => {
    requests.push(message);
    server.send({
      type: ACK,
      messageId: message.messageId,
      token: message.token,
      ...answer(message, requests.length - 1),
    });
  };
  let response: ClientResponse | null = null;
  let error: (Error & { code?: string }) | null = null;
  served.endpoint.request({ method: METHOD.GET, uri: URI, ...request }, control).then(
    (settled) => {
      response = settled;
    },
    (failure: Error) => {
      error = failure;
    },
  );
  await served.clock.advance(200_000);
  return { response: response as ClientResponse | null, error: error as { code?: string } | null, requests };
}

export const numOf = (request: UdpMessage): number => findBlock(request.options, BLOCK2)?.num ?? 0;
