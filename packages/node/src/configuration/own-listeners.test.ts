import { describe, expect, test } from "vitest";
import { checkConfig } from "./check-configuration.js";
import { loadConfig } from "./load-configuration.js";

const HOST = () => ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::7", "fe80::7"];

function messages(listen: string | undefined, upstream: string, more = ""): string[] {
  const text = `${listen === undefined ? "" : `listen: [${listen}]\n`}lookup:\n  upstreams:\n    - ${upstream}\n${more}`;
  const result = checkConfig(text, "-", HOST);
  return result.ok ? [] : result.errors.map(({ line, column, message }) => `${line}:${column}: ${message}`);
}

describe("an upstream that is this node itself", () => {
  test.each([
    { listen: undefined, upstream: "coap://localhost", isOwn: true },
    { listen: undefined, upstream: "coap://LOCALHOST:5683", isOwn: true },
    { listen: undefined, upstream: "coap://127.0.0.1", isOwn: true },
    { listen: undefined, upstream: "coap://[0:0::1]:5683", isOwn: true },
    { listen: undefined, upstream: "coap://127.0.0.1:5684", isOwn: false },
    { listen: undefined, upstream: "coap+tcp://localhost", isOwn: false },
    { listen: undefined, upstream: "coap://192.0.2.7", isOwn: false },
    { listen: '"coap://[::]"', upstream: "coap://[2001:db8::7]", isOwn: true },
    { listen: '"coap://[::]"', upstream: "coap://192.0.2.7", isOwn: true },
    { listen: '"coap://[::]"', upstream: "coap://localhost", isOwn: true },
    { listen: '"coap://[::]"', upstream: "coap://[2001:db8::8]", isOwn: false },
    { listen: '"coap://[::]"', upstream: "coap://192.0.2.7:7000", isOwn: false },
    { listen: '"coap://[::]:7000"', upstream: "coap://192.0.2.7:7000", isOwn: true },
    { listen: '"coap://[::]"', upstream: "coap+tcp://192.0.2.7", isOwn: false },
    { listen: '"coap+tcp://[::]"', upstream: "coap+tcp://192.0.2.7", isOwn: true },
    { listen: '"coap://0.0.0.0"', upstream: "coap://192.0.2.7", isOwn: true },
    { listen: '"coap://0.0.0.0"', upstream: "coap://[2001:db8::7]", isOwn: false },
    // It may lead to either address, of which one is not listened on.
    { listen: '"coap://0.0.0.0"', upstream: "coap://localhost", isOwn: false },
    { listen: '"coap://127.0.0.1", "coap://[::1]"', upstream: "coap://localhost", isOwn: true },
    { listen: '"coap://[2001:db8::7]"', upstream: "coap://192.0.2.7", isOwn: false },
    // A link-local address belongs to its link, and a name may lead anywhere.
    { listen: '"coap://[::]"', upstream: "coap://[fe80::7%25eth0]", isOwn: false },
    { listen: '"coap://[::]"', upstream: "coap://rd.example", isOwn: false },
    { listen: '"coap://rd.example"', upstream: "coap://rd.example:5683", isOwn: true },
  ])("$upstream beside listen $listen: $isOwn", ({ listen, upstream, isOwn }) => {
    const found = messages(listen, `"${upstream}"`);
    expect(found).toEqual(isOwn ? [expect.stringContaining("is this node itself; remove it")] : []);
  });

  test("the position in the file is reported", () => {
    expect(messages('"coap://[::]"', '{ name: a, uri: "coap://192.0.2.7" }')).toEqual([
      "4:23: coap://192.0.2.7 is this node itself; remove it",
    ]);
  });

  test("another name of an upstream is not this node, and neither is a peer with the same address", () => {
    const named = '{ uri: "coap://rd.example", authorities: ["coap://192.0.2.7"] }';
    expect(messages('"coap://[::]"', named)).toEqual([expect.stringContaining("is this node itself; remove it")]);
    const peers = 'name: a\nanycast:\n  peers:\n    - { name: b, uri: "coap://192.0.2.7" }\n';
    expect(messages('"coap://[::]"', '"coap://rd.example"', peers)).toEqual([
      expect.stringContaining("is an address of this node; write the peer's own one"),
    ]);
  });

  test("the examples are refused nowhere but on the hosts that they name", () => {
    const file = new URL("../../../../deploy/examples/region.yaml", import.meta.url).pathname;
    expect(loadConfig(file, () => ["2001:db8:e::1"]).ok).toBe(true);
  });
});
