import type { Registration } from "@tributary/merge-engine";
import { expect, test } from "vitest";
import { endpointEntryText, readEndpointEntry } from "./feed-entry.js";
import { withoutPrototypes } from "./feed-operations.js";

const CONTEXT = { receivedAtMs: 0, assumedLifetimeMs: 1000 };

test.each([
  ["con", "coap://old"],
  ["proxy", null],
  ["proxy", "on"],
  ["title", "x"],
] as const)("an endpoint attribute %s with the value %j passes through the feed", (name, value) => {
  const registration: Registration = {
    href: "/reg/1",
    ep: "n",
    base: "coap://h",
    attributes: [[name, value]],
    links: [],
    ltMs: 60_000,
    renewedAtMs: 0,
    expiresAtMs: 60_000,
    expiry: "exact",
  };
  const read = readEndpointEntry("/reg/1", withoutPrototypes(JSON.parse(endpointEntryText(registration, 0))), CONTEXT);
  expect(read).toMatchObject({ ok: true, value: { base: "coap://h", attributes: [[name, value]] } });
});

test("con is the base where there is no other, and then no attribute", () => {
  const read = readEndpointEntry("/reg/1", withoutPrototypes({ ep: "n", con: "coap://old" }), CONTEXT);
  expect(read).toMatchObject({ ok: true, value: { base: "coap://old", attributes: [] } });
});
