import { CODE, METHOD, type Observer } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { makeContext, protectedPair } from "../testing/protected-pair.js";

test("a request under a context that is not there does not leave", async () => {
  const pair = protectedPair(() => ({ code: CODE.CONTENT }));
  const request = { method: METHOD.GET, uri: `${pair.uri}/secret`, context: "lamp" };
  await expect(pair.settled(pair.plain.request(request))).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
    message: "there is no security context lamp",
  });
  expect(pair.datagrams).toEqual([]);
});

test("an observation under a context that was replaced ends at the server, and is counted", async () => {
  const server = makeContext("server");
  const observers: Observer[] = [];
  const ends: string[] = [];
  const pair = protectedPair(
    () => ({
      code: CODE.CONTENT,
      observation: {
        attach(observer) {
          observers.push(observer);
          return {
            next: () => (ends.length === 0 ? { code: CODE.CONTENT, payload: Buffer.from("news") } : null),
            closed: (reason) => void ends.push(reason),
          };
        },
      },
    }),
    { server },
  );
  const seen: string[] = [];
  const observation = pair.client.observe(
    { method: METHOD.GET, uri: `${pair.uri}/x` },
    { onNotification: ({ payload }) => void seen.push(Buffer.from(payload).toString()), onEnd: () => {} },
  );
  await pair.clock.advance(1000);
  expect(observers).toHaveLength(1);
  server.close();
  observers[0]?.wake();
  await pair.clock.advance(1000);
  expect(ends).toEqual(["timeout"]);
  expect(pair.server.counters.rejected.get("oscore-unavailable")).toBe(1);
  observation.cancel();
});

test("a server that cannot note on disk what it received says so, and acts on nothing", async () => {
  const server = makeContext("server", {
    store: {
      state: undefined,
      saves: 0,
      load: () => undefined,
      save: () => {
        throw new Error("ENOSPC");
      },
      saveLater: async () => {},
      close: () => {},
    } as never,
  });
  let handled = 0;
  const pair = protectedPair(
    () => {
      handled++;
      return { code: CODE.CONTENT };
    },
    { server },
  );
  await expect(pair.settled(pair.client.request({ method: METHOD.GET, uri: `${pair.uri}/x` }))).rejects.toThrow("5.03");
  expect(handled).toBe(0);
  expect(pair.server.counters.rejected.get("oscore-unavailable")).toBe(1);
});
