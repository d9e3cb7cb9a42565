import {
  createCoapEndpoint,
  type DatagramSocket,
  encodeDatagram,
  METHOD,
  OPTION,
  parseDatagram,
} from "@tributary/coap-transport";
import { expect, onTestFinished, test } from "vitest";
import { openVirtualNode, settled, watchedWorld } from "./virtual-node.ts";

const RD = "coap://[2001:db8::1]";
const PROXY = "coap://[2001:db8::a]";
const UNFITTING = JSON.stringify([
  { op: "test", path: "/version", value: "ffffff-1" },
  { op: "replace", path: "/version", value: "ffffff-2" },
]);
const HEARTBEATS_MS = 3 * 66_000;

/** A proxy that follows an RD by its feed, whose answers are not as the RD gave them. */
async function followTampered(tamper: (datagram: Uint8Array) => Uint8Array) {
  const world = watchedWorld();
  let sent = 0;
  const wrap = (socket: DatagramSocket) => {
    const send = socket.send.bind(socket);
    return Object.assign(socket, {
      send(datagram: Uint8Array, to: { address: string; port: number }): void {
        if (to.address === "2001:db8::ac") sent++;
        send(tamper(datagram), to);
      },
    });
  };
  const open = { http: false, amplification: { trusted: ["any"] } };
  const rdConfig = JSON.stringify({ ...open, listen: [RD], registration: { replicas: ["any"] } });
  const openRd = () => openVirtualNode(world, { config: rdConfig, wrap, clientAddress: "2001:db8::1c" });
  const rd = await openRd();
  const lpConfig = JSON.stringify({ ...open, listen: [PROXY], lookup: { upstreams: [RD] } });
  const proxy = await openVirtualNode(world, { config: lpConfig, clientAddress: "2001:db8::ac" });
  const client = createCoapEndpoint({ socket: world.network.open("2001:db8::7", 5683), env: world.env });
  const register = (ep: string) =>
    settled(world, client.request({ method: METHOD.POST, uri: `${RD}/rd`, query: [`ep=${ep}`, "base=coap://h"] }));
  onTestFinished(async () => {
    for (const closing of [client, rd, proxy]) await settled(world, closing.close());
  });
  await world.clock.runUntil(() => proxy.upstreams()[0]?.phase === "live", 10_000);
  expect(proxy.upstreams()[0]?.method).toBe("feed");
  return { world, proxy, register, sent: () => sent };
}

function withMaxAge(datagram: Uint8Array, maxAge: number): Uint8Array {
  const message = parseDatagram(datagram);
  if (message?.kind !== "message") return datagram;
  const value = Buffer.alloc(4);
  value.writeUInt32BE(maxAge);
  const options = message.options.map((option) => (option.number === OPTION.MAX_AGE ? { ...option, value } : option));
  return encodeDatagram(message.type, message.messageId, message.token, { ...message, options });
}

test("a feed whose Max-Age is 136 years is asked again all the same: a notification that was spoilt is made up for", async () => {
  const { world, proxy, register } = await followTampered((datagram) => withMaxAge(datagram, 4_294_967_295));
  // What the RD sends while cut off counts as delivered when an acknowledgement is forged; here it is simply lost.
  world.network.filter = (_from, to) => to.address !== "2001:db8::ac";
  await register("lost");
  await world.clock.advance(120_000);
  world.network.filter = null;
  await world.clock.advance(HEARTBEATS_MS);
  expect(proxy.directory.winner("lost", undefined)?.links).toEqual([]);
});

test("a feed whose Max-Age is 0 is not asked without a pause", async () => {
  const { world, sent } = await followTampered((datagram) => withMaxAge(datagram, 0));
  const before = sent();
  await world.clock.advance(60_000);
  expect(sent() - before).toBeGreaterThan(20);
  expect(sent() - before).toBeLessThan(400);
});

test("a feed whose patches fit nothing is not asked again and again without a pause", async () => {
  let isSpoilt = false;
  const { world, sent, register, proxy } = await followTampered((datagram) => {
    const message = parseDatagram(datagram);
    if (!isSpoilt || message?.kind !== "message" || message.payload.length === 0) return datagram;
    const payload = Buffer.from(UNFITTING);
    return encodeDatagram(message.type, message.messageId, message.token, { ...message, payload });
  });
  isSpoilt = true;
  await register("one");
  const before = sent();
  await world.clock.advance(60_000);
  expect(sent() - before).toBeLessThan(400);
  isSpoilt = false;
  await world.clock.advance(10_000);
  expect(proxy.directory.winner("one", undefined)).toBeDefined();
});
