import { describe, expect, test } from "vitest";
import { CODE, OPTION } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import { ACK, CON, content, NON, observable, REGISTER, sequence, text } from "../testing/observable-resource.js";
import { serveEndpoint } from "../testing/served-endpoint.js";
import type { ObservationEnd, Observer } from "../types.js";

describe("RFC 7641 sections 3.6, 4.2, 4.5: how an observation ends", () => {
  test("OBS-04 RST to a notification ends the observation", async () => {
    const { clock, peer, change, ends, observers } = observable();
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    change("1");
    await clock.advance(10);
    client.reset(client.inbox[1]?.messageId ?? 0);
    await clock.advance(10);
    expect(ends).toEqual(["reset"]);
    expect(observers.size).toBe(0);
    change("2");
    await clock.advance(200_000);
    expect(client.inbox).toHaveLength(2);
  });

  test("OBS-04 Observe 1 ends it, and is answered plainly", async () => {
    const { clock, peer, change, ends } = observable();
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    client.take();
    client.send({ token: [1], options: [uintOption(OPTION.OBSERVE, 1)] });
    await clock.advance(10);
    const answer = client.take();
    expect([answer.code, sequence(answer)]).toEqual([CODE.CONTENT, null]);
    expect(ends).toEqual(["deregistered"]);
    change("1");
    await clock.advance(100);
    expect(client.inbox).toHaveLength(0);
  });

  test("OBS-05 a notification that times out ends that observation, not the peer's others", async () => {
    const { clock, peer, change, ends, observers, endpoint } = observable();
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    client.send({ token: [2], options: REGISTER });
    await clock.advance(10);
    client.onMessage = (message) => {
      if (message.token[0] === 2 && message.type === CON) client.acknowledge(message.messageId);
    };
    change("1");
    await clock.advance(100_000);
    expect(ends).toEqual(["timeout"]);
    expect(observers.size).toBe(1);
    expect(endpoint.counters.retransmitted).toBe(4);
    expect(client.inbox.filter((message) => message.type === CON && message.token[0] === 1)).toHaveLength(5);
  });

  test("a registration that is refused now ends the one before", async () => {
    let isOpen = true;
    const ends: ObservationEnd[] = [];
    const { clock, peer } = serveEndpoint({
      handler: () =>
        isOpen
          ? { ...content("x"), observation: { attach: () => ({ next: () => null, closed: (end) => ends.push(end) }) } }
          : { code: CODE.FORBIDDEN },
    });
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    isOpen = false;
    client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    expect(ends).toEqual(["ended"]);
  });

  test("an error notification is the last, without Observe", async () => {
    let observer: Observer | undefined;
    const ends: ObservationEnd[] = [];
    const { clock, peer } = serveEndpoint({
      handler: () => ({
        ...content("x"),
        observation: {
          attach(attached) {
            observer = attached;
            return { next: () => ({ code: CODE.NOT_FOUND }), closed: (end) => ends.push(end) };
          },
        },
      }),
    });
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    client.take();
    observer?.wake();
    await clock.advance(10);
    const last = client.take();
    expect(last).toMatchObject({ type: CON, code: CODE.NOT_FOUND });
    expect(sequence(last)).toBeNull();
    expect(ends).toEqual(["ended"]);
    observer?.wake();
    client.acknowledge(last.messageId);
    await clock.advance(10_000);
    expect(client.inbox).toHaveLength(0);
  });

  test("end(final) sends that in place of what was under way", async () => {
    const { clock, peer, change, observers, ends } = observable();
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    client.take();
    change("1");
    await clock.advance(10);
    client.take();
    for (const observer of observers) observer.end({ code: CODE.UNAVAILABLE });
    await clock.advance(10);
    const last = client.take();
    expect(last.code).toBe(CODE.UNAVAILABLE);
    client.acknowledge(last.messageId);
    await clock.advance(200_000);
    expect(client.inbox).toHaveLength(0);
    expect(ends).toEqual(["ended"]);
  });

  test("a resource that throws ends its observation with 5.00, and the listener lives", async () => {
    const { clock, peer } = serveEndpoint({
      handler: () => ({
        ...content("x"),
        observation: {
          attach(observer) {
            observer.wake();
            return {
              next: () => {
                throw new Error("broken");
              },
              closed: () => {
                throw new Error("broken too");
              },
            };
          },
        },
      }),
    });
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    client.take();
    expect(client.take().code).toBe(CODE.INTERNAL);
    client.send({});
    await clock.advance(10);
    expect(client.take().code).toBe(CODE.CONTENT);
  });

  test("an observation whose separate first answer is rejected is over", async () => {
    const ends: ObservationEnd[] = [];
    const { clock, peer } = serveEndpoint({
      handler: async () => {
        await new Promise<void>((resolve) => clock.setTimer(500, resolve));
        return {
          ...content("x"),
          observation: { attach: () => ({ next: () => null, closed: (end) => ends.push(end) }) },
        };
      },
    });
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(600);
    expect(client.take()).toMatchObject({ type: ACK, code: 0 });
    client.reset(client.take().messageId);
    await clock.advance(10);
    expect(ends).toEqual(["reset"]);
  });

  test("close tells observers, without waiting for them", async () => {
    const { clock, peer, ends, endpoint } = observable();
    const client = peer();
    client.send({ token: [3], options: REGISTER });
    await clock.advance(10);
    client.take();
    await endpoint.close();
    await clock.advance(10);
    expect(ends).toEqual(["closed"]);
    const farewell = client.take();
    expect(farewell).toMatchObject({ type: NON, code: CODE.UNAVAILABLE });
    expect([...farewell.token]).toEqual([3]);
    expect(clock.pending).toBe(0);
  });
});

describe("RFC 7641 section 4.5: observers to whom nothing has to be said", () => {
  const DAY_MS = 86_400_000;
  const HOUR_MS = 3_600_000;

  test("one that is gone is given up after a day, without a change of the resource", async () => {
    const { clock, peer, ends, observers } = observable();
    const client = peer();
    client.send({ path: "/a", token: [1], options: REGISTER });
    await clock.advance(DAY_MS - HOUR_MS);
    expect(ends).toEqual([]);
    await clock.advance(2 * HOUR_MS);
    expect(ends).toEqual(["timeout"]);
    expect(observers.size).toBe(0);
  });

  test("one that answers the ping stays", async () => {
    const { clock, peer, ends, change } = observable();
    const client = peer();
    let pings = 0;
    client.onMessage = ({ type, code, messageId }) => {
      if (type !== CON) return;
      if (code === 0) pings++;
      client.reset(messageId);
    };
    client.send({ path: "/a", token: [1], options: REGISTER });
    await clock.advance(3 * DAY_MS);
    expect(ends).toEqual([]);
    expect(pings).toBe(2);
    client.onMessage = ({ messageId }) => client.acknowledge(messageId);
    change("1");
    await clock.advance(10);
    expect(client.inbox.map(text)).toContain("1");
  });
});
