import { createDirectory, type Registration } from "@tributary/merge-engine";
import { describe, expect, test } from "vitest";
import { type PublishedChange, visibleRegistrations } from "./published-registrations.js";

function registration(href: string, ep: string, renewedAtMs: number, more: Partial<Registration> = {}): Registration {
  return {
    href,
    ep,
    base: `coap://${ep}`,
    attributes: [],
    links: [],
    ltMs: 10_000,
    renewedAtMs,
    expiresAtMs: renewedAtMs + 10_000,
    expiry: "exact",
    ...more,
  };
}

function setUp() {
  const directory = createDirectory();
  directory.openSource("local", { authority: null });
  for (const name of ["a", "b"]) directory.openSource(name, { authority: `coap://rd-${name}` });
  for (const name of directory.sources()) directory.setConnected(name, true, 0);
  const published = visibleRegistrations(directory, "lp-1");
  const events: string[] = [];
  const listen = () =>
    published.onChange(({ kind, href, registration: { via } }: PublishedChange) => {
      events.push(`${kind} ${href} via ${via?.join(" ")}`);
    });
  return { directory, published, events, listen };
}

describe("what a proxy publishes to one above it", () => {
  test("everything that is shown, under the URI of its RD, with this node behind those it came through", () => {
    const { directory, published } = setUp();
    directory.put("local", registration("/reg/1", "own", 0), 0);
    directory.put("a", registration("/reg/2", "n", 0), 0);
    directory.put("b", registration("coap://rd-c/reg/3", "m", 0, { via: ["lp-0"] }), 0);
    const all = [...published.hrefs()].sort();
    expect(all).toEqual(["/reg/1", "coap://rd-a/reg/2", "coap://rd-c/reg/3"]);
    expect(all.map((href) => published.get(href)?.via)).toEqual([["lp-1"], ["lp-1"], ["lp-0", "lp-1"]]);
    expect(published.get("coap://rd-a/reg/2")).toMatchObject({ href: "coap://rd-a/reg/2", ep: "n" });
    expect(published.get("coap://rd-a/reg/9")).toBeUndefined();
  });

  test("an endpoint that moves is one removal and one addition; a renewal is one", () => {
    const { directory, events, listen } = setUp();
    listen();
    directory.put("a", registration("/reg/1", "n", 0), 0);
    directory.put("b", registration("/reg/1", "n", 100), 100);
    directory.renew("b", "/reg/1", { renewedAtMs: 200, expiresAtMs: 20_000 }, 200);
    directory.renew("a", "/reg/1", { renewedAtMs: 150, expiresAtMs: 20_000 }, 200);
    directory.remove("b", "/reg/1", 300);
    directory.remove("a", "/reg/1", 300);
    expect(events).toEqual([
      "added coap://rd-a/reg/1 via lp-1",
      "removed coap://rd-a/reg/1 via lp-1",
      "added coap://rd-b/reg/1 via lp-1",
      "renewed coap://rd-b/reg/1 via lp-1",
      "removed coap://rd-b/reg/1 via lp-1",
      "added coap://rd-a/reg/1 via lp-1",
      "removed coap://rd-a/reg/1 via lp-1",
    ]);
  });

  test("another route to the same registration is published as a change", () => {
    const { directory, published, events, listen } = setUp();
    listen();
    directory.put("a", registration("coap://rd-c/reg/1", "n", 0, { via: ["x", "y"] }), 0);
    directory.put("b", registration("coap://rd-c/reg/1", "n", 0, { via: ["z"] }), 0);
    expect(events).toEqual(["added coap://rd-c/reg/1 via x y lp-1", "replaced coap://rd-c/reg/1 via z lp-1"]);
    expect(published.get("coap://rd-c/reg/1")?.via).toEqual(["z", "lp-1"]);
  });
});
