import { describe, expect, test } from "vitest";
import { blockOption, findBlock, findOption } from "./block-option.js";
import type { CoapEndpointOptions } from "./coap-endpoint.js";
import { CODE, MESSAGE_TYPE, METHOD, OPTION } from "./constants.js";
import type { UdpMessage } from "./message-codec.js";
import { decodeUint, uintOption } from "./option-values.js";
import { serveEndpoint } from "./testing/served-endpoint.js";
import type { ObservationEnd, Observer, ServerResponse } from "./types.js";

const { CON, NON, ACK } = MESSAGE_TYPE;
const REGISTER = [uintOption(OPTION.OBSERVE, 0)];
const text = (message: UdpMessage): string => Buffer.from(message.payload).toString();
const content = (body: string | Uint8Array): ServerResponse => ({
  code: CODE.CONTENT,
  contentFormat: 0,
  payload: typeof body === "string" ? Buffer.from(body) : body,
});

function sequence(message: UdpMessage): number | null {
  const option = findOption(message.options, OPTION.OBSERVE);
  return option === undefined ? null : decodeUint(option.value);
}

/** A resource with one text as its state; every observer sees it change. */
function observable(options: CoapEndpointOptions = {}) {
  const observers = new Set<Observer>();
  const ends: ObservationEnd[] = [];
  let state: string | Uint8Array = "0";
  let delivered = 0;
  let pulls = 0;
  const served = serveEndpoint({
    handler: (request) => {
      if (request.observe !== 0) return content(state);
      return {
        ...content(state),
        observation: {
          attach(observer) {
            observers.add(observer);
            let seen = state;
            return {
              next() {
                pulls++;
                if (seen === state) return null;
                seen = state;
                return content(state);
              },
              delivered: () => {
                delivered++;
              },
              closed: (reason) => {
                observers.delete(observer);
                ends.push(reason);
              },
            };
          },
        },
      };
    },
    ...options,
  });
  const change = (to: string | Uint8Array): void => {
    state = to;
    for (const observer of observers) observer.wake();
  };
  return { ...served, observers, ends, change, delivered: () => delivered, pulls: () => pulls };
}

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

  test("changes while one is under way are told together in the next", async () => {
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

  test("changes in one turn are told together", async () => {
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

  test("Observe on a PUT means nothing", async () => {
    const { clock, peer, observers } = observable();
    const client = peer();
    client.send({ code: METHOD.PUT, options: REGISTER });
    await clock.advance(10);
    expect(sequence(client.take())).toBeNull();
    expect(observers.size).toBe(0);
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

describe("RFC 7959 section 2.6: notifications larger than a block", () => {
  test("COA-06 first block with Observe, the rest by GET, one ETag, one body", async () => {
    const { clock, peer, change } = observable();
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    client.take();
    const body = Uint8Array.from({ length: 5000 }, (_unused, index) => (index * 31) & 255);
    change(body);
    await clock.advance(10);
    const first = client.take();
    expect(findBlock(first.options, OPTION.BLOCK2)).toEqual({ num: 0, more: true, szx: 6 });
    expect(sequence(first)).not.toBeNull();
    client.acknowledge(first.messageId);
    const blocks = [first];
    for (const num of [1, 2, 3, 4]) {
      const options = [blockOption(OPTION.BLOCK2, { num, more: false, szx: 6 })];
      if (num === 2) change("something else"); // does not disturb the transfer
      client.send({ token: [100 + num], options });
      await clock.advance(10);
      const answer = client.inbox.find((message) => message.type === ACK);
      if (answer === undefined) throw new Error("no block");
      client.inbox.splice(client.inbox.indexOf(answer), 1);
      expect(sequence(answer)).toBeNull();
      blocks.push(answer);
    }
    expect(Uint8Array.from(blocks.flatMap((block) => [...block.payload]))).toEqual(body);
    const etags = blocks.map((block) =>
      Buffer.from(findOption(block.options, OPTION.ETAG)?.value ?? []).toString("hex"),
    );
    expect(new Set(etags).size).toBe(1);
    expect(etags[0]).not.toBe("");
  });

  test("COA-06 the next notification waits until the last block was fetched", async () => {
    const { clock, peer, change } = observable();
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    client.take();
    change(new Uint8Array(2500));
    await clock.advance(10);
    client.acknowledge(client.take().messageId);
    for (const num of [1, 2]) {
      await clock.advance(5000);
      change(`changed before block ${num}`);
      await clock.advance(10);
      expect(client.inbox).toHaveLength(0);
      client.send({ token: [num], options: [blockOption(OPTION.BLOCK2, { num, more: false, szx: 6 })] });
      await clock.advance(10);
      expect(client.take().type).toBe(ACK);
    }
    expect(client.inbox.map(text)).toEqual(["changed before block 2"]);
  });

  test("COA-06 it does not wait for longer than two timeouts without a request for a block", async () => {
    const { clock, peer, change } = observable();
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    client.take();
    change(new Uint8Array(2500));
    await clock.advance(10);
    client.acknowledge(client.take().messageId);
    await clock.advance(1);
    change("1");
    await clock.advance(5999);
    expect(client.inbox).toHaveLength(0);
    await clock.advance(2);
    expect(client.inbox.map(text)).toEqual(["1"]);
  });

  test("COA-06 after a first answer in blocks, likewise", async () => {
    const { clock, peer, change } = observable();
    change(new Uint8Array(1500));
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    expect(findBlock(client.take().options, OPTION.BLOCK2)?.more).toBe(true);
    change("1");
    await clock.advance(100);
    expect(client.inbox).toHaveLength(0);
    client.send({ options: [blockOption(OPTION.BLOCK2, { num: 1, more: false, szx: 6 })] });
    await clock.advance(10);
    expect(client.inbox.map((message) => message.type)).toEqual([ACK, CON]);
  });

  test("a later block asked for with Observe when nothing is retained: answered, not registered", async () => {
    const { clock, peer, change, observers } = observable();
    change(new Uint8Array(1500));
    const client = peer();
    client.send({ options: [...REGISTER, blockOption(OPTION.BLOCK2, { num: 1, more: false, szx: 6 })] });
    await clock.advance(10);
    const block = client.take();
    expect([block.payload.length, sequence(block), observers.size]).toEqual([476, null, 0]);
  });

  test("COA-06 a client that repeats Observe with the later blocks does not register anew", async () => {
    const { clock, peer, change, ends, observers } = observable();
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    change(new Uint8Array(2000));
    await clock.advance(10);
    client.send({ token: [1], options: [...REGISTER, blockOption(OPTION.BLOCK2, { num: 1, more: false, szx: 6 })] });
    await clock.advance(10);
    const block = client.inbox.at(-1);
    expect([block?.payload.length, block === undefined ? null : sequence(block)]).toEqual([976, null]);
    expect(ends).toEqual([]);
    expect(observers.size).toBe(1);
  });
});
