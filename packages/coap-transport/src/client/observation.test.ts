import { silentLogger } from "@tributary/runtime";
import { describe, expect, test } from "vitest";
import { findOption } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import { ACK, CON, NON, observeOf, observing, pattern, RST, SERVER, URI } from "../testing/observing-client.js";
import { serveEndpoint } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";

describe("RFC 7641 section 3: registering and being notified", () => {
  test("the registration, the first answer, and notifications, each acknowledged", async () => {
    const { server, registration, accept, notify, texts, seen, ends } = await observing({
      accept: 51,
      query: ["href=/*"],
      etags: [Uint8Array.of(7)],
    });
    expect(registration).toMatchObject({ type: CON, code: METHOD.GET });
    expect(registration.options.map((option) => option.number)).toEqual([4, 6, 11, 15, 17]);
    expect(observeOf(registration)).toBe(0);
    await accept(10, "a");
    await notify(11, { messageId: 500, payload: "b" });
    await notify(12, { messageId: 501, type: NON, payload: "c" });
    expect(texts()).toEqual(["a", "b", "c"]);
    expect(seen.map((response) => response.observe)).toEqual([10, 11, 12]);
    expect(server.inbox.map(({ type, messageId }) => [type, messageId])).toEqual([[ACK, 500]]);
    expect(ends).toEqual([]);
  });

  test("OBS-06 stale notifications are acknowledged and not delivered", async () => {
    const { clock, server, accept, notify, texts } = await observing();
    await accept(10, "10");
    await notify(12, { payload: "12" });
    await notify(11, { payload: "11" });
    await notify(12, { payload: "12 again" });
    expect(texts()).toEqual(["10", "12"]);
    expect(server.inbox.map((message) => message.type)).toEqual([ACK, ACK, ACK]);
    await clock.advance(128_001);
    await notify(3, { payload: "after 128 s" });
    expect(texts()).toEqual(["10", "12", "after 128 s"]);
  });

  test("OBS-06 a repeated notification is acknowledged again and delivered once", async () => {
    const { server, accept, notify, texts } = await observing();
    await accept(10, "10");
    for (const _ of [1, 2, 3]) await notify(11, { messageId: 9, payload: "11" });
    expect(texts()).toEqual(["10", "11"]);
    expect(server.inbox.map(({ type, messageId }) => [type, messageId])).toEqual([
      [ACK, 9],
      [ACK, 9],
      [ACK, 9],
    ]);
  });

  test("a first answer that comes twice is delivered once", async () => {
    const { accept, texts } = await observing();
    await accept(10, "10");
    await accept(10, "10");
    expect(texts()).toEqual(["10"]);
  });

  test("a separate first answer", async () => {
    const { clock, server, registration, notify, texts } = await observing();
    server.acknowledge(registration.messageId);
    await clock.advance(1000);
    await notify(1, { payload: "separate" });
    await clock.advance(200_000);
    expect(texts()).toEqual(["separate"]);
  });

  test("a message id equal to one of ours under way is no obstacle to a notification", async () => {
    const { clock, endpoint, server, accept, notify, texts } = await observing();
    await accept(1, "1");
    void endpoint.request({ method: 1, uri: URI }).catch(() => {});
    await clock.advance(5);
    await notify(2, { messageId: server.take().messageId, payload: "2" });
    expect(texts()).toEqual(["1", "2"]);
  });

  test("a notification from another address is rejected and not delivered", async () => {
    const { clock, peer, registration, accept, texts, ends } = await observing();
    await accept(1, "1");
    const forger = peer("2001:db8::bad", 5683);
    const options = [uintOption(OPTION.OBSERVE, 2)];
    forger.send({ type: CON, code: CODE.CONTENT, token: registration.token, options, payload: "forged" });
    await clock.advance(5);
    expect(forger.take().type).toBe(RST);
    expect([texts(), ends]).toEqual([["1"], []]);
  });

  test("a single datagram of 60 kB is taken", async () => {
    const { accept, notify, seen } = await observing();
    await accept(1, "1");
    await notify(2, { payload: pattern(60_000) });
    expect(seen[1]?.payload).toEqual(pattern(60_000));
    expect(seen[1]?.wireBytes).toBeGreaterThan(60_000);
  });

  test("2.03 Valid is delivered as it is", async () => {
    const { clock, registration, reply, seen } = await observing({ etags: [Uint8Array.of(1)] });
    reply(registration, {
      code: CODE.VALID,
      options: [uintOption(OPTION.OBSERVE, 5), { number: OPTION.ETAG, value: Uint8Array.of(1) }],
    });
    await clock.advance(5);
    expect(seen[0]).toMatchObject({ code: CODE.VALID, observe: 5, etag: Uint8Array.of(1) });
  });

  test("LPX-17 a 4.01 with Echo is answered with it, under the same token", async () => {
    const { clock, server, registration, reply, texts } = await observing();
    reply(registration, { code: CODE.UNAUTHORIZED, options: [{ number: OPTION.ECHO, value: Uint8Array.of(9) }] });
    await clock.advance(5);
    const second = server.take();
    expect(second.token).toEqual(registration.token);
    expect(second.messageId).not.toBe(registration.messageId);
    expect(findOption(second.options, OPTION.ECHO)?.value).toEqual(Uint8Array.of(9));
    reply(second, { payload: "ok", options: [uintOption(OPTION.OBSERVE, 1)] });
    await clock.advance(5);
    expect(texts()).toEqual(["ok"]);
  });

  test("a listener that throws is noted in the log and receives further notifications", async () => {
    const errors: string[] = [];
    const world = createVirtualWorld({ logger: { ...silentLogger, error: (message) => errors.push(message) } });
    const { clock, endpoint, peer } = serveEndpoint({}, world);
    const server = peer(SERVER, 5683);
    let calls = 0;
    const onNotification = (): void => {
      calls++;
      throw new Error("listener");
    };
    endpoint.observe({ method: METHOD.GET, uri: URI }, { onNotification, onEnd: () => {} });
    await clock.advance(5);
    const { token, messageId } = server.take();
    server.send({ type: ACK, code: CODE.CONTENT, messageId, token, options: [uintOption(OPTION.OBSERVE, 1)] });
    server.send({ type: CON, code: CODE.CONTENT, messageId: 9, token, options: [uintOption(OPTION.OBSERVE, 2)] });
    await clock.advance(5);
    expect(server.take()).toMatchObject({ type: ACK, messageId: 9 });
    expect([calls, errors]).toEqual([2, ["an observation listener failed", "an observation listener failed"]]);
  });
});

describe("RFC 7641 section 3.3.1: refreshing", () => {
  test("the answer to a refresh is delivered, also after notifications that were too old to be", async () => {
    const { clock, server, observation, accept, notify, reply, texts } = await observing();
    await accept(10_000_000, "1");
    observation.refresh();
    await clock.advance(5);
    const refresh = server.take();
    await notify(9_999_999, { payload: "late" });
    reply(refresh, { payload: "2", options: [uintOption(OPTION.OBSERVE, 9_999_998)] });
    await clock.advance(5);
    expect(texts()).toEqual(["1", "2"]);
  });

  test("the same token, the ETags held; numbers from a restarted server count as newer", async () => {
    const { clock, server, accept, observation, registration, reply, texts } = await observing();
    await accept(1_000_000, "before");
    observation.refresh([Uint8Array.of(5)]);
    await clock.advance(5);
    const again = server.take();
    expect(again.token).toEqual(registration.token);
    expect([observeOf(again), findOption(again.options, OPTION.ETAG)?.value]).toEqual([0, Uint8Array.of(5)]);
    reply(again, { payload: "after", options: [uintOption(OPTION.OBSERVE, 2)] });
    await clock.advance(5);
    expect(texts()).toEqual(["before", "after"]);
  });

  test("an answer overtaken by a newer notification is not delivered after it", async () => {
    const { clock, server, accept, notify, observation, reply, texts } = await observing();
    await accept(10, "10");
    observation.refresh();
    await clock.advance(5);
    const again = server.take();
    await notify(12, { payload: "12" });
    reply(again, { payload: "11", options: [uintOption(OPTION.OBSERVE, 11)] });
    await clock.advance(5);
    expect(texts()).toEqual(["10", "12"]);
  });

  test("a notification of before does not pass for the answer: no answer ends it", async () => {
    const { clock, accept, notify, observation, texts, ends } = await observing();
    await accept(10, "10");
    observation.refresh();
    await clock.advance(5);
    await notify(11, { payload: "11" });
    await clock.advance(100_000);
    expect(texts()).toEqual(["10", "11"]);
    expect(ends).toMatchObject([{ code: "TIMEOUT" }]);
  });

  test("an answer without Observe: no longer observable", async () => {
    const { clock, server, accept, observation, reply, texts, ends } = await observing();
    await accept(10, "10");
    observation.refresh();
    await clock.advance(5);
    reply(server.take(), { payload: "plain" });
    await clock.advance(5);
    expect([texts(), ends]).toEqual([["10", "plain"], ["not-observable"]]);
  });
});
