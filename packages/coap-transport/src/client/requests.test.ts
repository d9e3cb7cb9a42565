import { describe, expect, test } from "vitest";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { stringOption, uintOption } from "../message/option-values.js";
import { ACK, ask, CON, NON, RST, SERVER, SERVER_URI, text } from "../testing/asking-client.js";
import { createRawPeer } from "../testing/raw-peer.js";
import { ENDPOINT_ADDRESS } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import { createCoapEndpoint } from "../udp/endpoint.js";

describe("RFC 7252 section 5: asking", () => {
  test("the request as on the wire, and the response to it", async () => {
    const { clock, server, request, reply } = ask();
    const outcome = request({
      method: METHOD.POST,
      uri: `${SERVER_URI}/a%2Fb/?d=x`,
      query: ["a%20b"],
      accept: 40,
      contentFormat: 50,
      etags: [Uint8Array.of(1)],
      hopLimit: 9,
      options: [stringOption(65_000, "z"), uintOption(14, 5)],
      payload: Buffer.from("{}"),
    });
    await clock.advance(5);
    const sent = server.take();
    expect(sent).toMatchObject({ type: CON, code: METHOD.POST });
    expect(sent.token.length).toBeGreaterThanOrEqual(4);
    expect(text(sent)).toBe("{}");
    expect(sent.options.map(({ number, value }) => [number, Buffer.from(value).toString("latin1")])).toEqual([
      [4, "\u0001"],
      [11, "a/b"],
      [11, ""],
      [12, "2"],
      [14, "\u0005"],
      [15, "d=x"],
      [15, "a%20b"],
      [16, "\u0009"],
      [17, "("],
      [65_000, "z"],
    ]);
    reply(sent, {
      code: CODE.CREATED,
      options: [
        stringOption(OPTION.LOCATION_PATH, "reg"),
        stringOption(OPTION.LOCATION_PATH, "1"),
        stringOption(OPTION.LOCATION_QUERY, "q"),
        uintOption(OPTION.CONTENT_FORMAT, 51),
        { number: OPTION.ETAG, value: Uint8Array.of(0xff, 0x80) },
      ],
      payload: "done",
    });
    await clock.advance(5);
    expect(outcome.response).toMatchObject({
      code: CODE.CREATED,
      contentFormat: 51,
      maxAgeS: 60,
      locationPath: ["reg", "1"],
      locationQuery: ["q"],
      peer: { address: SERVER, port: 5683, transport: "udp" },
    });
    expect([...(outcome.response?.etag ?? [])]).toEqual([0xff, 0x80]);
    expect(outcome.response?.wireBytes).toBeGreaterThan(20);
    expect(text(outcome.response)).toBe("done");
    expect(clock.pending).toBe(0);
  });

  test("a name is sent as Uri-Host and resolved; a literal is not", async () => {
    const world = createVirtualWorld();
    const socket = world.network.open(ENDPOINT_ADDRESS, 0);
    const endpoint = createCoapEndpoint({ socket, env: world.env, resolve: async () => "2001:DB8:0::2" });
    const server = createRawPeer(world.network.open(SERVER, 61_616), endpoint.local);
    void endpoint.request({ method: 1, uri: "coap://RD.example:61616/" }).catch(() => {});
    await world.clock.advance(5);
    expect(server.take().options.map(({ number, value }) => [number, Buffer.from(value).toString()])).toEqual([
      [OPTION.URI_HOST, "rd.example"],
    ]);
  });

  test.each([
    { name: "CoAP over TCP, so far", uri: "coap+tcp://[2001:db8::2]/", code: "BAD_URI" },
    { name: "another scheme", uri: "http://[2001:db8::2]/", code: "BAD_URI" },
    { name: "port 0", uri: "coap://[2001:db8::2]:0/", code: "BAD_URI" },
    { name: "a multicast address", uri: "coap://[ff02::fd]/", code: "BAD_URI" },
    { name: "a name without resolver", uri: "coap://rd.example/", code: "BAD_URI" },
  ])("$name: $code", async ({ uri, code }) => {
    const { clock, request } = ask();
    const outcome = request({ uri });
    await clock.advance(1);
    expect(outcome.error).toMatchObject({ name: "TransportError", code });
  });

  test("a name that does not resolve is UNREACHABLE", async () => {
    const world = createVirtualWorld();
    const deps = { socket: world.network.open(ENDPOINT_ADDRESS, 0), env: world.env };
    const endpoint = createCoapEndpoint({ ...deps, resolve: () => Promise.reject(new Error("ENOTFOUND")) });
    await expect(endpoint.request({ method: 1, uri: "coap://x/" })).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  test("error codes are responses", async () => {
    const { clock, server, request, reply } = ask();
    const outcome = request();
    await clock.advance(5);
    reply(server.take(), { code: CODE.NOT_FOUND, payload: "no" });
    await clock.advance(5);
    expect(outcome.response?.code).toBe(CODE.NOT_FOUND);
  });

  test("a non-confirmable request", async () => {
    const { clock, server, request, reply } = ask();
    const outcome = request({ confirmable: false });
    await clock.advance(5);
    const sent = server.take();
    expect(sent.type).toBe(NON);
    reply(sent, { type: NON, messageId: 999, payload: "n" });
    await clock.advance(5);
    expect(text(outcome.response)).toBe("n");
  });

  test("a non-confirmable request is waited for as long as a confirmable one, then TIMEOUT", async () => {
    const { clock, server, request } = ask();
    const outcome = request({ confirmable: false });
    await clock.advance(92_999);
    expect(outcome.error).toBeNull();
    await clock.advance(1);
    expect(outcome.error?.code).toBe("TIMEOUT");
    expect(server.inbox).toHaveLength(1);
  });
});

describe("limits of the caller", () => {
  test("timeoutMs, to the millisecond", async () => {
    const { clock, request } = ask();
    const outcome = request({}, { timeoutMs: 700 });
    await clock.advance(699);
    expect(outcome.error).toBeNull();
    await clock.advance(1);
    expect(outcome.error?.code).toBe("TIMEOUT");
    expect(clock.pending).toBe(0);
  });

  test("an abort, before and during", async () => {
    const { clock, server, request } = ask();
    expect(clock.pending).toBe(0);
    const before = request({}, { signal: AbortSignal.abort(new Error("changed my mind")) });
    await clock.advance(5);
    expect(before.error).toMatchObject({ code: "ABORTED", cause: new Error("changed my mind") });
    expect(server.inbox).toHaveLength(0);
    const abort = new AbortController();
    const during = request({}, { signal: abort.signal });
    await clock.advance(5);
    abort.abort();
    await clock.advance(100_000);
    expect(during.error?.code).toBe("ABORTED");
    expect(server.inbox).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  test("closing ends what is under way, and what comes after", async () => {
    const { clock, endpoint, request } = ask();
    const during = request();
    await clock.advance(5);
    await endpoint.close();
    const after = request();
    await clock.advance(5);
    expect([during.error?.code, after.error?.code]).toEqual(["CLOSED", "CLOSED"]);
    expect(clock.pending).toBe(0);
  });

  test("what the network says of a peer ends requests to that peer, at once", async () => {
    const { clock, network, server, request, endpoint } = ask();
    network.setConditions({ reportsUnreachable: true });
    const outcome = request({ uri: "coap://[2001:db8::dead]/" });
    const other = request();
    await clock.advance(5);
    expect(outcome.error?.code).toBe("UNREACHABLE");
    expect([other.error, server.inbox.length]).toEqual([null, 1]);
    await endpoint.close();
  });
});

describe("RFC 9175: Echo", () => {
  test("LPX-17 a 4.01 with Echo is answered by repeating the request with it, once", async () => {
    const { clock, server, request, reply } = ask();
    const outcome = request({ method: METHOD.POST, payload: Buffer.from("body") });
    await clock.advance(5);
    const first = server.take();
    reply(first, { code: CODE.UNAUTHORIZED, options: [{ number: OPTION.ECHO, value: Uint8Array.of(1, 2) }] });
    await clock.advance(5);
    const second = server.take();
    expect(second.token).not.toEqual(first.token);
    expect(second.options.find((option) => option.number === OPTION.ECHO)?.value).toEqual(Uint8Array.of(1, 2));
    expect(text(second)).toBe("body");
    reply(second, { code: CODE.UNAUTHORIZED, options: [{ number: OPTION.ECHO, value: Uint8Array.of(3) }] });
    await clock.advance(100);
    expect(outcome.response?.code).toBe(CODE.UNAUTHORIZED);
    expect([...(outcome.response?.echo ?? [])]).toEqual([3]);
    expect(server.inbox).toHaveLength(0);
  });
});

describe("RFC 7252 section 4.3: ping", () => {
  test.each([
    { name: "RST", answer: RST },
    { name: "ACK", answer: ACK },
  ])("$name is a sign of life", async ({ answer }) => {
    const { clock, endpoint, server } = ask();
    const alive = endpoint.ping(SERVER_URI);
    await clock.advance(5);
    const ping = server.take();
    expect(ping).toMatchObject({ type: CON, code: 0, wireBytes: 4 });
    if (answer === RST) server.reset(ping.messageId);
    else server.acknowledge(ping.messageId);
    await clock.advance(5);
    expect(await alive).toBe(true);
  });

  test("silence is false", async () => {
    const { clock, endpoint } = ask();
    const alive = endpoint.ping(SERVER_URI, { timeoutMs: 1000 });
    await clock.advance(1000);
    expect(await alive).toBe(false);
    expect(clock.pending).toBe(0);
  });
});
