import { describe, expect, test } from "vitest";
import { CODE } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import { observeOf, observing, pattern, RST } from "../testing/observing-client.js";
import { serveEndpoint } from "../testing/served-endpoint.js";

describe("the end of an observation", () => {
  test("an answer without Observe is delivered, then it is over", async () => {
    const { clock, registration, reply, texts, ends, notify, server } = await observing();
    reply(registration, { payload: "plain" });
    await clock.advance(5);
    expect([texts(), ends]).toEqual([["plain"], ["not-observable"]]);
    await notify(5, { messageId: 3 });
    expect(server.take()).toMatchObject({ type: RST, messageId: 3 });
  });

  test("an error is delivered, then it is over", async () => {
    const { accept, notify, seen, ends } = await observing();
    await accept(1, "1");
    await notify(2, { code: CODE.NOT_FOUND, options: [] });
    expect(seen.map((response) => response.code)).toEqual([CODE.CONTENT, CODE.NOT_FOUND]);
    expect(ends).toEqual(["error-response"]);
  });

  test("no answer: TIMEOUT", async () => {
    const { clock, ends, server } = await observing();
    await clock.advance(100_000);
    expect(ends).toMatchObject([{ code: "TIMEOUT" }]);
    expect(server.inbox).toHaveLength(4);
    expect(clock.pending).toBe(0);
  });

  test("no answer within timeoutMs: TIMEOUT then", async () => {
    const { clock, ends } = await observing({}, { timeoutMs: 1000 });
    await clock.advance(994);
    expect(ends).toEqual([]);
    await clock.advance(1);
    expect(ends).toMatchObject([{ code: "TIMEOUT" }]);
  });

  test("once answered, silence for days is no end", async () => {
    const { clock, accept, ends } = await observing({}, { timeoutMs: 1000 });
    await accept(1, "1");
    await clock.advance(86_400_000 * 3);
    expect(ends).toEqual([]);
  });

  test("RST to the registration: RESET", async () => {
    const { clock, server, registration, ends } = await observing();
    server.reset(registration.messageId);
    await clock.advance(5);
    expect(ends).toMatchObject([{ code: "RESET" }]);
  });

  test("a critical option that is not understood: rejected, MALFORMED", async () => {
    const { server, accept, notify, ends } = await observing();
    await accept(1, "1");
    await notify(2, { messageId: 8, options: [uintOption(65_001, 1)] });
    expect(server.take()).toMatchObject({ type: RST, messageId: 8 });
    expect(ends).toMatchObject([{ code: "MALFORMED" }]);
  });

  test("a body beyond maxBodyBytes: TOO_LARGE", async () => {
    const { accept, notify, ends, texts } = await observing({}, { maxBodyBytes: 10 });
    await accept(1, "1");
    await notify(2, { payload: pattern(11) });
    expect(ends).toMatchObject([{ code: "TOO_LARGE" }]);
    expect(texts()).toEqual(["1"]);
  });

  test("a URI that cannot be asked: BAD_URI, reported after observe returned", async () => {
    const { clock, endpoint } = serveEndpoint();
    const ends: unknown[] = [];
    endpoint.observe({ method: 1, uri: "http://x/" }, { onNotification: () => {}, onEnd: (end) => ends.push(end) });
    expect(ends).toEqual([]);
    await clock.advance(1);
    expect(ends).toMatchObject([{ code: "BAD_URI" }]);
  });

  test("the endpoint is closed: CLOSED", async () => {
    const { clock, endpoint, accept, ends } = await observing();
    await accept(1, "1");
    await endpoint.close();
    expect(ends).toMatchObject([{ code: "CLOSED" }]);
    expect(clock.pending).toBe(0);
  });

  test("OBS-04 close deregisters with the same token; no callback any more", async () => {
    const { clock, server, accept, notify, observation, registration, reply, texts, ends } = await observing();
    await accept(1, "1");
    let isClosed = false;
    void observation.close().then(() => {
      isClosed = true;
    });
    await clock.advance(5);
    const last = server.take();
    expect(last.token).toEqual(registration.token);
    expect(observeOf(last)).toBe(1);
    await notify(2, { messageId: 44, payload: "2" });
    expect(server.take()).toMatchObject({ type: RST, messageId: 44 });
    expect(isClosed).toBe(false);
    reply(last, { payload: "bye" });
    await clock.advance(5);
    expect(isClosed).toBe(true);
    await notify(3, { messageId: 45 });
    expect(server.take()).toMatchObject({ type: RST, messageId: 45 });
    expect([texts(), ends]).toEqual([["1"], []]);
    expect(clock.pending).toBe(0);
  });

  test("close resolves after one timeout when nobody answers", async () => {
    const { clock, accept, observation } = await observing();
    await accept(1, "1");
    let isClosed = false;
    void observation.close().then(() => {
      isClosed = true;
    });
    await clock.advance(2999);
    expect(isClosed).toBe(false);
    await clock.advance(1);
    expect(isClosed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test("OBS-04 cancel says nothing; later notifications are rejected", async () => {
    const { clock, server, accept, notify, observation, texts, ends } = await observing();
    await accept(1, "1");
    observation.cancel();
    await clock.advance(5);
    expect(server.inbox).toHaveLength(0);
    await notify(2, { messageId: 44 });
    expect(server.take()).toMatchObject({ type: RST, messageId: 44 });
    expect([texts(), ends]).toEqual([["1"], []]);
  });
});
