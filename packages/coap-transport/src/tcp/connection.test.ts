import { describe, expect, test } from "vitest";
import { CODE, METHOD } from "../message/codes.js";
import { encodeUint, stringOption } from "../message/option-values.js";
import { hello, later, text } from "../testing/greeting-server.js";
import { type RawStreamPeer, type StreamedServerOptions, serveStreams } from "../testing/streamed-server.js";
import type { CoapOption, RequestHandler } from "../types.js";
import type { StreamLimits } from "./limits.js";
import { SIGNAL } from "./signals.js";

const T = Uint8Array.of(7);
const NONE = new Uint8Array();
const option = (number: number, value: Uint8Array = NONE): CoapOption => ({ number, value });
const codes = (peer: RawStreamPeer): number[] => peer.take().map(({ code }) => code);

async function greeted(handler: RequestHandler = hello, options: StreamedServerOptions = {}) {
  const served = serveStreams(handler, options);
  const { clock } = served;
  const opening = served.rawPeer();
  await clock.advance(1);
  const peer = await opening;
  await clock.advance(5);
  return { ...served, peer, greeting: peer.take() };
}

describe("RFC 8323 section 5.3: capabilities", () => {
  test("COA-07 the server says its CSM at once: largest message, and blocks", async () => {
    const { greeting } = await greeted();
    expect(greeting.map(({ code, options }) => [code, options.map(({ number, value }) => [number, ...value])])).toEqual(
      [[SIGNAL.CSM, [[2, 2, 0, 0], [4]]]],
    );
  });

  test("COA-07 requests after the CSM are answered by token, also those of the same chunk", async () => {
    const { peer, clock } = await greeted();
    peer.send(NONE, { code: SIGNAL.CSM });
    peer.send(T, { code: METHOD.GET, options: [stringOption(11, "x")] });
    await clock.advance(5);
    expect(peer.take()).toMatchObject([{ code: CODE.CONTENT, token: T }]);
  });

  test.each([
    { name: "a request before any CSM", says: { code: METHOD.GET }, diagnostic: "not a CSM", bad: [] },
    {
      name: "a critical option in a CSM",
      says: { code: SIGNAL.CSM, options: [option(3)] },
      diagnostic: "option 3",
      bad: [2, 3],
    },
  ])("COA-07 $name: Abort, and the connection ends", async ({ says, diagnostic, bad }) => {
    const { peer, clock, server } = await greeted();
    peer.send(T, says);
    await clock.advance(5);
    const [last] = peer.take();
    expect(last).toMatchObject({ code: SIGNAL.ABORT });
    expect(text(last?.payload ?? NONE)).toContain(diagnostic);
    expect(last?.options.flatMap(({ number, value }) => [number, ...value])).toEqual(bad);
    expect(peer.socket.isClosed).toBe(true);
    expect(server.tableSizes().connections).toBe(0);
  });

  test.each([
    { name: "a critical option in a Ping", hex: "10 e2 10" },
    { name: "an unknown signal", hex: "00 ff" },
    { name: "a reserved class of codes", hex: "00 20" },
    { name: "a format error", hex: "09 01" },
    { name: "a message larger than announced", hex: "f0 00 10 00 00 01" },
  ])("COA-07 $name: Abort", async ({ hex }) => {
    const { peer, clock } = await greeted();
    peer.send(NONE, { code: SIGNAL.CSM });
    peer.socket.write(Buffer.from(hex.replaceAll(" ", ""), "hex"));
    await clock.advance(5);
    expect(codes(peer)).toEqual([SIGNAL.ABORT]);
    expect(peer.socket.isClosed).toBe(true);
  });

  test("no CSM in 10 s: closed, not a millisecond earlier", async () => {
    const { peer, clock, counters } = await greeted();
    await clock.advance(10_000 - clock.nowMs());
    expect(peer.socket.isClosed).toBe(false);
    await clock.advance(2);
    expect(peer.socket.isClosed).toBe(true);
    expect(counters.rejected.get("handshake-timeout")).toBe(1);
  });

  test("a peer with the base message size gets bodies in plain blocks, one that can do BERT in large ones", async () => {
    const body = new Uint8Array(300_000);
    const { peer, clock } = await greeted(() => ({ code: CODE.CONTENT, payload: body }));
    peer.send(NONE, { code: SIGNAL.CSM });
    peer.send(T, { code: METHOD.GET });
    await clock.advance(50);
    expect(peer.take().map(({ payload }) => payload.length)).toEqual([1024]);
    peer.send(NONE, { code: SIGNAL.CSM, options: [option(2, encodeUint(50_000)), option(4)] });
    peer.send(T, { code: METHOD.GET });
    await clock.advance(50);
    const [first] = peer.take();
    expect(first?.payload.length).toBe(48 * 1024);
    expect(first?.options.find(({ number }) => number === 23)?.value).toEqual(Uint8Array.of(15)); // number 0, more, SZX 7
  });
});

describe("RFC 8323 section 5.4 to 5.6", () => {
  test("COA-07 a Ping is answered at once; with Custody after the requests before it", async () => {
    let clockOf: { setTimer(ms: number, call: () => void): unknown } | null = null;
    const { peer, clock } = await greeted(async () => {
      if (clockOf !== null) await later(100, clockOf);
      return hello();
    });
    clockOf = clock;
    peer.send(NONE, { code: SIGNAL.CSM });
    peer.send(T, { code: METHOD.GET });
    peer.send(Uint8Array.of(1), { code: SIGNAL.PING, options: [option(2)] });
    peer.send(Uint8Array.of(2), { code: SIGNAL.PING });
    await clock.advance(20);
    expect(peer.take()).toMatchObject([{ code: SIGNAL.PONG, token: Uint8Array.of(2), options: [] }]);
    await clock.advance(200);
    expect(peer.take()).toMatchObject([
      { code: CODE.CONTENT },
      { code: SIGNAL.PONG, token: Uint8Array.of(1), options: [{ number: 2 }] },
    ]);
  });

  test("COA-07 an Empty message is nothing", async () => {
    const { peer, clock } = await greeted();
    peer.send(NONE, { code: SIGNAL.CSM });
    peer.send(NONE, { code: 0 });
    peer.send(T, { code: METHOD.GET });
    await clock.advance(5);
    expect(codes(peer)).toEqual([CODE.CONTENT]);
  });

  test.each([
    { name: "Release", code: SIGNAL.RELEASE },
    { name: "Abort", code: SIGNAL.ABORT },
  ])("COA-07 $name of the peer ends the connection without a word", async ({ code }) => {
    const { peer, clock, server } = await greeted();
    peer.send(NONE, { code: SIGNAL.CSM });
    peer.send(NONE, { code });
    await clock.advance(10);
    expect(peer.take()).toEqual([]);
    expect(peer.socket.isClosed).toBe(true);
    expect(server.tableSizes().connections).toBe(0);
  });

  test("COA-07 a server that closes says Release", async () => {
    const { peer, clock, server } = await greeted();
    peer.send(NONE, { code: SIGNAL.CSM });
    await clock.advance(5);
    server.close();
    await clock.advance(5);
    expect(codes(peer)).toEqual([SIGNAL.RELEASE]);
    expect(peer.socket.isClosed).toBe(true);
  });
});

describe("bounds", () => {
  async function connecting(streamLimits: Partial<StreamLimits>) {
    const served = serveStreams(hello, { streamLimits });
    const { clock, streams } = served;
    const connect = async (address: string) => {
      const opening = streams.connect({ address, port: 0 }, { address: "2001:db8::1", port: 5683 });
      await clock.advance(1);
      const socket = await opening;
      await clock.advance(2);
      return socket;
    };
    return { ...served, connect };
  }

  test("more connections from one address or one IPv6 /64 than allowed are closed and counted", async () => {
    const { connect, counters, server } = await connecting({ maxConnections: 9, maxConnectionsPerAddress: 2 });
    const addresses = ["2001:db8:a::1", "2001:db8:a::2", "2001:db8:a::3", "2001:db8:b::1", "192.0.2.1", "192.0.2.2"];
    const closed = [];
    for (const address of addresses) closed.push((await connect(address)).isClosed);
    expect(closed).toEqual([false, false, true, false, false, false]);
    expect(server.tableSizes().connections).toBe(5);
    expect(Object.fromEntries(counters.rejected)).toEqual({ "connection-limit-per-address": 1 });
  });

  test("when all places are taken, the silent connection of who holds most goes", async () => {
    const { connect, counters, server } = await connecting({ maxConnections: 3, maxConnectionsPerAddress: 2 });
    const rich = [await connect("2001:db8:a::1"), await connect("2001:db8:a::2")];
    const poor = await connect("2001:db8:b::1");
    const newcomer = await connect("2001:db8:c::1");
    expect([...rich, poor, newcomer].map(({ isClosed }) => isClosed)).toEqual([true, false, false, false]);
    expect(server.tableSizes().connections).toBe(3);
    // Now all hold one: a second of the same host has no better right.
    expect((await connect("2001:db8:c::2")).isClosed).toBe(true);
    expect(Object.fromEntries(counters.rejected)).toEqual({ "connection-replaced": 1, "connection-limit": 1 });
  });

  test("a peer that reads nothing is read from no more, and given up; what waits for it is bounded", async () => {
    const payload = new Uint8Array(20_000);
    let asked = 0;
    const handler: RequestHandler = () => {
      asked++;
      return { code: CODE.CONTENT, payload };
    };
    const { peer, clock, counters } = await greeted(handler, { streamLimits: { maxQueuedBytes: 100_000 } });
    peer.send(NONE, { code: SIGNAL.CSM, options: [option(2, encodeUint(1_000_000)), option(4)] });
    peer.socket.pause();
    for (let index = 0; index < 200; index++) peer.send(Uint8Array.of(index), { code: METHOD.GET });
    await clock.advance(1000);
    expect(asked).toBeLessThan(12); // window and queue, 20,000 bytes each
    expect(peer.socket.other.queuedBytes).toBeLessThan(130_000);
    await clock.advance(100_000);
    expect(peer.socket.isClosed).toBe(true);
    expect(counters.rejected.get("stalled")).toBe(1);
  });

  test("a peer that reads late gets every answer", async () => {
    const payload = new Uint8Array(20_000);
    const options = { streamLimits: { maxQueuedBytes: 100_000 } };
    const { peer, clock } = await greeted(() => ({ code: CODE.CONTENT, payload }), options);
    peer.send(NONE, { code: SIGNAL.CSM, options: [option(2, encodeUint(1_000_000)), option(4)] });
    peer.socket.pause();
    for (let index = 0; index < 200; index++) peer.send(Uint8Array.of(index), { code: METHOD.GET });
    await clock.advance(1000);
    peer.socket.resume();
    await clock.advance(1000);
    expect(peer.take()).toHaveLength(200);
  });

  test("while the requests being handled have many bytes, no more are read, and the peer is not given up", async () => {
    const waiting: (() => void)[] = [];
    const handler: RequestHandler = () =>
      new Promise((resolve) => waiting.push(() => resolve({ code: CODE.CHANGED, payload: NONE })));
    const streamLimits = { maxRequestBytesPerConnection: 15_000 };
    const { peer, clock } = await greeted(handler, { streamLimits });
    peer.send(NONE, { code: SIGNAL.CSM, options: [option(4)] });
    const payload = new Uint8Array(6000);
    for (let index = 0; index < 10; index++) peer.send(Uint8Array.of(index), { code: METHOD.POST, payload });
    await clock.advance(200_000);
    expect(waiting).toHaveLength(3);
    for (let handled = 0; handled < 10; handled++) {
      expect(waiting).toHaveLength(Math.min(10, 3 + handled) - handled);
      waiting.shift()?.();
      await clock.advance(5);
    }
    expect(codes(peer)).toEqual(Array.from({ length: 10 }, () => CODE.CHANGED));
  });

  test("large messages of many connections at one moment leave time for a small one that comes after them", async () => {
    const received: string[] = [];
    const handler: RequestHandler = ({ path }) => {
      received.push(path.join("/"));
      return { code: CODE.CHANGED, payload: NONE };
    };
    const { clock, rawPeer } = serveStreams(handler, { messageMs: 3 });
    const opening = Array.from({ length: 21 }, () => rawPeer());
    await clock.advance(10);
    const peers = await Promise.all(opening);
    for (const peer of peers) peer.send(NONE, { code: SIGNAL.CSM, options: [option(4)] });
    await clock.advance(1000);
    const payload = new Uint8Array(30_000);
    for (const [at, peer] of peers.entries()) {
      const isLarge = at < 20;
      const path = stringOption(11, isLarge ? "large" : "small");
      peer.send(T, { code: METHOD.POST, options: [path], payload: isLarge ? payload : NONE });
    }
    await clock.advance(1000);
    expect(received).toHaveLength(21);
    expect(received.indexOf("small")).toBeLessThan(5);
  });

  test("an observer is pinged when silent, and given up without an answer; idle connections are released", async () => {
    const closed: string[] = [];
    const handler: RequestHandler = () => ({
      ...hello(),
      observation: { attach: () => ({ next: () => null, closed: (reason) => closed.push(reason) }) },
    });
    const { peer, clock, counters, rawPeer } = await greeted(handler);
    peer.send(NONE, { code: SIGNAL.CSM });
    peer.send(T, { code: METHOD.GET, options: [option(6)] });
    const opening = rawPeer();
    await clock.advance(50);
    const idle = await opening;
    idle.send(NONE, { code: SIGNAL.CSM });
    await clock.advance(46_000);
    expect(codes(peer)).toEqual([CODE.CONTENT, SIGNAL.PING]);
    await clock.advance(31_000);
    expect(peer.socket.isClosed).toBe(true);
    expect(closed).toEqual(["closed"]);
    expect(counters.rejected.get("keep-alive-timeout")).toBe(1);
    expect(idle.socket.isClosed).toBe(false);
    await clock.advance(300_000);
    expect(codes(idle)).toEqual([SIGNAL.CSM, SIGNAL.RELEASE]);
    expect(idle.socket.isClosed).toBe(true);
  });
});
