import type { ClientRequest, CoapClient } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { protectedClient } from "./protected-client.js";

test("every request has the context, to every server and from every part of the node", async () => {
  const seen: ClientRequest[] = [];
  const inner: CoapClient = {
    request: (request) => {
      seen.push(request);
      return Promise.reject(new Error("nobody"));
    },
    observe: (request) => {
      seen.push(request);
      return { refresh: () => {}, close: async () => {}, cancel: () => {} };
    },
    ping: async () => true,
    close: async () => {},
  };
  const client = protectedClient(inner, "rd-a");
  const listener = { onNotification: () => {}, onEnd: () => {} };
  for (const uri of ["coap://[2001:db8::1]/rd", "coap+tcp://elsewhere.example:61616/rd-lookup/ep"]) {
    await expect(client.request({ method: 1, uri })).rejects.toThrow("nobody");
    client.observe({ method: 1, uri, context: "another" }, listener);
  }
  expect(seen.map(({ context }) => context)).toEqual(["rd-a", "rd-a", "rd-a", "rd-a"]);
});
