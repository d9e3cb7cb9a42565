import { PassThrough } from "node:stream";
import { runCli } from "@tributary/cli";
import { CODE, createServer, METHOD, openCoapClient } from "@tributary/coap-transport";
import { silentLogger, systemClock } from "@tributary/runtime";
import { expect, test } from "vitest";
import { FakeIo } from "./fake-node.js";

async function serving<T>(uri: string, run: (uri: string) => Promise<T>): Promise<T> {
  const links = (text: string) => () => ({ code: CODE.CONTENT, contentFormat: 40, payload: Buffer.from(text) });
  const server = createServer()
    .get("/.well-known/core", links('</lookup>;rt="core.rd-lookup-ep"'))
    .get("/lookup", links('<coap://host/reg/1>;ep="one"'));
  const listener = await server.listen(uri);
  try {
    return await run(listener.uri);
  } finally {
    await listener.close();
  }
}

test.each([
  { args: [], traced: false },
  { args: ["--trace", "coap"], traced: true },
])("lookup with $args", async ({ args, traced }) => {
  await serving("coap://127.0.0.1:0", async (uri) => {
    const stderr = new PassThrough();
    const io = Object.assign(new FakeIo(), { stderr });
    expect(await runCli(["lookup", "ep", "--at", uri, ...args], io)).toBe(0);
    const peer = uri.slice("coap://".length);
    const lines = String(stderr.read() ?? "")
      .split("\n")
      .filter((line) => line.includes(" trace coap "));
    const directions = lines.map((line) => /dir=(\w+) peer=(\S+) type=(\w+) code="([^"]*)"/.exec(line)?.slice(1));
    const exchange = [
      ["out", peer, "CON", "0.01 GET"],
      ["in", peer, "ACK", "2.05 Content"],
    ];
    expect(directions).toEqual(traced ? [...exchange, ...exchange] : []);
  });
});

test("an unknown kind of trace is an error of the command line", async () => {
  expect(await runCli(["lookup", "ep", "--trace", "http"], new FakeIo())).toBe(2);
});

test("messages over TCP", async () => {
  await serving("coap+tcp://127.0.0.1:0", async (uri) => {
    const lines: unknown[] = [];
    const logger = {
      ...silentLogger,
      trace: (message: string, fields = {}) => void lines.push({ message, ...fields }),
    };
    const client = await openCoapClient({ env: { clock: systemClock(), random: Math.random, logger } });
    await client.request({ method: METHOD.GET, uri: `${uri}/lookup` });
    await client.close();
    const peer = uri.slice("coap+tcp://".length);
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ message: "coap+tcp", dir: "out", peer, code: "7.01 CSM" }),
        expect.objectContaining({ dir: "out", code: "0.01 GET", options: "Uri-Path=lookup", payload: 0 }),
        expect.objectContaining({ dir: "in", code: "2.05 Content" }),
      ]),
    );
  });
});
