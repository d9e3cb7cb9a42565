import { expect, test } from "vitest";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import type { DatagramPeer, DatagramSocket, Observer, RequestHandler, ServerRequest } from "../types.js";
import { createCoapEndpoint } from "../udp/endpoint.js";
import { emptyMessage, encodeDatagram, parseDatagram, type UdpMessage } from "../udp/message-codec.js";

const CON = 0;
const ACK = 2;
const T = Uint8Array.of(7);
const PEER = { address: "2001:db8::9", port: 40_000 };
const NONE = new Uint8Array();

/** A server whose socket knows the address that each datagram was sent to. */
function serve(handler: RequestHandler) {
  const world = createVirtualWorld();
  const sent: { local: string | undefined; code: number; type: number; messageId: number }[] = [];
  const socket: DatagramSocket = {
    local: { address: "::", port: 5683, isAlso: (address) => address.startsWith("2001:db8::") },
    send(datagram, to) {
      const { code, type, messageId } = parseDatagram(datagram) as UdpMessage;
      sent.push({ local: to.local, code, type, messageId });
    },
    onDatagram: null,
    onError: null,
    close() {},
  };
  createCoapEndpoint({ socket, env: world.env }, { handler });
  const receive = (datagram: Uint8Array, from: DatagramPeer): void => socket.onDatagram?.(datagram, from, false);
  return { ...world, sent, receive };
}

const request = (messageId: number, options: { number: number; value: Uint8Array }[] = []): Uint8Array =>
  encodeDatagram(CON, messageId, T, { code: METHOD.GET, options, payload: NONE });

test.each(["2001:db8::1", "2001:db8::2"])("what goes to a peer that speaks to %s leaves from there", async (local) => {
  let observer: Observer | undefined;
  const handler: RequestHandler = () => ({
    code: CODE.CONTENT,
    payload: Uint8Array.of(1),
    observation: {
      attach(attached) {
        observer = attached;
        let isReported = false;
        return {
          next: () => {
            if (isReported) return null;
            isReported = true;
            return { code: CODE.CONTENT, payload: Uint8Array.of(2) };
          },
        };
      },
    },
  });
  const { clock, sent, receive } = serve(handler);
  receive(request(1, [{ number: OPTION.OBSERVE, value: NONE }]), { ...PEER, local });
  await clock.settle();
  observer?.wake();
  await clock.advance(10_000); // the notification is sent again
  expect(sent.length).toBeGreaterThanOrEqual(3);
  expect(new Set(sent.map((each) => each.local))).toEqual(new Set([local]));
  const notification = sent.findLast(({ type }) => type === CON);
  receive(emptyMessage(ACK, notification?.messageId ?? 0), { ...PEER, local });
  const count = sent.length;
  await clock.advance(200_000);
  expect(sent).toHaveLength(count);
});

test("separate responses and duplicates, too; and an acknowledgement to another address settles nothing", async () => {
  let release = (): void => {};
  const handler: RequestHandler = () =>
    new Promise((resolve) => {
      release = () => resolve({ code: CODE.CONTENT });
    });
  const { clock, sent, receive } = serve(handler);
  receive(request(1), { ...PEER, local: "2001:db8::2" });
  await clock.advance(1000);
  receive(request(1), { ...PEER, local: "2001:db8::2" });
  release();
  await clock.settle();
  expect(sent.map(({ local, type }) => [local, type])).toEqual([
    ["2001:db8::2", ACK],
    ["2001:db8::2", ACK],
    ["2001:db8::2", CON],
  ]);
  receive(emptyMessage(ACK, sent.at(-1)?.messageId ?? 0), { ...PEER, local: "2001:db8::1" });
  await clock.advance(5000);
  expect(sent.length).toBeGreaterThan(3);
});

test("handlers see the address that was asked, and which others lead to them", () => {
  const seen: ServerRequest["local"][] = [];
  const { receive } = serve(({ local }) => {
    seen.push(local);
    return { code: CODE.CONTENT };
  });
  receive(request(1), { ...PEER, local: "2001:db8::2" });
  receive(request(2), PEER);
  expect(seen.map(({ address }) => address)).toEqual(["2001:db8::2", "::"]);
  expect(seen.map(({ isAlso }) => [isAlso?.("2001:db8::7"), isAlso?.("192.0.2.1")])).toEqual(
    Array(2).fill([true, false]),
  );
});
