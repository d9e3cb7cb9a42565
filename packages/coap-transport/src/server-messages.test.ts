import { describe, expect, test } from "vitest";
import { CODE, MESSAGE_TYPE, METHOD, OPTION } from "./constants.js";
import { encodeUint, uintOption } from "./option-values.js";
import { errorResponse } from "./outgoing-response.js";
import { serveEndpoint } from "./testing/served-endpoint.js";
import type { ServerRequest, ServerResponse } from "./types.js";

const { CON, NON, ACK, RST } = MESSAGE_TYPE;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const hello = (): ServerResponse => ({ code: CODE.CONTENT, contentFormat: 0, payload: Buffer.from("hello") });

function later(ms: number, clock: { setTimer(ms: number, call: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => clock.setTimer(ms, () => resolve()));
}

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

describe("RFC 7252 section 4.5: duplicates", () => {
  function counting(options: { lifetimeMs?: number; maxDeduplication?: number } = {}) {
    let calls = 0;
    const served = serveEndpoint({
      handler: () => ({ code: CODE.CHANGED, payload: Buffer.from(String(++calls)) }),
      parameters: { exchangeLifetimeMs: options.lifetimeMs ?? 247_000 },
      limits: { maxDeduplication: options.maxDeduplication ?? 100 },
    });
    return { ...served, calls: () => calls };
  }

  test("SEC-11 COA-01 a repeated confirmable request is executed once and answered alike", async () => {
    const { clock, peer, calls, endpoint } = counting();
    const client = peer();
    for (const _ of [1, 2, 3]) client.send({ code: METHOD.POST, messageId: 77, token: [1] });
    await clock.advance(10);
    expect(client.inbox.map((message) => text(message.payload))).toEqual(["1", "1", "1"]);
    expect(calls()).toBe(1);
    expect(endpoint.counters.duplicates).toBe(2);
  });

  test("SEC-11 the same message id from another peer, or port, is another request", async () => {
    const { clock, peer, calls } = counting();
    for (const [address, port] of [
      ["2001:db8::2", 1],
      ["2001:db8::2", 2],
      ["2001:db8::3", 1],
    ] as const) {
      peer(address, port).send({ code: METHOD.POST, messageId: 77 });
    }
    await clock.advance(10);
    expect(calls()).toBe(3);
  });

  test("a repeated non-confirmable request is ignored", async () => {
    const { clock, peer, calls } = counting();
    const client = peer();
    for (const _ of [1, 2]) client.send({ type: NON, code: METHOD.POST, messageId: 77 });
    await clock.advance(10);
    expect(calls()).toBe(1);
    expect(client.inbox).toHaveLength(1);
  });

  test("SEC-11 a message id may come again after EXCHANGE_LIFETIME, not a millisecond before", async () => {
    const { clock, peer, calls } = counting({ lifetimeMs: 1000 });
    const client = peer();
    client.send({ messageId: 77 });
    await clock.advance(999);
    client.send({ messageId: 77 });
    await clock.advance(1);
    expect(calls()).toBe(1);
    client.send({ messageId: 77 });
    await clock.advance(2);
    expect(calls()).toBe(2);
  });

  test("a peer that reuses a message id for another request too early gets the answer to that", async () => {
    const { clock, peer, calls } = counting();
    const client = peer();
    client.send({ messageId: 77, token: [1] });
    client.send({ messageId: 77, token: [2] });
    await clock.advance(10);
    expect(client.inbox.map((message) => [...message.token])).toEqual([[1], [2]]);
    expect(calls()).toBe(2);
  });

  test("the table is bounded: the oldest message is forgotten first", async () => {
    const { clock, peer, calls } = counting({ maxDeduplication: 3 });
    const client = peer();
    for (const messageId of [1, 2, 3, 4, 4, 3, 2, 1]) client.send({ messageId });
    await clock.advance(10);
    expect(calls()).toBe(5);
  });

  test("SEC-11 a duplicate of a request still being handled is acknowledged once that was, and not executed", async () => {
    let calls = 0;
    const { clock, peer } = serveEndpoint({
      handler: async () => {
        calls++;
        await later(5000, clock);
        return hello();
      },
    });
    const client = peer();
    client.send({ messageId: 3 });
    client.send({ messageId: 3 });
    await clock.advance(300);
    expect(client.inbox.map((message) => message.type)).toEqual([ACK]);
    client.send({ messageId: 3 });
    await clock.advance(10);
    expect(client.inbox.map((message) => message.type)).toEqual([ACK, ACK]);
    expect(calls).toBe(1);
  });
});

describe("RFC 7252 section 5.4: options", () => {
  test.each([
    { name: "unknown critical", options: [{ number: 65_001, value: Uint8Array.of(1) }], code: CODE.BAD_OPTION },
    { name: "OSCORE", options: [{ number: 9, value: Uint8Array.of(1) }], code: CODE.BAD_OPTION },
    { name: "repeated Accept", options: [uintOption(17, 40), uintOption(17, 50)], code: CODE.BAD_OPTION },
    { name: "Accept of 3 bytes", options: [{ number: 17, value: new Uint8Array(3) }], code: CODE.BAD_OPTION },
    { name: "Block2 of 4 bytes", options: [{ number: 23, value: new Uint8Array(4) }], code: CODE.BAD_OPTION },
    { name: "If-None-Match with a value", options: [{ number: 5, value: Uint8Array.of(1) }], code: CODE.BAD_OPTION },
    { name: "empty Uri-Host", options: [{ number: 3, value: new Uint8Array(0) }], code: CODE.BAD_OPTION },
    { name: "Uri-Path of 256 bytes", options: [{ number: 11, value: new Uint8Array(256) }], code: CODE.BAD_OPTION },
    {
      name: "Uri-Path that is not UTF-8",
      options: [{ number: 11, value: Uint8Array.of(0xff) }],
      code: CODE.BAD_REQUEST,
    },
    {
      name: "Uri-Query that is not UTF-8",
      options: [{ number: 15, value: Uint8Array.of(0xc3) }],
      code: CODE.BAD_REQUEST,
    },
    { name: "Hop-Limit 0", options: [{ number: 16, value: Uint8Array.of(0) }], code: CODE.BAD_REQUEST },
    {
      name: "Proxy-Uri",
      options: [{ number: 35, value: Buffer.from("coap://x/") }],
      code: CODE.PROXYING_NOT_SUPPORTED,
    },
    { name: "Proxy-Scheme", options: [{ number: 39, value: Buffer.from("coap") }], code: CODE.PROXYING_NOT_SUPPORTED },
    { name: "unknown elective", options: [{ number: 65_000, value: Uint8Array.of(1) }], code: CODE.CONTENT },
    {
      name: "Uri-Host and Uri-Port",
      options: [{ number: 3, value: Buffer.from("rd.example") }, uintOption(7, 5683)],
      code: CODE.CONTENT,
    },
    { name: "If-Match", options: [{ number: 1, value: Uint8Array.of(1) }], code: CODE.CONTENT },
    { name: "Content-Format of 3 bytes", options: [{ number: 12, value: new Uint8Array(3) }], code: CODE.CONTENT },
    { name: "ETag of 9 bytes", options: [{ number: 4, value: new Uint8Array(9) }], code: CODE.CONTENT },
    { name: "Observe 2", options: [uintOption(6, 2)], code: CODE.CONTENT },
  ])("REG-31 COA-03 COA-09 $name", async ({ options, code }) => {
    const { clock, peer } = serveEndpoint({ handler: hello });
    const client = peer();
    client.send({ options });
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: ACK, code });
  });

  test("a non-confirmable request with an unknown critical option is ignored", async () => {
    const { clock, peer, endpoint } = serveEndpoint({ handler: hello });
    const client = peer();
    client.send({ type: NON, options: [{ number: 65_001, value: Uint8Array.of(1) }] });
    await clock.advance(10_000);
    expect(client.inbox).toHaveLength(0);
    expect(endpoint.counters.rejected.get("unknown-critical-option")).toBe(1);
  });

  test("LKP-36 the handler sees decoded options; percent signs are literal", async () => {
    let seen: ServerRequest | null = null;
    const { clock, peer } = serveEndpoint({
      handler: (request) => {
        seen = request;
        return hello();
      },
    });
    peer().send({
      code: METHOD.POST,
      path: "/rd",
      query: ["ep=n%201", "d=a&b", "ü=ß"],
      options: [
        { number: OPTION.URI_PATH, value: Buffer.from("a/b") },
        { number: OPTION.URI_PATH, value: new Uint8Array(0) },
        { number: OPTION.URI_HOST, value: Buffer.from("rd.example") },
        uintOption(OPTION.URI_PORT, 5684),
        uintOption(OPTION.CONTENT_FORMAT, 40),
        uintOption(OPTION.ACCEPT, 51),
        uintOption(OPTION.HOP_LIMIT, 16),
        { number: OPTION.ETAG, value: Uint8Array.of(0xff, 0x80) },
        { number: OPTION.ETAG, value: Uint8Array.of(1) },
        { number: OPTION.ECHO, value: Uint8Array.of(7) },
      ],
      payload: "</x>",
    });
    await clock.advance(10);
    expect(seen).toMatchObject({
      method: METHOD.POST,
      path: ["rd", "a/b", ""],
      query: ["ep=n%201", "d=a&b", "ü=ß"],
      uriHost: "rd.example",
      uriPort: 5684,
      contentFormat: 40,
      accept: 51,
      hopLimit: 16,
      isMulticast: false,
      scheme: "coap",
      local: { address: "2001:db8::1", port: 5683 },
      peer: { transport: "udp", address: "2001:db8::2", port: 40_000 },
    });
    const request = seen as ServerRequest | null;
    expect(request?.etags.map((etag) => [...etag])).toEqual([[0xff, 0x80], [1]]);
    expect([...(request?.echo ?? [])]).toEqual([7]);
    expect(request?.options).toHaveLength(14);
    expect(text(request?.payload ?? new Uint8Array(0))).toBe("</x>");
  });

  test("a link-local peer is given with its zone apart, and answered there", async () => {
    let zone: string | undefined;
    const { clock, peer } = serveEndpoint({
      handler: (request) => {
        zone = request.peer.zone;
        return { code: CODE.CONTENT, payload: Buffer.from(request.peer.address) };
      },
    });
    const client = peer("fe80::2%eth0");
    client.send({});
    await clock.advance(10);
    expect(text(client.take().payload)).toBe("fe80::2");
    expect(zone).toBe("eth0");
  });

  test("all fields of an answer become options, in order", async () => {
    const { clock, peer } = serveEndpoint({
      handler: () => ({
        code: CODE.CREATED,
        etag: Uint8Array.of(1),
        locationPath: ["reg", "42"],
        locationQuery: ["a=b"],
        contentFormat: 0,
        maxAgeS: 300,
        echo: Uint8Array.of(5),
        options: [
          { number: 65_000, value: Uint8Array.of(9) },
          { number: 13, value: Uint8Array.of(8) },
        ],
      }),
    });
    const client = peer();
    client.send({ code: METHOD.POST });
    await clock.advance(10);
    const seen = client.take().options.map(({ number, value }) => [number, Buffer.from(value).toString("hex")]);
    expect(seen).toEqual([
      [4, "01"],
      [8, "726567"],
      [8, "3432"],
      [12, ""],
      [13, "08"],
      [14, "012c"],
      [20, "613d62"],
      [252, "05"],
      [65_000, "09"],
    ]);
  });

  test.each([
    { name: "2.05, not wanted", value: 2, code: CODE.CONTENT, isSent: false },
    { name: "2.05, errors not wanted", value: 24, code: CODE.CONTENT, isSent: true },
    { name: "4.04, not wanted", value: 8, code: CODE.NOT_FOUND, isSent: false },
    { name: "5.00, not wanted", value: 16, code: CODE.INTERNAL, isSent: false },
    { name: "5.00, all else not wanted", value: 10, code: CODE.INTERNAL, isSent: true },
    { name: "2.05, everything wanted", value: 0, code: CODE.CONTENT, isSent: true },
  ])("COA-09 No-Response: $name", async ({ value, code, isSent }) => {
    const { clock, peer } = serveEndpoint({ handler: () => ({ code }) });
    const client = peer();
    const options = [{ number: OPTION.NO_RESPONSE, value: encodeUint(value) }];
    client.send({ options });
    client.send({ options, type: NON });
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: ACK, code: isSent ? code : 0 });
    expect(client.inbox).toHaveLength(isSent ? 1 : 0);
  });

  test("an unknown method is 4.05", async () => {
    const { clock, peer } = serveEndpoint({ handler: hello });
    const client = peer();
    client.send({ code: 8 });
    await clock.advance(10);
    expect(client.take().code).toBe(CODE.METHOD_NOT_ALLOWED);
  });
});

describe("RFC 7252 section 8: multicast", () => {
  function multicast(handler: () => ServerResponse) {
    const served = serveEndpoint({ handler });
    const socket = served.network.open("2001:db8::9", 7000);
    const answers: { atMs: number; from: string; bytes: Uint8Array }[] = [];
    socket.onDatagram = (bytes, from) => answers.push({ atMs: served.clock.nowMs(), from: from.address, bytes });
    const send = (hex: string): void =>
      socket.send(Uint8Array.from(Buffer.from(hex, "hex")), { address: "ff02::fd", port: 5683 });
    return { ...served, answers, send };
  }

  test("DIS-08 a hit is answered NON, from the unicast address, after a random time within Leisure", async () => {
    const { clock, answers, send } = multicast(hello);
    for (let messageId = 0; messageId < 40; messageId++) send(`5101${messageId.toString(16).padStart(4, "0")}07`);
    await clock.advance(5010);
    expect(answers).toHaveLength(40);
    expect(new Set(answers.map((answer) => answer.from))).toEqual(new Set(["2001:db8::1"]));
    expect(new Set(answers.map((answer) => answer.bytes[0]))).toEqual(new Set([0x51]));
    const times = answers.map((answer) => answer.atMs);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(2000);
  });

  test("DIS-07 a confirmable multicast request gets neither ACK nor RST", async () => {
    let calls = 0;
    const { clock, answers, send } = multicast(() => {
      calls++;
      return hello();
    });
    send("41010001" + "07");
    send("40000002"); // ping
    send("49010003010203040506070809"); // malformed
    await clock.advance(20_000);
    expect(answers).toHaveLength(0);
    expect(calls).toBe(0);
  });

  test.each([
    { name: "an error", response: errorResponse(CODE.NOT_FOUND, "nothing here") },
    { name: "an empty match", response: { code: CODE.CONTENT, contentFormat: 40 } },
  ])("DIS-06 $name is not answered", async ({ response }) => {
    const { clock, answers, send } = multicast(() => response);
    send("5101000107");
    await clock.advance(20_000);
    expect(answers).toHaveLength(0);
  });

  test("DIS-06 neither is an unknown critical option", async () => {
    const { clock, answers, send } = multicast(hello);
    send("51010001" + "07" + "90");
    await clock.advance(20_000);
    expect(answers).toHaveLength(0);
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

test("close does not wait longer than told, and twice is once", async () => {
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
