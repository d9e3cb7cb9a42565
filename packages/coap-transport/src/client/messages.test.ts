import { describe, expect, test } from "vitest";
import { CODE, OPTION } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import { ACK, ask, CON, NON, RST, SERVER, SERVER_URI, text } from "../testing/asking-client.js";
import { createRawPeer } from "../testing/raw-peer.js";
import { ENDPOINT_ADDRESS, ENDPOINT_PORT } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import { createCoapEndpoint } from "../udp/endpoint.js";

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

describe("RFC 7252 section 4.7: confirmable messages in transit to one peer", () => {
  test.each([
    { name: "one to a peer that is not configured", isConfigured: false, inTransit: 1 },
    { name: "as many as are allowed to a configured one", isConfigured: true, inTransit: 2 },
  ])("$name; the rest waits, and another peer is not concerned", async ({ isConfigured, inTransit }) => {
    const options = { limits: { maxOutstandingPerPeer: 2 }, isConfigured: () => isConfigured };
    const { clock, endpoint, server, peer, request, reply } = ask(options);
    const other = peer("2001:db8::3", 5683);
    const outcomes = [1, 2, 3, 4, 5].map(() => request());
    void endpoint.request({ method: 1, uri: "coap://[2001:db8::3]/" }).catch(() => {});
    await clock.advance(5);
    expect([server.inbox.length, other.inbox.length]).toEqual([inTransit, 1]);
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
