import { createVirtualClock } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import { searchByMulticast } from "./directory-search.js";
import type { GroupControl, GroupResponse } from "./endpoint-client.js";

const ETH0 = ["192.0.2.9/24", "fe80::9/64"];

interface PlannedAnswer {
  readonly atMs: number;
  readonly address: string;
  readonly payload?: string;
  readonly code?: string;
}

/** Search on a network where the first group that is asked answers so. */
async function search(
  answers: readonly PlannedAnswer[],
  interfaces: Record<string, readonly string[]> = { eth0: ETH0 },
) {
  const clock = createVirtualClock();
  const asked: string[] = [];
  const requestGroup = (uri: string, { waitMs, signal, via, onResponse }: GroupControl): Promise<GroupResponse[]> => {
    asked.push(`${uri.replace(/\/\.well-known.*/, "")} ${via}`);
    if (asked.length === 1)
      for (const { atMs, address, code = "2.05", payload = "</rd>;rt=core.rd" } of answers)
        clock.setTimer(atMs, () => {
          if (signal.aborted || atMs > waitMs) return;
          const response = { code, payload: Buffer.from(payload), locationPath: [], locationQuery: [] };
          onResponse?.({ ...response, address, port: 5683 });
        });
    return new Promise((resolve) => {
      const timer = clock.setTimer(waitMs, () => resolve([]));
      signal.addEventListener("abort", () => {
        timer.cancel();
        resolve([]);
      });
    });
  };
  const list = () =>
    Object.fromEntries(Object.entries(interfaces).map(([name, cidrs]) => [name, cidrs.map((cidr) => infoOf(cidr))]));
  let found: string[] | null = null;
  const signal = new AbortController().signal;
  void searchByMulticast({ client: { requestGroup }, clock, listInterfaces: list }, "core.rd", { signal }).then(
    (origins) => {
      found = origins;
    },
  );
  await clock.runUntil(() => found !== null, 60_000);
  return { found: found as unknown as string[], tookMs: clock.nowMs(), asked };
}

function infoOf(cidr: string) {
  const [address = ""] = cidr.split("/");
  const common = { address, netmask: "", mac: "", internal: false, cidr };
  return address.includes(":")
    ? { ...common, family: "IPv6" as const, scopeid: 2 }
    : { ...common, family: "IPv4" as const };
}

test("RFC 9176 section 9.5: the groups of all RDs and all CoAP nodes are asked, on every interface", async () => {
  const { asked } = await search([], { lo: ["127.0.0.1/8"], eth0: ETH0, tun0: ["198.51.100.1/32"] });
  expect(asked.sort()).toEqual([
    "coap://224.0.1.187 192.0.2.9",
    "coap://224.0.1.187 198.51.100.1",
    "coap://224.0.1.190 192.0.2.9",
    "coap://224.0.1.190 198.51.100.1",
    "coap://[ff02::fd] ::%eth0",
    "coap://[ff02::fe] ::%eth0",
    "coap://[ff05::fd] ::%eth0",
    "coap://[ff05::fe] ::%eth0",
  ]);
});

test("RFC 7252 section 8.2: servers may take their Leisure and the way there and back", async () => {
  const { found } = await search([{ atMs: 6900, address: "192.0.2.1" }]);
  expect(found).toEqual(["coap://192.0.2.1"]);
});

test("others are waited for a second only once one is found", async () => {
  const { found, tookMs } = await search([
    { atMs: 300, address: "192.0.2.1" },
    { atMs: 900, address: "192.0.2.2" },
    { atMs: 950, address: "192.0.2.1" },
    { atMs: 2000, address: "192.0.2.3" },
  ]);
  expect(found).toEqual(["coap://192.0.2.1", "coap://192.0.2.2"]);
  expect(tookMs).toBe(1300);
});

test("an address of one link only does not end the search, and comes last", async () => {
  const { found } = await search([
    { atMs: 300, address: "fe80::1%eth0" },
    { atMs: 4000, address: "192.0.2.1" },
  ]);
  expect(found).toEqual(["coap://192.0.2.1", "coap://[fe80::1%25eth0]"]);
});

test.each([
  { name: "an error", answer: { atMs: 1, address: "192.0.2.1", code: "4.04" } },
  { name: "another resource", answer: { atMs: 1, address: "192.0.2.1", payload: "</x>;rt=core.rd-lookup-ep" } },
  { name: "no link format", answer: { atMs: 1, address: "192.0.2.1", payload: "\ufffd<<" } },
])("what is no RD is not found: $name", async ({ answer }) => {
  const { found, tookMs } = await search([answer]);
  expect([found, tookMs]).toEqual([[], 7000]);
});
