import { expect, test } from "vitest";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { hello, text } from "../testing/greeting-server.js";
import { serveStreams, STREAM_URI as URI } from "../testing/streamed-server.js";
import type { ObservationSource, PeerConnection, RequestHandler } from "../types.js";

/** A server, and a client that serves as well and has sent one request. */
async function connectBothWays(handler: RequestHandler, streamLimits = {}) {
  let connection: PeerConnection | undefined;
  const served = serveStreams(
    (request) => {
      connection = request.connection;
      return hello();
    },
    { streamLimits },
  );
  const { client } = served.openClient(streamLimits, handler);
  const asked = client.request({ method: METHOD.GET, uri: URI });
  await served.clock.advance(100);
  await asked;
  if (connection === undefined) throw new Error("there is no connection");
  return { ...served, client, connection };
}

const echoBody: RequestHandler = ({ payload }) => ({ code: CODE.CHANGED, payload });

test("RFC 8323 section 3: a server asks its client, later and with bodies beyond a message", async () => {
  const { connection, clock } = await connectBothWays(echoBody, { maxMessageBytes: 4096 });
  await clock.advance(20_000);
  const payload = Buffer.alloc(20_000, "x");
  const asked = connection.request({ method: METHOD.PUT, uri: `${connection.origin}/large`, payload });
  await clock.advance(1000);
  expect(Buffer.from((await asked).payload)).toEqual(payload);
});

test("a client that serves nothing says 5.01", async () => {
  let connection: PeerConnection | undefined;
  const { openClient, clock } = serveStreams((request) => {
    connection = request.connection;
    return hello();
  });
  const first = openClient().client.request({ method: METHOD.GET, uri: URI });
  await clock.advance(100);
  await first;
  const asked = connection?.request({ method: METHOD.GET, uri: connection.origin });
  await clock.advance(100);
  expect((await asked)?.code).toBe(CODE.NOT_IMPLEMENTED);
});

test("a server observes its client until the connection ends", async () => {
  let wake: (() => void) | undefined;
  let state = 0;
  const observation: ObservationSource = {
    attach: (observer) => {
      wake = () => observer.wake();
      return { next: () => (state > 1 ? null : { code: CODE.CONTENT, payload: Buffer.from(String(++state)) }) };
    },
  };
  const { connection, clock, streams } = await connectBothWays(() => ({
    code: CODE.CONTENT,
    payload: Buffer.from("0"),
    observation,
  }));
  const seen: string[] = [];
  const ends: unknown[] = [];
  connection.observe(
    { method: METHOD.GET, uri: connection.origin },
    { onNotification: ({ payload }) => void seen.push(text(payload)), onEnd: (reason) => void ends.push(reason) },
  );
  await clock.advance(100);
  wake?.();
  await clock.advance(100);
  expect(seen).toEqual(["0", "1", "2"]);
  streams.cutAll();
  await clock.advance(100);
  expect(ends).toMatchObject([{ code: "UNREACHABLE" }]);
});

test("a connection that is held outlives idleness; its end is reported once, also afterwards", async () => {
  const { connection, clock, client, server } = await connectBothWays(hello, { idleMs: 60_000 });
  const letGo = connection.hold();
  let ends = 0;
  connection.onClosed(() => void ends++);
  await clock.advance(600_000);
  expect(server.tableSizes().connections).toBe(1);
  expect(connection.isOpen).toBe(true);
  letGo();
  void client.close();
  await clock.advance(5000);
  expect({ ends, isOpen: connection.isOpen }).toEqual({ ends: 1, isOpen: false });
  connection.onClosed(() => void ends++);
  await clock.advance(1);
  expect(ends).toBe(2);
  await expect(connection.request({ method: METHOD.GET, uri: connection.origin })).rejects.toMatchObject({
    code: "UNREACHABLE",
  });
});

test("a client that stops responding is found out by a ping while it is held", async () => {
  const { connection, clock, streams } = await connectBothWays(hello, { keepAliveMs: 30_000 });
  connection.hold();
  let ends = 0;
  connection.onClosed(() => void ends++);
  streams.silenceAll();
  await clock.advance(120_000);
  expect(ends).toBe(1);
});

const UNKNOWN_SAFE = 65_001;
const UNKNOWN_UNSAFE = 65_003;

test.each([
  { name: "OSCORE is passed on", number: OPTION.OSCORE, relays: true, code: CODE.CONTENT },
  {
    name: "an unknown option that is safe to forward is passed on",
    number: UNKNOWN_SAFE,
    relays: true,
    code: CODE.CONTENT,
  },
  { name: "an unsafe one is refused", number: UNKNOWN_UNSAFE, relays: true, code: CODE.BAD_OPTION },
  { name: "a server that relays nothing refuses it", number: UNKNOWN_SAFE, relays: false, code: CODE.BAD_OPTION },
])("RFC 7252 section 5.7.1: of a relayed request, $name", async ({ number, relays, code }) => {
  const handler: RequestHandler = Object.assign(hello, { relays: () => relays });
  const { openClient, clock } = serveStreams(handler);
  const options = [{ number, value: Buffer.from("v") }];
  const asked = openClient().client.request({ method: METHOD.GET, uri: URI, options });
  await clock.advance(100);
  expect((await asked).code).toBe(code);
});

test.each([
  { name: "OSCORE", number: OPTION.OSCORE, isRelayed: true, isTaken: true },
  { name: "an unsafe option", number: UNKNOWN_UNSAFE, isRelayed: true, isTaken: false },
  { name: "OSCORE in a response for this client itself", number: OPTION.OSCORE, isRelayed: false, isTaken: false },
])("RFC 7252 section 5.7.1: of a response, $name", async ({ number, isRelayed, isTaken }) => {
  const options = [{ number, value: Buffer.from("v") }];
  const { openClient, clock } = serveStreams(() => ({ ...hello(), options }));
  const asked = openClient()
    .client.request({ method: METHOD.GET, uri: URI, isRelayed })
    .then(
      (response) => response.options.some((option) => option.number === number),
      (error) => error.code,
    );
  await clock.advance(100);
  expect(await asked).toBe(isTaken ? true : "MALFORMED");
});

test("RFC 9175 section 2.3: a relayed challenge is the other client's to answer", async () => {
  let requests = 0;
  const { openClient, clock } = serveStreams(() => {
    requests++;
    return { code: CODE.UNAUTHORIZED, options: [{ number: OPTION.ECHO, value: Buffer.from("12345678") }] };
  });
  const asked = openClient().client.request({ method: METHOD.PUT, uri: URI, isRelayed: true });
  await clock.advance(100);
  expect({ code: (await asked).code, requests }).toEqual({ code: CODE.UNAUTHORIZED, requests: 1 });
});
