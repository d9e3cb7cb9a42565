import { parseCoapUri } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { AddressesInUse } from "./addresses-in-use.js";
import { EndpointError, type EndpointErrorCode } from "./errors.js";
import type { Address } from "./first-response.js";

const URI = parseCoapUri("coap://rd.example/rd");
const CONTROL = { timeoutMs: 4000, signal: new AbortController().signal };
const ADDRESSES: Address[] = [
  { address: "2001:db8::1", family: 6 },
  { address: "192.0.2.1", family: 4 },
];

/** A name with two addresses; `failures` says how each of them fails. */
function open(failures: Map<string, EndpointErrorCode> = new Map()) {
  const inUse = new AddressesInUse(async () => ADDRESSES);
  const asked: { address: string; timeoutMs: number }[] = [];
  const request = (method: "GET" | "POST"): Promise<string> =>
    inUse
      .request(URI, { method, uri: "" }, CONTROL, async ({ address }, { timeoutMs }) => {
        asked.push({ address, timeoutMs });
        const code = failures.get(address);
        if (code !== undefined) throw new EndpointError(code, code);
        return address;
      })
      .catch((error: Error) => error.message);
  return { request, asked, failures };
}

test("all addresses are asked what changes nothing, and the first that answers is kept", async () => {
  const { request, asked } = open(new Map([["2001:db8::1", "UNREACHABLE"]]));
  expect(await request("GET")).toBe("192.0.2.1");
  expect(asked).toHaveLength(2);
  expect(await request("POST")).toBe("192.0.2.1");
  expect(asked.slice(2).map(({ address }) => address)).toEqual(["192.0.2.1"]);
});

test("a registration is made at one address only", async () => {
  const { request, asked } = open();
  expect(await request("POST")).toBe("2001:db8::1");
  expect(asked).toHaveLength(1);
});

test("or at the next one when the first is silent, in the same time", async () => {
  const { request, asked } = open(new Map([["2001:db8::1", "TIMEOUT"]]));
  expect(await request("POST")).toBe("192.0.2.1");
  expect(asked.map(({ timeoutMs }) => timeoutMs)).toEqual([2000, 2000]);
});

test.each(["TIMEOUT", "UNREACHABLE"] as const)("%s at the address in use: all are tried again", async (code) => {
  const { request, failures } = open();
  expect(await request("GET")).toBe("2001:db8::1");
  failures.set("2001:db8::1", code);
  expect(await request("GET")).toBe(code);
  expect(await request("GET")).toBe("192.0.2.1");
});

test("a refusal is a response: the address stays", async () => {
  const { request, failures, asked } = open();
  await request("POST");
  failures.set("2001:db8::1", "RESET");
  expect([await request("GET"), await request("GET")]).toEqual(["RESET", "RESET"]);
  expect(new Set(asked.map(({ address }) => address))).toEqual(new Set(["2001:db8::1"]));
});
