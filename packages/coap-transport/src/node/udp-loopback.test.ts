import { createSocket, type Socket } from "node:dgram";
import { describe, expect, test } from "vitest";
import { CODE, METHOD } from "../message/codes.js";
import { REAL_ENVIRONMENT as env, withRealServer } from "../testing/real-server.js";
import type { Observer, RequestHandler, ServerResponse } from "../types.js";
import { createCoapEndpoint } from "../udp/endpoint.js";
import { listenCoap } from "./coap-listener.js";
import { openCoapClient } from "./open-client.js";
import { openUdpSocket } from "./udp-socket.js";

const text = (response: { payload: Uint8Array }): string => Buffer.from(response.payload).toString();
const whoAsks: RequestHandler = (request) => ({ code: CODE.CONTENT, payload: Buffer.from(request.peer.address) });

function portOf(uri: string): number {
  return Number(uri.slice(uri.lastIndexOf(":") + 1));
}

const canMulticast = await hasLoopbackMulticast();

describe("over real sockets", () => {
  test.each([
    { name: "IPv4", uri: "coap://127.0.0.1:0", peer: "127.0.0.1" },
    { name: "IPv6", uri: "coap://[::1]:0", peer: "::1" },
  ])("$name", async ({ uri, peer }) => {
    await withRealServer(uri, whoAsks, async (client, listener) => {
      expect(text(await client.request({ method: METHOD.GET, uri: `${listener.uri}/x` }))).toBe(peer);
      expect(await client.ping(listener.uri)).toBe(true);
      expect(listener.counters.received).toBe(2);
    });
  });

  test("the IPv6 wildcard serves both families; IPv4 peers have IPv4 addresses", async () => {
    await withRealServer("coap://[::]:0", whoAsks, async (client, listener) => {
      const port = portOf(listener.uri);
      expect(listener.uri).toBe(`coap://[::]:${port}`);
      expect(text(await client.request({ method: METHOD.GET, uri: `coap://127.0.0.1:${port}` }))).toBe("127.0.0.1");
      expect(text(await client.request({ method: METHOD.GET, uri: `coap://[::1]:${port}` }))).toBe("::1");
      expect(text(await client.request({ method: METHOD.GET, uri: `coap://[::ffff:127.0.0.1]:${port}` }))).toBe(
        "127.0.0.1",
      );
    });
  });

  test("localhost is both loopback addresses on one port", async () => {
    await withRealServer("coap://localhost:0", whoAsks, async (client, listener) => {
      const port = portOf(listener.uri);
      expect(listener.uri).toBe(`coap://localhost:${port}`);
      expect(text(await client.request({ method: METHOD.GET, uri: `coap://127.0.0.1:${port}` }))).toBe("127.0.0.1");
      expect(text(await client.request({ method: METHOD.GET, uri: `coap://[::1]:${port}` }))).toBe("::1");
      expect((await client.request({ method: METHOD.GET, uri: listener.uri })).code).toBe(CODE.CONTENT);
    });
  });

  test("a port in use: BIND_FAILED, in words", async () => {
    await withRealServer("coap://127.0.0.1:0", whoAsks, async (_client, listener) => {
      await expect(listenCoap({ env, handler: whoAsks }, { uri: listener.uri })).rejects.toMatchObject({
        code: "BIND_FAILED",
        message: expect.stringMatching(/127\.0\.0\.1 port \d+: it is in use/),
      });
    });
  });

  test("an address of another machine: BIND_FAILED", async () => {
    await expect(listenCoap({ env, handler: whoAsks }, { uri: "coap://192.0.2.1" })).rejects.toMatchObject({
      code: "BIND_FAILED",
    });
  });

  test("a scheme that is not served yet: BAD_URI", async () => {
    await expect(listenCoap({ env, handler: whoAsks }, { uri: "coaps://127.0.0.1" })).rejects.toMatchObject({
      code: "BAD_URI",
    });
  });

  test("a peer that is gone is UNREACHABLE at once, and reached again when it is back", async () => {
    const client = await openCoapClient({ env });
    const first = await listenCoap({ env, handler: whoAsks }, { uri: "coap://127.0.0.1:0" });
    const { uri } = first;
    expect((await client.request({ method: METHOD.GET, uri })).code).toBe(CODE.CONTENT);
    await first.close();
    await expect(client.request({ method: METHOD.GET, uri })).rejects.toMatchObject({ code: "UNREACHABLE" });
    const second = await listenCoap({ env, handler: whoAsks }, { uri });
    expect((await client.request({ method: METHOD.GET, uri })).code).toBe(CODE.CONTENT);
    await client.close();
    await second.close();
    await expect(client.request({ method: METHOD.GET, uri })).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("1 MB in blocks, both ways, and 60 kB in a single datagram", async () => {
    const body = Buffer.alloc(1_000_000, "0123456789abcdef-");
    const echo: RequestHandler = (request) => ({
      code: CODE.CONTENT,
      payload: request.method === METHOD.GET ? body : request.payload,
    });
    await withRealServer("coap://[::1]:0", echo, async (client, listener) => {
      const down = await client.request({ method: METHOD.GET, uri: listener.uri });
      expect(Buffer.compare(down.payload, body)).toBe(0);
      const up = await client.request({ method: METHOD.POST, uri: listener.uri, payload: body.subarray(0, 80_000) });
      expect(Buffer.compare(up.payload, body.subarray(0, 80_000))).toBe(0);
    });
    const large = await openUdpSocket("127.0.0.1", 0);
    large.onDatagram = (datagram, from) => {
      const answer = Buffer.concat([
        Buffer.from([0x60 | ((datagram[0] ?? 0) & 15), CODE.CONTENT]),
        datagram.subarray(2, 12),
        Buffer.from([0xff]),
        body.subarray(0, 60_000),
      ]);
      large.send(answer, from);
    };
    const client = await openCoapClient({ env });
    const response = await client.request({ method: METHOD.GET, uri: `coap://127.0.0.1:${large.local.port}` });
    expect(response.payload).toHaveLength(60_000);
    await client.close();
    large.close();
  });

  test("an observation from end to end", async () => {
    let state = "0";
    let observer: Observer | undefined;
    const ends: string[] = [];
    const handler: RequestHandler = (): ServerResponse => ({
      code: CODE.CONTENT,
      payload: Buffer.from(state),
      observation: {
        attach(attached) {
          observer = attached;
          let shown = state;
          return {
            next() {
              if (shown === state) return null;
              shown = state;
              return { code: CODE.CONTENT, payload: Buffer.from(state) };
            },
            closed: (reason) => ends.push(reason),
          };
        },
      },
    });
    await withRealServer("coap://[::1]:0", handler, async (client, listener) => {
      const seen: string[] = [];
      let arrived = (): void => {};
      const next = (): Promise<void> => new Promise((resolve) => (arrived = resolve));
      const first = next();
      const observation = client.observe(
        { method: METHOD.GET, uri: listener.uri },
        {
          onNotification(response) {
            seen.push(text(response));
            arrived();
          },
          onEnd: () => {},
        },
      );
      await first;
      const second = next();
      state = "1";
      observer?.wake();
      await second;
      await observation.close();
      expect(seen).toEqual(["0", "1"]);
      expect(ends).toEqual(["deregistered"]);
    });
  });

  test("client and server on one socket", async () => {
    const make = async () =>
      createCoapEndpoint({ socket: await openUdpSocket("127.0.0.1", 0), env }, { handler: whoAsks });
    const [one, other] = [await make(), await make()];
    const response = await one.request({ method: METHOD.GET, uri: `coap://127.0.0.1:${other.local.port}` });
    expect([text(response), response.peer.port]).toEqual(["127.0.0.1", other.local.port]);
    await one.close();
    await other.close();
  });

  test.skipIf(!canMulticast)(
    "DIS-07 DIS-08 multicast: NON answered once from the unicast address, CON not at all",
    async () => {
      const listener = await listenCoap(
        { env, handler: (request) => ({ code: CODE.CONTENT, payload: Buffer.from(String(request.isMulticast)) }) },
        { uri: "coap://0.0.0.0:0", multicast: true, parameters: { leisureMs: 1 } },
      );
      const port = portOf(listener.uri);
      const socket = await boundSocket();
      const answers: { from: string; text: string; type: number }[] = [];
      const ask = async (address: string, ...hex: string[]): Promise<void> => {
        const answered = new Promise<void>((resolve) => {
          socket.once("message", (datagram, from) => {
            const type = (datagram[0] ?? 0) >> 4;
            answers.push({ from: `${from.address} ${from.port}`, text: datagram.subarray(6).toString(), type });
            resolve();
          });
        });
        for (const datagram of hex) socket.send(Buffer.from(datagram, "hex"), port, address);
        await answered;
      };
      await ask("224.0.1.187", "410100010a", "510100020b"); // CON, NON
      await ask("127.0.0.1", "41010003ee");
      socket.close();
      await listener.close();
      expect(answers).toEqual([
        { from: `127.0.0.1 ${port}`, text: "true", type: 5 },
        { from: `127.0.0.1 ${port}`, text: "false", type: 6 },
      ]);
      expect(listener.counters).toMatchObject({ received: 3, sent: 2 });
    },
  );

  test("with multicast, too, a port in use is BIND_FAILED", async () => {
    const options = { uri: "coap://[::]:0", multicast: true };
    const first = await listenCoap({ env, handler: whoAsks }, options);
    const again = listenCoap({ env, handler: whoAsks }, { ...options, uri: first.uri });
    await expect(again).rejects.toMatchObject({ code: "BIND_FAILED" });
    await first.close();
  });
});

async function boundSocket(): Promise<Socket> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  socket.setMulticastInterface("127.0.0.1");
  return socket;
}

/** Some containers route no multicast. */
async function hasLoopbackMulticast(): Promise<boolean> {
  const [member, sender] = [await boundGroup(), await boundSocket()];
  const heard = new Promise<boolean>((resolve) => {
    member.on("message", () => resolve(true));
    sender.send("?", member.address().port, "224.0.1.187", (error) => {
      setTimeout(() => resolve(false), error === null ? 300 : 0);
    });
  });
  const has = await heard;
  member.close();
  sender.close();
  return has;
}

async function boundGroup(): Promise<Socket> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  await new Promise<void>((resolve) => socket.bind(0, "224.0.1.187", resolve));
  try {
    socket.addMembership("224.0.1.187", "127.0.0.1");
  } catch {
    // then nothing will be heard
  }
  return socket;
}
