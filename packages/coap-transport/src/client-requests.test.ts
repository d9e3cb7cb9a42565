import { describe, expect, test } from "vitest";
import { createCoapEndpoint } from "./coap-endpoint.js";
import { CODE, MESSAGE_TYPE, METHOD, OPTION } from "./constants.js";
import type { UdpMessage } from "./message-codec.js";
import { stringOption, uintOption } from "./option-values.js";
import { createRawPeer, type RawMessage } from "./testing/raw-peer.js";
import { ENDPOINT_ADDRESS, ENDPOINT_PORT, serveEndpoint } from "./testing/served-endpoint.js";
import { createVirtualWorld } from "./testing/virtual-world.js";
import type { ClientRequest, ClientResponse, RequestControl } from "./types.js";

const { CON, NON, ACK, RST } = MESSAGE_TYPE;
const SERVER = "2001:db8::2";
const SERVER_URI = `coap://[${SERVER}]`;
const text = (response: { payload: Uint8Array } | null): string => Buffer.from(response?.payload ?? []).toString();

/** A client, and a server that does what the test says. */
function ask(options: Parameters<typeof serveEndpoint>[0] = {}) {
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

describe("RFC 7252 section 4.2: retransmission", () => {
  test("COA-01 four retransmissions, each after twice the time, then TIMEOUT", async () => {
    const { clock, server, request, endpoint } = ask();
    const times: number[] = [];
    server.onMessage = () => times.push(clock.nowMs());
    const outcome = request();
    await clock.advance(100_000);
    expect(times).toHaveLength(5);
    expect(new Set(server.inbox.map((message) => message.messageId)).size).toBe(1);
    const first = (times[1] ?? 0) - (times[0] ?? 0);
    expect(first).toBeGreaterThanOrEqual(2000);
    expect(first).toBeLessThanOrEqual(3000);
    expect(outcome.error?.code).toBe("TIMEOUT");
    expect(outcome.atMs).toBeCloseTo(31 * first, 3);
    expect(endpoint.counters.retransmitted).toBe(4);
    expect(clock.pending).toBe(0);
  });

  test("parameters are per endpoint", async () => {
    const { clock, request } = ask({ parameters: { ackTimeoutMs: 100, ackRandomFactor: 1, maxRetransmit: 1 } });
    const outcome = request();
    await clock.advance(1000);
    expect(outcome).toMatchObject({ atMs: 300, error: { code: "TIMEOUT" } });
  });

  test("COA-01 a lost answer is asked for again", async () => {
    const { clock, network, server, request, reply } = ask();
    let lost = 1;
    network.filter = (from) => from.address !== SERVER || lost-- <= 0;
    server.onMessage = (message) => reply(message, { payload: "late" });
    const outcome = request();
    await clock.advance(5000);
    expect(text(outcome.response)).toBe("late");
    expect(server.inbox).toHaveLength(2);
  });

  test("COA-01 an empty ACK stops retransmission; the separate answer is acknowledged, its repetition too", async () => {
    const { clock, server, request, reply } = ask();
    const outcome = request();
    await clock.advance(5);
    const sent = server.take();
    server.acknowledge(sent.messageId);
    await clock.advance(60_000);
    expect(server.inbox).toHaveLength(0);
    for (const _ of [1, 2]) reply(sent, { type: CON, messageId: 4711, payload: "separate" });
    await clock.advance(5);
    expect(text(outcome.response)).toBe("separate");
    expect(server.inbox.map(({ type, messageId, code }) => [type, messageId, code])).toEqual([
      [ACK, 4711, 0],
      [ACK, 4711, 0],
    ]);
  });

  test("a separate answer that overtakes the ACK is taken", async () => {
    const { clock, server, request, reply } = ask();
    const outcome = request();
    await clock.advance(5);
    reply(server.take(), { type: NON, messageId: 5, payload: "first" });
    await clock.advance(10_000);
    expect(text(outcome.response)).toBe("first");
    expect(server.inbox).toHaveLength(0);
  });

  test("acknowledged, but never answered: TIMEOUT 93 s after asking", async () => {
    const { clock, server, request } = ask();
    const outcome = request();
    await clock.advance(5);
    server.acknowledge(server.take().messageId);
    await clock.advance(100_000);
    expect(outcome).toMatchObject({ atMs: 93_000, error: { code: "TIMEOUT" } });
  });

  test("COA-01 RST ends it", async () => {
    const { clock, server, request } = ask();
    const outcome = request();
    await clock.advance(5);
    server.reset(server.take().messageId);
    await clock.advance(5);
    expect(outcome.error?.code).toBe("RESET");
  });
});

describe("RFC 7252 section 5.3: matching", () => {
  test("an answer from another address or port is rejected, whatever its token", async () => {
    const { clock, network, server, request, reply } = ask();
    const outcome = request();
    await clock.advance(5);
    const sent = server.take();
    for (const [address, port] of [
      ["2001:db8::3", 5683],
      [SERVER, 5684],
    ] as const) {
      const other = createRawPeer(network.open(address, port), { address: ENDPOINT_ADDRESS, port: ENDPOINT_PORT });
      other.send({ type: CON, code: CODE.CONTENT, messageId: 1, token: sent.token, payload: "forged" });
      other.send({ type: ACK, code: CODE.CONTENT, messageId: sent.messageId, token: sent.token, payload: "forged" });
      await clock.advance(5);
      expect(other.inbox.map(({ type, messageId }) => [type, messageId])).toEqual([[RST, 1]]);
    }
    expect(outcome.response).toBeNull();
    reply(sent, { payload: "true" });
    await clock.advance(5);
    expect(text(outcome.response)).toBe("true");
  });

  test("an answer with another token is not taken", async () => {
    const { clock, server, request, reply } = ask();
    const outcome = request();
    await clock.advance(5);
    reply(server.take(), { token: [1, 2, 3, 4], payload: "wrong" });
    await clock.advance(5);
    expect(outcome.response).toBeNull();
  });

  test("the answer to a request that was given up is rejected", async () => {
    const { clock, server, request, reply } = ask();
    request({}, { timeoutMs: 10 });
    await clock.advance(20);
    reply(server.take(), { type: CON, messageId: 77 });
    await clock.advance(5);
    expect(server.take()).toMatchObject({ type: RST, messageId: 77 });
  });

  test("message ids are of each peer: the same one from two peers is no duplicate", async () => {
    const { clock, endpoint, peer } = ask();
    const servers = [peer("2001:db8::a", 5683), peer("2001:db8::b", 5683)];
    const answers: string[] = [];
    for (const server of servers) {
      const uri = `coap://[${server.local.address}]/`;
      endpoint.request({ method: 1, uri }).then(
        (response) => answers.push(text(response)),
        () => {},
      );
    }
    await clock.advance(5);
    for (const server of servers) {
      const { token } = server.take();
      server.send({ type: CON, code: CODE.CONTENT, messageId: 1, token, payload: server.local.address });
    }
    await clock.advance(5);
    expect(answers).toEqual(["2001:db8::a", "2001:db8::b"]);
  });

  test.each([
    { name: "unknown critical option", options: [uintOption(65_001, 1)] },
    { name: "Block2 of 4 bytes", options: [{ number: OPTION.BLOCK2, value: new Uint8Array(4) }] },
    { name: "two Block2", options: [uintOption(OPTION.BLOCK2, 0), uintOption(OPTION.BLOCK2, 16)] },
  ])("section 5.4.1 a response with $name is rejected", async ({ options }) => {
    const { clock, server, request, reply } = ask();
    const outcome = request();
    await clock.advance(5);
    reply(server.take(), { type: CON, messageId: 9, options });
    await clock.advance(5);
    expect(outcome.error?.code).toBe("MALFORMED");
    expect(server.take()).toMatchObject({ type: RST, messageId: 9 });
  });

  test("70,000 requests one after another: message ids wrap, no answer is mixed up", async () => {
    const world = createVirtualWorld();
    const server = createCoapEndpoint(
      { socket: world.network.open(SERVER, 5683), env: world.env },
      { handler: (request) => ({ code: CODE.CONTENT, payload: Buffer.from(request.query[0] ?? "") }) },
    );
    const client = createCoapEndpoint({ socket: world.network.open(ENDPOINT_ADDRESS, 0), env: world.env });
    let next = 0;
    let wrong = 0;
    const worker = async (): Promise<void> => {
      while (next < 70_000) {
        const query = String(next++);
        const response = await client.request({ method: 1, uri: SERVER_URI, query: [query] });
        if (text(response) !== query) wrong++;
      }
    };
    const done = Promise.all(Array.from({ length: 200 }, worker));
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    await world.clock.runUntil(() => isDone);
    expect([next, wrong, server.counters.duplicates]).toEqual([70_000, 0, 0]);
  }, 60_000);
});

describe("RFC 7252 section 4.7: messages under way to one peer", () => {
  test("no more than allowed; the rest waits, and another peer is not concerned", async () => {
    const { clock, endpoint, server, peer, request, reply } = ask({ limits: { maxOutstandingPerPeer: 2 } });
    const other = peer("2001:db8::3", 5683);
    const outcomes = [1, 2, 3, 4, 5].map(() => request());
    void endpoint.request({ method: 1, uri: "coap://[2001:db8::3]/" }).catch(() => {});
    await clock.advance(5);
    expect([server.inbox.length, other.inbox.length]).toEqual([2, 1]);
    server.onMessage = (message) => reply(message);
    for (const sent of server.inbox.splice(0)) reply(sent);
    await clock.advance(50);
    expect(outcomes.every((outcome) => outcome.response !== null)).toBe(true);
  });

  test("one that is aborted while it waits is never sent", async () => {
    const { clock, server, request } = ask({ limits: { maxOutstandingPerPeer: 1 } });
    const abort = new AbortController();
    request();
    const waiting = request({}, { signal: abort.signal });
    await clock.advance(5);
    abort.abort();
    await clock.advance(5);
    server.reset(server.take().messageId);
    await clock.advance(5);
    expect(waiting.error?.code).toBe("ABORTED");
    expect(server.inbox).toHaveLength(0);
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
