import { describe, expect, test } from "vitest";
import { CODE, OPTION } from "../message/codes.js";
import { ACK, CON, hello, later, NON, RST, text } from "../testing/greeting-server.js";
import { serveEndpoint } from "../testing/served-endpoint.js";

describe("RFC 7252 section 5.2: which message answers which", () => {
  test("COA-02 a confirmable request is answered on its ACK, with its token", async () => {
    const { clock, peer } = serveEndpoint({ handler: hello });
    const client = peer();
    client.send({ messageId: 7, token: [1, 2, 3, 4, 5, 6, 7, 8], path: "/x" });
    await clock.advance(10);
    const answer = client.take();
    expect(answer).toMatchObject({ type: ACK, messageId: 7, code: CODE.CONTENT });
    expect([...answer.token]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(text(answer.payload)).toBe("hello");
  });

  test("COA-02 no token is a token too", async () => {
    const { clock, peer } = serveEndpoint({ handler: hello });
    const client = peer();
    client.send({ token: [] });
    await clock.advance(10);
    expect(client.take().token).toHaveLength(0);
  });

  test("a non-confirmable request gets a non-confirmable answer with a message id of the server's", async () => {
    const { clock, peer } = serveEndpoint({ handler: hello });
    const client = peer();
    client.send({ type: NON, token: [9] });
    client.send({ type: NON, token: [9] });
    await clock.advance(10);
    const [one, other] = [client.take(), client.take()];
    expect(one).toMatchObject({ type: NON, code: CODE.CONTENT });
    expect(other.messageId).toBe((one.messageId + 1) % 65_536);
  });

  test("a handler that takes 199 ms answers on the ACK, one of 200 ms separately, confirmable", async () => {
    const { clock, peer } = serveEndpoint({
      handler: async (request) => {
        await later(Number(request.query[0]), clock);
        return hello();
      },
    });
    const client = peer();
    client.send({ messageId: 1, query: ["199"], token: [1] });
    client.send({ messageId: 2, query: ["201"], token: [2] });
    await clock.advance(198);
    expect(client.inbox).toHaveLength(0);
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: ACK, messageId: 1, code: CODE.CONTENT });
    expect(client.take()).toMatchObject({ type: ACK, messageId: 2, code: 0 });
    const separate = client.take();
    expect(separate).toMatchObject({ type: CON, code: CODE.CONTENT });
    expect([...separate.token]).toEqual([2]);
    client.acknowledge(separate.messageId);
    await clock.advance(100_000);
    expect(client.inbox).toHaveLength(0);
  });

  test("COA-01 a separate answer is sent again, four times, with growing pauses, until acknowledged", async () => {
    const { clock, peer } = serveEndpoint({
      handler: async () => {
        await later(300, clock);
        return hello();
      },
    });
    const client = peer();
    const times: number[] = [];
    client.onMessage = () => times.push(clock.nowMs());
    client.send({});
    await clock.advance(200_000);
    const separate = client.inbox.filter((message) => message.type === CON);
    expect(separate).toHaveLength(5);
    expect(new Set(separate.map((message) => message.messageId)).size).toBe(1);
    const pauses = times.slice(2).map((time, index) => time - (times[index + 1] ?? 0));
    const first = pauses[0] ?? 0;
    expect(first).toBeGreaterThanOrEqual(2000);
    expect(first).toBeLessThanOrEqual(3000);
    expect(pauses.map((pause) => Math.round(pause / first))).toEqual([1, 2, 4, 8]);
  });

  test("a handler that throws gives 5.00 without its secrets, and the next request is served", async () => {
    let isFirst = true;
    const { clock, peer } = serveEndpoint({
      handler: () => {
        if (!isFirst) return hello();
        isFirst = false;
        throw new Error("the password is swordfish");
      },
    });
    const client = peer();
    client.send({});
    client.send({});
    await clock.advance(10);
    const failure = client.take();
    expect(failure.code).toBe(CODE.INTERNAL);
    expect(text(failure.payload)).not.toContain("swordfish");
    expect(client.take().code).toBe(CODE.CONTENT);
  });

  test("a handler whose promise rejects gives 5.00", async () => {
    const { clock, peer } = serveEndpoint({ handler: () => Promise.reject(new Error("no")) });
    const client = peer();
    client.send({});
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: ACK, code: CODE.INTERNAL });
  });

  test("beyond maxExchanges requests at once the answer is 5.03 with Max-Age", async () => {
    const { clock, peer, endpoint } = serveEndpoint({
      handler: () => new Promise(() => {}),
      limits: { maxExchanges: 2 },
    });
    const client = peer();
    for (const _ of [1, 2, 3]) client.send({});
    await clock.advance(10);
    const busy = client.take();
    expect(busy.code).toBe(CODE.UNAVAILABLE);
    expect(busy.options.map((option) => option.number)).toEqual([OPTION.MAX_AGE]);
    expect(endpoint.counters.rejected.get("overload")).toBe(1);
  });
});

describe("RFC 7252 section 4: messages that are not requests", () => {
  test.each([
    { name: "a ping", hex: "40 00 1234", want: "70001234" },
    { name: "a token of 9 bytes", hex: "49 01 1234 010203040506070809", want: "70001234" },
    { name: "a cut option", hex: "40 01 1234 b5 61", want: "70001234" },
    { name: "a marker without payload", hex: "40 01 1234 ff", want: "70001234" },
    { name: "a ping with a payload", hex: "40 00 1234 ff 61", want: "70001234" },
    { name: "class 1", hex: "40 21 1234", want: "70001234" },
    { name: "class 3", hex: "40 61 1234", want: "70001234" },
    { name: "class 6", hex: "40 c1 1234", want: "70001234" },
    { name: "class 7", hex: "40 e1 1234", want: "70001234" },
    { name: "a response nobody waits for", hex: "40 45 1234", want: "70001234" },
    { name: "a non-confirmable response nobody waits for", hex: "50 45 1234", want: "70001234" },
    { name: "version 0", hex: "00 01 1234", want: null },
    { name: "version 2", hex: "80 01 1234", want: null },
    { name: "two bytes", hex: "40 01", want: null },
    { name: "a cut option, non-confirmable", hex: "50 01 1234 b5 61", want: null },
    { name: "a cut option in an ACK", hex: "60 01 1234 b5 61", want: null },
    { name: "a request in an ACK", hex: "60 01 1234", want: null },
    { name: "a request in an RST", hex: "70 01 1234", want: null },
    { name: "an Empty NON", hex: "50 00 1234", want: null },
    { name: "an ACK of nothing", hex: "60 00 1234", want: null },
    { name: "an RST of nothing", hex: "70 00 1234", want: null },
    { name: "a response in an ACK of nothing", hex: "60 45 1234", want: null },
  ])("COA-01 COA-02 $name: $want", async ({ hex, want }) => {
    let calls = 0;
    const { clock, network, peer } = serveEndpoint({
      handler: () => {
        calls++;
        return hello();
      },
    });
    const answers: string[] = [];
    network.onEvent = ({ fate, to, datagram }) => {
      if (fate === "delivered" && to.port === 40_000) answers.push(Buffer.from(datagram).toString("hex"));
    };
    peer().sendBytes(hex);
    await clock.advance(1000);
    expect(answers).toEqual(want === null ? [] : [want]);
    expect(calls).toBe(0);
  });

  test("without a handler a confirmable request is rejected, another ignored", async () => {
    const { clock, peer } = serveEndpoint({});
    const client = peer();
    client.send({ messageId: 5 });
    client.send({ messageId: 6, type: NON });
    await clock.advance(100);
    expect(client.inbox).toHaveLength(1);
    expect(client.take()).toMatchObject({ type: RST, messageId: 5, code: 0 });
  });
});

test("close drains: the running request is answered, a new one is not taken", async () => {
  const { clock, peer, endpoint } = serveEndpoint({
    handler: async () => {
      await later(100, clock);
      return hello();
    },
  });
  const client = peer();
  client.send({ messageId: 1 });
  await clock.advance(10);
  let isClosed = false;
  const closed = endpoint.close(1000).then(() => {
    isClosed = true;
  });
  await clock.advance(5);
  client.send({ messageId: 2 });
  await clock.advance(50);
  expect(isClosed).toBe(false);
  await clock.advance(100);
  await closed;
  expect(client.inbox.map((message) => message.messageId)).toEqual([1]);
  expect(clock.pending).toBe(0);
});

test("close does not wait longer than its limit, and twice is once", async () => {
  const { clock, peer, endpoint } = serveEndpoint({ handler: () => new Promise(() => {}) });
  peer().send({});
  await clock.advance(10);
  let isClosed = false;
  void endpoint
    .close(500)
    .then(() => endpoint.close())
    .then(() => {
      isClosed = true;
    });
  await clock.advance(499);
  expect(isClosed).toBe(false);
  await clock.advance(1);
  expect(isClosed).toBe(true);
});
