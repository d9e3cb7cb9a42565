import { describe, expect, test } from "vitest";
import { CODE, METHOD } from "./constants.js";
import { ACK, hello, later, NON, text } from "./testing/greeting-server.js";
import { serveEndpoint } from "./testing/served-endpoint.js";

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
