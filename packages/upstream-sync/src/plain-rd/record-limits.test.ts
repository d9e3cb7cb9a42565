import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { follow } from "../testing/following.js";
import { PLAIN_RD_URI, PlainRd, type Quirks } from "../testing/plain-rd.js";

const many = <T>(count: number, item: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => item(at));
const FINE = { href: "/reg/x/", links: ["/t>"] };

/** What an RD may show of a registration that has more than one here may have. */
const CASES = [
  { name: "attributes", entry: { ...FINE, attributes: many(65, (at) => `a${at}=1`).join(";") } },
  { name: "an attribute", entry: { ...FINE, attributes: `a="${"x".repeat(300)}"` } },
  { name: "a sector", entry: { ...FINE, d: "d".repeat(260) } },
  { name: "a resource", entry: { ...FINE, href: `/${"r".repeat(1100)}` } },
  { name: "links", entry: { ...FINE, links: many(4097, (at) => `/${at}>`) } },
  { name: "bytes of links", entry: { ...FINE, links: [`/t>;title="${"x".repeat(66_000)}"`] } },
];

/** How its links are found out. */
const WAYS: Record<string, Quirks> = {
  "by name": {},
  "by provenance": { provenance: "on-request" },
  "by reading each registration": { silentOn: ["ep=", "href="] },
  "by polling": { observe: "ignored" },
};

describe.each(Object.entries(WAYS))("limits of registrations hold for those of a plain RD, asked %s", (_, quirks) => {
  test.each(CASES)("too much: $name", async ({ entry }) => {
    const world = createVirtualWorld();
    const rd = new PlainRd(world, quirks);
    rd.register("a1");
    rd.register("large", entry);
    const lp = follow(world, { uri: PLAIN_RD_URI, pollMs: 2000 });
    await lp.untilLive(900_000);
    expect(lp.endpoints()).toEqual(["a1"]);
    expect(Object.fromEntries(lp.upstream.status().leftOut)).toMatchObject({ "beyond-limits": 1 });
    expect(lp.upstream.status().lossyCoverage).toHaveLength(1);
    // As it should be at last, it is taken.
    rd.remove(entry.href);
    rd.register("large", FINE);
    await lp.until(() => lp.endpoints().join() === "a1,large", 900_000);
    await lp.until(() => lp.upstream.status().leftOut.size === 0, 900_000);
    await lp.upstream.close({ isAbrupt: true });
  });
});
