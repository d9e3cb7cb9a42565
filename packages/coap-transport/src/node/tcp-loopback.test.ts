import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { CODE, METHOD } from "../message/codes.js";
import { fromHex } from "../testing/raw-peer.js";
import { REAL_ENVIRONMENT as env, withRealServer } from "../testing/real-server.js";
import type { CoapClient, CoapListenerHandle, Observer, RequestHandler } from "../types.js";
import { listenCoap } from "./coap-listener.js";
import { openCoapClient } from "./open-client.js";

const ANY_PORT = "coap+tcp://127.0.0.1:0";
const text = (response: { payload: Uint8Array }): string => Buffer.from(response.payload).toString();
const whoAsks: RequestHandler = ({ peer, scheme }) => ({
  code: CODE.CONTENT,
  payload: Buffer.from(`${scheme} ${peer.transport} ${peer.address}`),
});

test.each([
  { name: "IPv4", uri: "coap+tcp://127.0.0.1:0", peer: "127.0.0.1" },
  { name: "IPv6", uri: "coap+tcp://[::1]:0", peer: "::1" },
])("real connections over $name", async ({ uri, peer }) => {
  const ask = async (client: CoapClient, listener: CoapListenerHandle): Promise<void> => {
    expect(text(await client.request({ method: METHOD.GET, uri: `${listener.uri}/x` }))).toBe(`coap+tcp tcp ${peer}`);
    expect(await client.ping(listener.uri)).toBe(true);
    expect(listener.tableSizes()).toMatchObject({ connections: 1 });
  };
  await withRealServer(uri, whoAsks, ask);
});

test("a port in use: BIND_FAILED, in words", async () => {
  await withRealServer(ANY_PORT, whoAsks, async (_client, listener) => {
    await expect(listenCoap({ env, handler: whoAsks }, { uri: listener.uri })).rejects.toMatchObject({
      code: "BIND_FAILED",
      message: expect.stringMatching(/127\.0\.0\.1 port \d+: it is in use/),
    });
  });
});

test("COA-08 5 MB both ways: in BERT blocks", async () => {
  const body = Buffer.alloc(5_000_000, "0123456789abcdef-");
  const echo: RequestHandler = (request) => ({
    code: CODE.CONTENT,
    payload: request.method === METHOD.GET ? body : request.payload,
  });
  await withRealServer(ANY_PORT, echo, async (client, listener) => {
    const down = await client.request({ method: METHOD.GET, uri: listener.uri });
    expect(Buffer.compare(down.payload, body)).toBe(0);
    const before = listener.counters.received;
    expect(before).toBeLessThan(60);
    const up = await client.request({ method: METHOD.POST, uri: listener.uri, payload: body.subarray(0, 80_000) });
    expect(Buffer.compare(up.payload, body.subarray(0, 80_000))).toBe(0);
    expect(listener.counters.received).toBe(before + 1);
  });
});

test("a peer that is gone is UNREACHABLE, its observations end, and it is reached again when it is back", async () => {
  const client = await openCoapClient({ env });
  let observer: Observer | undefined;
  const handler: RequestHandler = () => ({
    code: CODE.CONTENT,
    observation: {
      attach(attached) {
        observer = attached;
        return { next: () => null };
      },
    },
  });
  const first = await listenCoap({ env, handler }, { uri: "coap+tcp://127.0.0.1:0" });
  const { uri } = first;
  const socket = await rawConnection(first);
  socket.destroy();
  const ended = new Promise((resolve) => {
    const listener = { onNotification: () => void first.close(), onEnd: resolve };
    client.observe({ method: METHOD.GET, uri }, listener);
  });
  expect(await ended).toBeDefined();
  expect(observer).toBeDefined();
  await expect(client.request({ method: METHOD.GET, uri })).rejects.toMatchObject({ code: "UNREACHABLE" });
  const second = await listenCoap({ env, handler: whoAsks }, { uri });
  expect((await client.request({ method: METHOD.GET, uri })).code).toBe(CODE.CONTENT);
  await client.close();
  await second.close();
});

test("a client that sends 5,000 requests in one go is answered 5,000 times, in bounded portions", async () => {
  let atOnce = 0;
  let mostAtOnce = 0;
  const handler: RequestHandler = async () => {
    mostAtOnce = Math.max(mostAtOnce, ++atOnce);
    await new Promise((resolve) => setImmediate(resolve));
    atOnce--;
    return { code: CODE.CONTENT };
  };
  await withRealServer(ANY_PORT, handler, async (_client, listener) => {
    const socket = await rawConnection(listener);
    let received = 0;
    const done = new Promise<void>((resolve) => {
      socket.on("data", (bytes) => {
        received += bytes.length;
        if (received >= 5000 * 3) resolve();
      });
    });
    socket.write(Buffer.concat([fromHex("00 e1"), ...Array<Buffer>(5000).fill(Buffer.from(fromHex("01 01 07")))]));
    await done;
    expect(mostAtOnce).toBe(64);
    socket.destroy();
  });
});

async function rawConnection({ uri }: { uri: string }): Promise<Socket> {
  const socket = connect(Number(uri.slice(uri.lastIndexOf(":") + 1)), "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}
