import { describe, expect, test } from "vitest";
import { CODE, METHOD } from "../message/codes.js";
import { ACK, hello, later, NON, text } from "../testing/greeting-server.js";
import { serveEndpoint } from "../testing/served-endpoint.js";

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

  test("a repeated GET is answered again, as it is now, unless it is being worked at", async () => {
    let calls = 0;
    const { clock, peer } = serveEndpoint({
      handler: ({ path }) => {
        calls++;
        return path[0] === "slow" ? later(500, clock).then(hello) : hello();
      },
    });
    const client = peer();
    for (const _ of [1, 2, 3]) client.send({ messageId: 77, path: "/quick" });
    await clock.advance(10);
    expect(client.inbox.map((message) => text(message.payload))).toEqual(["hello", "hello", "hello"]);
    expect(calls).toBe(3);
    for (const _ of [1, 2, 3]) client.send({ messageId: 78, path: "/slow" });
    await clock.advance(1000);
    expect(calls, "one that takes its time is not begun again").toBe(4);
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
    client.send({ code: METHOD.POST, messageId: 77 });
    await clock.advance(999);
    client.send({ code: METHOD.POST, messageId: 77 });
    await clock.advance(1);
    expect(calls()).toBe(1);
    client.send({ code: METHOD.POST, messageId: 77 });
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
    for (const messageId of [1, 2, 3, 4, 4, 3, 2, 1]) client.send({ code: METHOD.POST, messageId });
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

describe("a remembered response that is not true any more", () => {
  function registering() {
    let calls = 0;
    let isTrue = true;
    let delayMs = 0;
    const respond = () => ({
      code: CODE.CREATED,
      payload: Buffer.from(String(++calls)),
      isStillTrue: ({ hasChangedMore }: { hasChangedMore: boolean }) => isTrue && !hasChangedMore,
    });
    const served = serveEndpoint({
      handler: () => (delayMs === 0 ? respond() : later(delayMs, served.clock).then(respond)),
    });
    const set = (next: { isTrue?: boolean; delayMs?: number }) => {
      isTrue = next.isTrue ?? isTrue;
      delayMs = next.delayMs ?? delayMs;
    };
    return { ...served, set, calls: () => calls };
  }
  const register = { code: METHOD.POST, messageId: 7, token: [1] };
  const texts = (client: { inbox: readonly { payload: Uint8Array }[] }) =>
    client.inbox.map(({ payload }) => text(payload));

  test("a retransmission gets it again as long as it is true", async () => {
    const { clock, peer, calls } = registering();
    const client = peer();
    client.send(register);
    await clock.advance(40_000);
    client.send(register);
    await clock.advance(10);
    expect(texts(client)).toEqual(["1", "1"]);
    expect(calls()).toBe(1);
  });

  test("the same message is executed again once it is not", async () => {
    const { clock, peer, set, calls } = registering();
    const client = peer();
    client.send(register);
    await clock.advance(10);
    set({ isTrue: false });
    client.send(register);
    await clock.advance(10);
    expect(texts(client)).toEqual(["1", "2"]);
    expect(calls()).toBe(2);
  });

  test("and after MAX_TRANSMIT_SPAN, when no client repeats itself any more", async () => {
    const { clock, peer } = registering();
    const client = peer();
    client.send(register);
    await clock.advance(45_100);
    client.send(register);
    await clock.advance(10);
    expect(texts(client)).toEqual(["1", "2"]);
  });

  test("a change that the same client asked for meanwhile is reported to the handler; a GET does not count", async () => {
    const { clock, peer } = registering();
    const client = peer();
    client.send(register);
    client.send({ code: METHOD.GET, messageId: 8 });
    await clock.advance(10);
    client.send(register);
    client.send({ code: METHOD.DELETE, messageId: 9 });
    await clock.advance(10);
    client.send(register);
    await clock.advance(10);
    expect(texts(client)).toEqual(["1", "2", "1", "3", "4"]);
  });

  test("a non-confirmable one is executed again as well", async () => {
    const { clock, peer, set, calls } = registering();
    const client = peer();
    client.send({ ...register, type: NON });
    client.send({ ...register, type: NON });
    await clock.advance(10);
    expect(calls()).toBe(1);
    set({ isTrue: false });
    client.send({ ...register, type: NON });
    await clock.advance(10);
    expect(calls()).toBe(2);
  });

  test("a response that was sent separately comes with the acknowledgement of a duplicate", async () => {
    const { clock, peer, set, calls } = registering();
    const client = peer();
    set({ delayMs: 1000 });
    client.send(register);
    await clock.advance(1500);
    const separate = client.inbox.find(({ payload }) => payload.length > 0);
    client.send({ type: ACK, code: 0, messageId: separate?.messageId ?? 0 });
    client.send(register);
    await clock.advance(10);
    const last = client.inbox.at(-1);
    expect([last?.type, last?.messageId, text(last?.payload ?? Buffer.alloc(0))]).toEqual([ACK, 7, "1"]);
    expect(calls()).toBe(1);
  });
});
