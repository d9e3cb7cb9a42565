import { describe, expect, test } from "vitest";
import { CODE, OPTION } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import { ACK, observeOf, observing } from "../testing/observing-client.js";

const etag = (value: number) => ({ number: OPTION.ETAG, value: Uint8Array.of(value) });
const maxAge = (seconds: number) => uintOption(OPTION.MAX_AGE, seconds);

describe("a series of notifications", () => {
  test("one that was overtaken is delivered, one that arrives twice is not", async () => {
    const { accept, notify, texts } = await observing({}, { isSeries: true });
    await accept(10, "a");
    await notify(12, { payload: "c" });
    await notify(11, { payload: "b" });
    await notify(12, { payload: "c" });
    expect(texts()).toEqual(["a", "c", "b"]);
  });

  test("otherwise the latest state counts (RFC 7641 section 3.4)", async () => {
    const { accept, notify, texts } = await observing();
    await accept(10, "a");
    await notify(12, { payload: "c" });
    await notify(11, { payload: "b" });
    expect(texts()).toEqual(["a", "c"]);
  });
});

describe("RFC 7641 section 3.3.1: keeping an observation alive", () => {
  test("the registration is repeated 5 to 15 s after Max-Age, with the last ETag, as long as it lasts", async () => {
    const { accept, server, clock, registration, reply, observation } = await observing({}, { keepAlive: true });
    await accept(1, "a", [maxAge(20), etag(7)]);
    await clock.advance(24_000);
    expect(server.inbox).toHaveLength(0);
    await clock.advance(11_500);
    const [repeated] = server.inbox.splice(0);
    if (repeated === undefined) throw new Error("no registration");
    expect([...repeated.token]).toEqual([...registration.token]);
    expect([observeOf(repeated), repeated.options.some(({ number }) => number === OPTION.ETAG)]).toEqual([0, true]);
    reply(repeated, { code: CODE.VALID, options: [uintOption(OPTION.OBSERVE, 2), maxAge(20), etag(7)] });
    await clock.advance(5);
    observation.cancel();
    await clock.advance(100_000);
    expect(server.inbox).toHaveLength(0);
  });

  test("a notification puts it off; the caller's bounds and ETags count", async () => {
    const etags = () => [Uint8Array.of(1, 2)];
    const keepAlive = { minMs: 30_000, maxMs: 40_000, graceMs: 0, etags };
    const { accept, notify, server, clock } = await observing({}, { keepAlive });
    await accept(1, "a", [maxAge(0)]);
    await clock.advance(29_000);
    await notify(2, { payload: "b", options: [maxAge(4_000_000)] });
    server.inbox.length = 0;
    await clock.advance(39_000);
    expect(server.inbox).toHaveLength(0);
    await clock.advance(1_000);
    expect(server.take().options.find(({ number }) => number === OPTION.ETAG)?.value).toEqual(Uint8Array.of(1, 2));
  });

  test("without a response the observation ends", async () => {
    const { accept, clock, ends, server } = await observing({}, { keepAlive: { graceMs: 0 }, timeoutMs: 3000 });
    await accept(1, "a", [maxAge(5)]);
    await clock.advance(5000);
    expect(server.inbox.some(({ type }) => type !== ACK)).toBe(true);
    await clock.advance(3000);
    expect(ends).toMatchObject([{ code: "TIMEOUT" }]);
  });
});
