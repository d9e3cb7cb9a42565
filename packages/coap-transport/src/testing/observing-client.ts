import { findOption } from "../message/block-option.js";
import { CODE, MESSAGE_TYPE, METHOD, OPTION } from "../message/codes.js";
import { decodeUint, uintOption } from "../message/option-values.js";
import type { ClientRequest, ClientResponse, CoapOption, ObservationControl } from "../types.js";
import type { UdpMessage } from "../udp/message-codec.js";
import type { RawMessage } from "./raw-peer.js";
import { serveEndpoint } from "./served-endpoint.js";

/** Message types by name, as tests write them. */
export const { CON, NON, ACK, RST } = MESSAGE_TYPE;
export const SERVER = "2001:db8::2";
export const URI = `coap://[${SERVER}]/lookup`;

/** Bytes that differ wherever blocks might be mixed up. */
export function pattern(length: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length }, (_unused, index) => (index * 31 + (index >> 8) * 7 + salt) & 255);
}

/** An observation, what came of it, and a server that does what the test says. `busy`: what the listener returns. */
export async function observing(
  request: Partial<ClientRequest> = {},
  control: ObservationControl = {},
  busy: (response: ClientResponse) => Promise<void> | undefined = () => undefined,
) {
  const served = serveEndpoint();
  const server = served.peer(SERVER, 5683);
  const seen: ClientResponse[] = [];
  const ends: unknown[] = [];
  const observation = served.endpoint.observe(
    { method: METHOD.GET, uri: URI, ...request },
    {
      onNotification: (response) => {
        seen.push(response);
        return busy(response);
      },
      onEnd: (reason) => ends.push(reason),
    },
    control,
  );
  await served.clock.advance(5);
  const registration = server.take();
  const reply = (to: UdpMessage, message: RawMessage = {}): void =>
    server.send({ type: ACK, code: CODE.CONTENT, messageId: to.messageId, token: to.token, ...message });
  /** A notification with this number; `extra` overrides. */
  const notify = async (sequence: number, extra: RawMessage = {}): Promise<void> => {
    const options = [uintOption(OPTION.OBSERVE, sequence), ...(extra.options ?? [])];
    server.send({ type: CON, code: CODE.CONTENT, token: registration.token, ...extra, options });
    await served.clock.advance(5);
  };
  const accept = async (sequence: number, payload: string, extra: readonly CoapOption[] = []): Promise<void> => {
    reply(registration, { payload, options: [uintOption(OPTION.OBSERVE, sequence), ...extra] });
    await served.clock.advance(5);
  };
  const texts = (): string[] => seen.map((response) => Buffer.from(response.payload).toString());
  return { ...served, server, seen, texts, ends, observation, registration, reply, notify, accept };
}

/** The Observe value, null when there is none. */
export const observeOf = (message: UdpMessage): number | null => {
  const option = findOption(message.options, OPTION.OBSERVE);
  return option === undefined ? null : decodeUint(option.value);
};
