import { describe, expect, test } from "vitest";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { uintOption } from "../message/option-values.js";
import { CON, content, NON, observable, REGISTER, sequence, text } from "../testing/observable-resource.js";
import { serveEndpoint } from "../testing/served-endpoint.js";
import type { Observer, ServerResponse } from "../types.js";

describe("RFC 7641 section 4: notifications", () => {
  test("OBS-06 they are confirmable, carry the token and growing numbers", async () => {
    const { clock, peer, change, delivered } = observable();
    const client = peer();
    client.send({ token: [5], options: REGISTER });
    await clock.advance(10);
    const seen: number[] = [sequence(client.take()) ?? -1];
    for (const state of ["1", "2", "3"]) {
      change(state);
      await clock.advance(10);
      const notification = client.take();
      expect(notification).toMatchObject({ type: CON, code: CODE.CONTENT });
      expect([...notification.token]).toEqual([5]);
      expect(text(notification)).toBe(state);
      seen.push(sequence(notification) ?? -1);
      client.acknowledge(notification.messageId);
      await clock.advance(10);
    }
    const first = seen[0] ?? 0;
    expect(seen).toEqual([0, 1, 2, 3].map((step) => (first + step) % 2 ** 24));
    expect(delivered()).toBe(3);
  });

  test("OBS-06 numbers wrap at 2^24", async () => {
    const world = observable();
    // The first number is the wall time in ms modulo 2^24.
    world.clock.jumpWall(2 ** 24 - 2 - (world.clock.wallMs() % 2 ** 24));
    const client = world.peer();
    client.send({ options: REGISTER });
    await world.clock.advance(1);
    const seen: (number | null)[] = [];
    for (const state of ["1", "2"]) {
      await world.clock.advance(1);
      seen.push(sequence(client.take()));
      world.change(state);
      await world.clock.advance(1);
      const last = client.inbox[0];
      if (last !== undefined) client.acknowledge(last.messageId);
    }
    expect(seen).toEqual([2 ** 24 - 1, 0]);
  });

  test("changes while one is under way are sent together in the next", async () => {
    const { clock, peer, change } = observable();
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    client.take();
    for (const state of ["1", "2", "3"]) {
      change(state);
      await clock.advance(10);
    }
    expect(client.inbox.map(text)).toEqual(["1"]);
    client.acknowledge(client.take().messageId);
    await clock.advance(10);
    expect(client.inbox.map(text)).toEqual(["3"]);
  });

  test("changes in one turn are sent together", async () => {
    const { clock, peer, change } = observable();
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    client.take();
    for (const state of ["1", "2", "3"]) change(state);
    await clock.advance(10);
    expect(client.inbox.map(text)).toEqual(["3"]);
  });

  test("nothing new after all: nothing is sent", async () => {
    const { clock, peer, change, pulls } = observable();
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    client.take();
    change("0");
    await clock.advance(10_000);
    expect(client.inbox).toHaveLength(0);
    expect(pulls()).toBe(1);
  });

  test("a resource may take its time, and be woken meanwhile", async () => {
    let observer: Observer | undefined;
    const states = ["a", "b"];
    const { clock, peer } = serveEndpoint({
      handler: () => ({
        ...content("start"),
        observation: {
          attach(attached) {
            observer = attached;
            attached.wake();
            return {
              next: () =>
                new Promise<ServerResponse | null>((resolve) => {
                  const state = states.shift();
                  clock.setTimer(50, () => resolve(state === undefined ? null : content(state)));
                }),
            };
          },
        },
      }),
    });
    const client = peer();
    client.send({ options: REGISTER });
    client.onMessage = (message) => {
      if (message.type === CON) client.acknowledge(message.messageId);
    };
    await clock.advance(30);
    observer?.wake();
    await clock.advance(1000);
    expect(client.inbox.map(text)).toEqual(["start", "a", "b"]);
  });

  test("a non-confirmable registration is answered NON and notified CON", async () => {
    const { clock, peer, change } = observable();
    const client = peer();
    client.send({ type: NON, options: REGISTER });
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: NON });
    change("1");
    await clock.advance(10);
    expect(client.take()).toMatchObject({ type: CON });
  });

  test("the same token registered again replaces: one notification per change, numbers go on growing", async () => {
    const { clock, peer, change, ends } = observable();
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    expect(ends).toEqual(["replaced"]);
    const [one, other] = [client.take(), client.take()];
    expect(sequence(other)).toBeGreaterThan(sequence(one) ?? Number.POSITIVE_INFINITY);
    change("1");
    await clock.advance(10);
    expect(client.inbox).toHaveLength(1);
  });

  test("nor beyond maxObserversPerClient, which counts an IPv6 /64 as one; others still get theirs", async () => {
    const { clock, peer, observers } = observable({ limits: { maxObserversPerClient: 2 } });
    const addresses = ["2001:db8::11", "2001:db8::12", "2001:db8::13", "2001:db8:0:1::1"];
    const clients = addresses.map((address) => peer(address, 5000));
    const isObserving = () => clients.map(({ inbox }) => inbox.some((message) => sequence(message) !== null));
    for (const client of clients) client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    expect(isObserving()).toEqual([true, true, false, true]);
    expect(observers.size).toBe(3);
    clients[0]?.send({ token: [1], options: [uintOption(OPTION.OBSERVE, 1)] });
    clients[2]?.send({ token: [2], options: REGISTER });
    await clock.advance(10);
    expect(isObserving()).toEqual([true, true, true, true]);
  });

  test("beyond maxObservers the client with the most loses a place to one with less, and is notified", async () => {
    const { clock, peer, observers } = observable({ limits: { maxObservers: 4 }, isConfigured: () => true });
    const [rich, other] = [peer("2001:db8::11", 5000), peer("2001:db8:0:1::1", 5000)];
    for (const token of [1, 2, 3, 4]) rich.send({ token: [token], options: REGISTER });
    await clock.advance(10);
    rich.inbox.length = 0;
    for (const token of [1, 2, 3]) other.send({ token: [token], options: REGISTER });
    await clock.advance(10);
    expect(other.inbox.map((message) => sequence(message) !== null)).toEqual([true, true, false]);
    expect(rich.inbox.map(({ code, token }) => [code, ...token])).toEqual([
      [CODE.UNAVAILABLE, 1],
      [CODE.UNAVAILABLE, 2],
    ]);
    expect(observers.size).toBe(4);
  });

  test("beyond maxObservers the answer comes without Observe", async () => {
    const { clock, peer, observers, endpoint } = observable({ limits: { maxObservers: 1 } });
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    client.send({ token: [2], options: REGISTER });
    await clock.advance(10);
    expect(client.inbox.map((message) => sequence(message) !== null)).toEqual([true, false]);
    expect(observers.size).toBe(1);
    expect(endpoint.counters.rejected.get("observer-limit")).toBe(1);
  });

  test.each([
    { name: "all places", limits: { maxObservers: 2 } },
    { name: "all places of a client", limits: { maxObserversPerClient: 2 } },
  ])("$name are taken: observers that have gone give theirs back", async ({ limits }) => {
    const { clock, peer, observers, ends } = observable({ limits });
    const [gone, alive, newcomer] = [peer("2001:db8::7", 1), peer("2001:db8::7", 2), peer("2001:db8::7", 3)];
    gone.send({ token: [1], options: REGISTER });
    alive.send({ token: [1], options: REGISTER });
    alive.onMessage = ({ type, code, messageId }) => {
      if (type === CON && code === 0) alive.reset(messageId);
    };
    await clock.advance(61_000);
    newcomer.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    expect(sequence(newcomer.take())).toBeNull();
    await clock.advance(93_000);
    expect([ends, observers.size]).toEqual([["timeout"], 1]);
    newcomer.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    expect(sequence(newcomer.take())).not.toBeNull();
  });

  test("Observe on a PUT means nothing", async () => {
    const { clock, peer, observers } = observable();
    const client = peer();
    client.send({ code: METHOD.PUT, options: REGISTER });
    await clock.advance(10);
    expect(sequence(client.take())).toBeNull();
    expect(observers.size).toBe(0);
  });
});
