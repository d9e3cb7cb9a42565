import { silentLogger } from "@tributary/runtime";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CODE, OPTION } from "../message/codes.js";
import { stringOption, uintOption } from "../message/option-values.js";
import { ENDPOINT_ADDRESS, ENDPOINT_PORT, serveEndpoint } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import type { DatagramSocket } from "../types.js";
import { createCoapEndpoint } from "./endpoint.js";
import { encodeDatagram } from "./message-codec.js";

const TO = { address: ENDPOINT_ADDRESS, port: ENDPOINT_PORT };

const VALID = encodeDatagram(0, 1, Uint8Array.of(1, 2), {
  code: 1,
  options: [uintOption(OPTION.OBSERVE, 0), stringOption(OPTION.URI_PATH, "rd-lookup"), uintOption(OPTION.BLOCK2, 6)],
  payload: Buffer.from("payload"),
});

/** An endpoint that serves and observes, and a logger that takes nothing for granted. */
function target() {
  const errors: unknown[] = [];
  const logger = { ...silentLogger, error: (message: string, fields?: object) => errors.push([message, fields]) };
  const served = serveEndpoint(
    {
      handler: (request) => ({
        code: CODE.CONTENT,
        payload: new Uint8Array(request.payload.length + 2000),
        observation: { attach: () => ({ next: () => null }) },
      }),
      limits: { maxDeduplication: 500, maxObservers: 20, maxTransfers: 20 },
    },
    createVirtualWorld({ logger }),
  );
  served.endpoint.observe({ method: 1, uri: "coap://[2001:db8::66]/" }, { onNotification: () => {}, onEnd: () => {} });
  return { ...served, errors };
}

test("mutated datagrams from anywhere: no crash, nothing logged as an error, and the next request is served", async () => {
  const { clock, network, errors, peer } = target();
  const attacker = network.open("2001:db8::66", 5683);
  const mutation = fc.record({ at: fc.nat(VALID.length - 1), byte: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(mutation, { maxLength: 6 }),
      fc.nat(VALID.length),
      fc.boolean(),
      async (changes, cut, isCut) => {
        const bytes = Uint8Array.from(VALID);
        for (const { at, byte } of changes) bytes[at] = byte;
        attacker.send(isCut ? bytes.subarray(0, cut) : bytes, TO);
        await clock.advance(2);
        expect(errors).toEqual([]);
      },
    ),
    { numRuns: 2000 },
  );
  const client = peer("2001:db8::7");
  client.send({ path: "/x" });
  await clock.advance(5);
  expect(client.take().code).toBe(CODE.CONTENT);
});

test("noise: no crash, and no answer larger than what it answers but to a proper request", async () => {
  const { clock, network, errors } = target();
  const attacker = network.open("2001:db8::66", 5683);
  let answered = 0;
  attacker.onDatagram = (datagram) => {
    if (datagram.length === 4) answered++;
  };
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
      attacker.send(bytes, TO);
      await clock.advance(2);
      expect(errors).toEqual([]);
    }),
    { numRuns: 1000 },
  );
  expect(answered).toBeGreaterThan(0);
});

test("20,000 registrations from forged addresses: as many observers as allowed, the others answered plainly", () => {
  const { env } = createVirtualWorld();
  let sentBytes = 0;
  const socket: DatagramSocket = {
    local: TO,
    onDatagram: null,
    onError: null,
    send(datagram) {
      sentBytes += datagram.length;
    },
    close() {},
  };
  let open = 0;
  const observation = {
    attach() {
      open++;
      return { next: () => null, closed: () => open-- };
    },
  };
  const payload = new Uint8Array(100);
  const { counters } = createCoapEndpoint(
    { socket, env },
    {
      handler: () => ({ code: CODE.CONTENT, payload, observation }),
      limits: { maxObservers: 20, maxDeduplication: 500 },
    },
  );
  for (let index = 0; index < 20_000; index++) {
    socket.onDatagram?.(Uint8Array.from(VALID), { address: `2001:db8:1::${index.toString(16)}`, port: 5683 }, false);
  }
  expect(open).toBe(20);
  expect(counters).toMatchObject({ received: 20_000, sent: 20_000 });
  expect(counters.rejected.get("observer-limit")).toBe(19_980);
  expect(sentBytes).toBeLessThan(20_000 * 130);
});
