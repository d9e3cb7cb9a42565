import { expect, test } from "vitest";
import { CODE, METHOD } from "../message/codes.js";
import { DEFAULT_STREAM_LIMITS } from "../tcp/limits.js";
import { SIGNAL } from "../tcp/signals.js";
import { serveStreams } from "../testing/streamed-server.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import type { RequestHandler, ServerRequest } from "../types.js";
import { createCoapEndpoint } from "../udp/endpoint.js";

const T = Uint8Array.of(7);
const NONE = new Uint8Array();
const text = ({ payload }: { payload: Uint8Array }): string => Buffer.from(payload).toString();

/** Answers what the client answers. */
const echoing: RequestHandler = async (request: ServerRequest) => {
  const { scheme, peer } = request;
  const uri = `${scheme}://[${peer.address}]:${peer.port}/links`;
  const response = await request.askPeer?.(peer, { method: METHOD.GET, uri });
  return { code: CODE.CONTENT, payload: response?.payload ?? NONE };
};

test("a server asks back from the address and port that it was asked at", async () => {
  const { clock, network, env } = createVirtualWorld();
  createCoapEndpoint({ socket: network.open("2001:db8::1", 5683), env }, { handler: echoing });
  const large = Buffer.alloc(3000, "0123456789");
  const client = createCoapEndpoint(
    { socket: network.open("2001:db8::2", 40_000), env },
    {
      handler: ({ peer, path }) => ({
        code: CODE.CONTENT,
        payload: Buffer.concat([Buffer.from(`${peer.address} ${peer.port} /${path.join("/")} `), large]),
      }),
    },
  );
  let answer = "";
  void client.request({ method: METHOD.POST, uri: "coap://[2001:db8::1]/x" }).then((response) => {
    answer = text(response);
  });
  await clock.runUntil(() => answer !== "");
  expect(answer).toBe(`2001:db8::1 5683 /links ${large}`);
});

test("RFC 8323 section 3: over TCP, by the same connection", async () => {
  const served = serveStreams(echoing);
  const { clock } = served;
  const opening = served.rawPeer();
  await clock.advance(1);
  const peer = await opening;
  peer.send(NONE, { code: SIGNAL.CSM });
  peer.send(T, { code: METHOD.POST });
  await clock.advance(10);
  const asked = peer.take().find(({ code }) => code === METHOD.GET);
  expect(asked?.options.map(({ value }) => Buffer.from(value).toString())).toEqual(["links"]);
  peer.send(asked?.token ?? NONE, { code: CODE.CONTENT, payload: Buffer.from("mine") });
  await clock.advance(10);
  expect(peer.take().map((message) => [message.code, [...message.token], text(message)])).toEqual([
    [CODE.CONTENT, [...T], "mine"],
  ]);
  expect(served.server.tableSizes().connections).toBe(1);
});

test("a connection that ends ends what was asked by it, and one that is asked is not idle", async () => {
  const served = serveStreams(echoing);
  const { clock } = served;
  const opening = served.rawPeer();
  await clock.advance(1);
  const peer = await opening;
  peer.send(NONE, { code: SIGNAL.CSM });
  peer.send(T, { code: METHOD.POST });
  await clock.advance(10);
  expect(peer.socket.isClosed).toBe(false);
  peer.socket.destroy();
  await clock.advance(10);
  expect(served.server.tableSizes().handlers).toBe(0);
  expect(served.server.tableSizes().connections).toBe(0);
  await clock.advance(2 * DEFAULT_STREAM_LIMITS.idleMs);
  expect(clock.pending).toBe(0);
});
