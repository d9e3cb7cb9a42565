import { CODE, MESSAGE_TYPE, METHOD } from "../message/codes.js";
import type { ClientRequest, ClientResponse, RequestControl } from "../types.js";
import type { UdpMessage } from "../udp/message-codec.js";
import type { RawMessage } from "./raw-peer.js";
import { serveEndpoint } from "./served-endpoint.js";

/** Message types by name, as tests write them. */
export const { CON, NON, ACK, RST } = MESSAGE_TYPE;
export const SERVER = "2001:db8::2";
export const SERVER_URI = `coap://[${SERVER}]`;
/** The payload as text. */
export const text = (response: { payload: Uint8Array } | null): string =>
  Buffer.from(response?.payload ?? []).toString();

/** A client, and a server that does what the test says. */
export function ask(options: Parameters<typeof serveEndpoint>[0] = {}) {
  const served = serveEndpoint(options);
  const server = served.peer(SERVER, 5683);
  const request = (request: Partial<ClientRequest> = {}, control?: RequestControl) => {
    const outcome: { response: ClientResponse | null; error: (Error & { code?: string }) | null; atMs: number } = {
      response: null,
      error: null,
      atMs: -1,
    };
    served.endpoint.request({ method: METHOD.GET, uri: `${SERVER_URI}/x`, ...request }, control).then(
      (response) => Object.assign(outcome, { response, atMs: served.clock.nowMs() }),
      (error: Error) => Object.assign(outcome, { error, atMs: served.clock.nowMs() }),
    );
    return outcome;
  };
  const reply = (to: UdpMessage, message: RawMessage = {}): void =>
    server.send({ type: ACK, code: CODE.CONTENT, messageId: to.messageId, token: to.token, ...message });
  return { ...served, server, request, reply };
}
