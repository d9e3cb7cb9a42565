import { silentLogger } from "@tributary/runtime";
import { describe, expect, test } from "vitest";
import { blockOption } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import { stringOption, uintOption } from "../message/option-values.js";
import { content } from "../testing/observable-resource.js";
import { serveEndpoint } from "../testing/served-endpoint.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import { traceDatagram } from "./datagram-trace.js";
import { encodeDatagram } from "./message-codec.js";

type Fields = Readonly<Record<string, unknown>>;

function tracing() {
  const lines: Fields[] = [];
  const logger = { ...silentLogger, trace: (_message: string, fields: Fields = {}) => void lines.push(fields) };
  return { lines, logger };
}

const PEER = { address: "2001:db8::9", port: 5683 };

function traced(options: Parameters<typeof encodeDatagram>[3]["options"], payload = "") {
  const { lines, logger } = tracing();
  const message = { code: METHOD.GET, options, payload: Buffer.from(payload) };
  traceDatagram(logger, "in", PEER, encodeDatagram(0, 7, Uint8Array.of(1, 0xff), message));
  return lines[0];
}

describe("one line for each message", () => {
  test("both directions of an exchange", async () => {
    const { lines, logger } = tracing();
    const served = serveEndpoint({ handler: () => content("hello") }, createVirtualWorld({ logger }));
    const client = served.peer();
    client.send({ messageId: 9, token: [1, 2], path: "/a/b", query: ["rt=x"] });
    await served.clock.advance(10);
    const peer = "[2001:db8::2]:40000";
    const token = "0102";
    const request = { type: "CON", code: "0.01 GET", options: "Uri-Path=a Uri-Path=b Uri-Query=rt=x", payload: 0 };
    const response = { type: "ACK", code: "2.05 Content", options: "Content-Format", payload: 5 };
    expect(lines).toEqual([
      { dir: "in", peer, mid: 9, token, ...request },
      { dir: "out", peer, mid: 9, token, ...response },
    ]);
  });

  test.each([
    { name: "numbers", option: uintOption(OPTION.MAX_AGE, 300), text: "Max-Age=300" },
    { name: "blocks", option: blockOption(OPTION.BLOCK2, { num: 3, more: true, szx: 6 }), text: "Block2=3/more/1024" },
    { name: "opaque values", option: { number: OPTION.ETAG, value: Uint8Array.of(0, 255) }, text: "ETag=00ff" },
    { name: "options without a name", option: { number: 65_000, value: Uint8Array.of(1) }, text: "65000=01" },
    {
      name: "control characters",
      option: stringOption(OPTION.URI_PATH, "a\n\u001bb"),
      text: 'Uri-Path="a\\n\\u001bb"',
    },
    { name: "what is not UTF-8", option: { number: OPTION.URI_PATH, value: Uint8Array.of(0xff) }, text: "Uri-Path=ff" },
    {
      name: "long values",
      option: stringOption(OPTION.URI_PATH, "x".repeat(255)),
      text: `Uri-Path=${"x".repeat(64)}…`,
    },
  ])("$name", ({ option, text }) => {
    expect(traced([option])?.options).toBe(text);
  });

  test("is bounded, whatever the message", () => {
    const fields = traced(
      Array.from({ length: 100 }, () => stringOption(OPTION.URI_QUERY, "\u0001".repeat(200))),
      "x",
    );
    expect(JSON.stringify(fields).length).toBeLessThan(2000);
  });

  test("datagrams that are no message", () => {
    const { lines, logger } = tracing();
    traceDatagram(logger, "in", PEER, Uint8Array.of(1, 2, 3));
    traceDatagram(logger, "out", PEER, Uint8Array.of(0x4f, CODE.CONTENT, 0, 5));
    expect(lines).toEqual([
      { dir: "in", peer: "[2001:db8::9]:5683", not: "coap", bytes: 3 },
      { dir: "out", peer: "[2001:db8::9]:5683", type: "CON", mid: 5, malformed: true },
    ]);
  });
});
