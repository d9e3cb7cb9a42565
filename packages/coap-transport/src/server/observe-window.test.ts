import { describe, expect, test } from "vitest";
import { blockOption } from "../message/block-option.js";
import { METHOD, OPTION } from "../message/codes.js";
import { content, REGISTER, text } from "../testing/observable-resource.js";
import { serveEndpoint } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import type { ObservationEnd, RequestHandler } from "../types.js";
import { createCoapEndpoint } from "../udp/endpoint.js";

/** A resource with a series of numbered notifications, `size` bytes each. */
function series({ count = 100, size = 8, maxInTransit = 64 } = {}) {
  const delivered: number[] = [];
  const ends: ObservationEnd[] = [];
  let sent = 0;
  let acknowledged = 0;
  const handler: RequestHandler = () => ({
    ...content("start"),
    observation: {
      attach(observer) {
        observer.wake();
        return {
          maxInTransit,
          next: () => (sent === count ? null : content(String(sent++).padEnd(size, " "))),
          delivered: () => void delivered.push(acknowledged++),
          closed: (reason) => void ends.push(reason),
        };
      },
    },
  });
  return { handler, delivered, ends, sent: () => sent };
}

const isConfigured = (): boolean => true;

describe("RFC 7252 section 4.7: several notifications in transit", () => {
  test("only to a configured peer, and only as many as the resource allows", async () => {
    const counts: number[] = [];
    for (const options of [
      { isConfigured: false, maxInTransit: 64 },
      { isConfigured: true, maxInTransit: 1 },
      { isConfigured: true, maxInTransit: 3 },
      { isConfigured: true, maxInTransit: 64 },
    ]) {
      const { handler, sent } = series(options);
      const served = serveEndpoint({ handler, isConfigured: () => options.isConfigured });
      const client = served.peer();
      client.send({ options: REGISTER });
      await served.clock.advance(100);
      counts.push(sent());
    }
    expect(counts).toEqual([1, 1, 3, 10]);
  });

  test("deliveries are reported in the order of sending, whatever the order of acknowledgements", async () => {
    const { handler, delivered, sent } = series({ maxInTransit: 3 });
    const served = serveEndpoint({ handler, isConfigured });
    const client = served.peer();
    client.send({ options: REGISTER });
    await served.clock.advance(10);
    const [first, second, third] = client.inbox.slice(1, 4);
    client.acknowledge(third?.messageId ?? 0);
    client.acknowledge(second?.messageId ?? 0);
    await served.clock.advance(10);
    expect([delivered.length, sent()]).toEqual([0, 3]);
    client.acknowledge(first?.messageId ?? 0);
    await served.clock.advance(10);
    expect([delivered.length, sent()]).toEqual([3, 6]);
  });

  test("a lost one is sent again as soon as later ones are acknowledged", async () => {
    const { handler } = series({ count: 8 });
    const served = serveEndpoint({ handler, isConfigured });
    const client = served.peer();
    client.send({ options: REGISTER });
    await served.clock.advance(10);
    const notifications = client.inbox.splice(0).slice(1);
    const [lost, ...others] = notifications;
    for (const { messageId } of others) client.acknowledge(messageId);
    // It may be late, for less time than the timeout of a message that nothing overtook.
    await served.clock.advance(10);
    expect(client.inbox).toEqual([]);
    await served.clock.advance(90);
    expect(client.inbox.map(({ messageId }) => messageId)).toEqual([lost?.messageId]);
    expect(served.endpoint.counters.retransmitted).toBe(1);
  });

  test("one of several blocks waits for those before it, and those after it for its blocks", async () => {
    let sent = 0;
    const bodies = ["small", "x".repeat(2000), "after"];
    const served = serveEndpoint({
      isConfigured,
      handler: ({ observe }) => ({
        ...content("start"),
        ...(observe !== 0
          ? {}
          : {
              observation: {
                attach(observer) {
                  observer.wake();
                  return { maxInTransit: 8, next: () => (sent === 3 ? null : content(bodies[sent++] as string)) };
                },
              },
            }),
      }),
    });
    const client = served.peer();
    client.send({ options: REGISTER });
    await served.clock.advance(10);
    const [, small, ...rest] = client.inbox.splice(0);
    expect([small && text(small), rest]).toEqual(["small", []]);
    expect(sent).toBe(2);
    client.acknowledge(small?.messageId ?? 0);
    await served.clock.advance(10);
    const large = client.take();
    expect([large.payload.length, sent]).toEqual([1024, 2]);
    client.acknowledge(large.messageId);
    client.send({ options: [blockOption(OPTION.BLOCK2, { num: 1, more: false, szx: 6 })] });
    await served.clock.advance(10);
    expect(client.inbox.map(({ payload }) => payload.length)).toEqual([976, 5]);
  });

  test("all are given up as soon as one times out", async () => {
    const { handler, ends, sent } = series({ maxInTransit: 4 });
    const served = serveEndpoint({ handler, isConfigured });
    served.peer().send({ options: REGISTER });
    await served.clock.advance(200_000);
    expect([ends, sent()]).toEqual([["timeout"], 4]);
    expect(served.endpoint.tableSizes()).toMatchObject({ unacknowledged: 0, observers: 0 });
  });
});

describe("a series over 50 ms of round trip", () => {
  async function transfer({ loss = 0, count = 1000, maxInTransit = 64 } = {}) {
    const world = createVirtualWorld({ seed: 7 });
    const { handler, ends } = series({ count, size: 900, maxInTransit });
    const env = world.env;
    const server = createCoapEndpoint(
      { socket: world.network.open("2001:db8::1", 5683), env },
      { handler, isConfigured },
    );
    const client = createCoapEndpoint({ socket: world.network.open("2001:db8::2", 40_000), env });
    world.network.setConditions({ delayMs: 25, jitterMs: 0, loss });
    const seen = new Set<number>();
    let doubles = 0;
    client.observe(
      { method: METHOD.GET, uri: "coap://[2001:db8::1]/" },
      {
        onNotification({ payload }) {
          const body = Buffer.from(payload).toString();
          if (body === "start") return;
          if (seen.has(Number(body))) doubles++;
          seen.add(Number(body));
        },
        onEnd: (reason) => expect(reason).toBeUndefined(),
      },
      { isSeries: true },
    );
    const startMs = world.clock.nowMs();
    await world.clock.runUntil(() => seen.size === count, 600_000);
    const tookMs = world.clock.nowMs() - startMs;
    await client.close();
    await server.close();
    return { tookMs, doubles, complete: seen.size === count, ends, retransmitted: server.counters.retransmitted };
  }

  test("takes a thirtieth of the time that one at a time takes, and loses nothing", async () => {
    const [one, many] = [await transfer({ maxInTransit: 1 }), await transfer()];
    expect([one.complete, many.complete, many.doubles, many.retransmitted]).toEqual([true, true, 0, 0]);
    expect(one.tookMs).toBeGreaterThanOrEqual(50_000);
    expect(many.tookMs).toBeLessThan(one.tookMs / 30);
  });

  test.each([0.01, 0.05, 0.2])("with a loss of %d everything arrives once, in bounded time", async (loss) => {
    const { tookMs, complete, doubles, retransmitted } = await transfer({ loss });
    expect([complete, doubles]).toEqual([true, 0]);
    expect(retransmitted).toBeGreaterThan(0);
    expect(tookMs).toBeLessThan(loss < 0.1 ? 20_000 : 120_000);
  });
});
