import { type Link, parseLinkFormat, resolveLink } from "@tributary/link-model";
import { DEFAULT_RECORD_LIMITS, type Registration } from "@tributary/merge-engine";
import { describe, expect, test } from "vitest";
import { fitsPatch } from "./entry-fit.js";
import { maxPatchBytes } from "./patch-bounds.js";
import { createChangeLog } from "./publisher/change-log.js";
import { createFeedReader } from "./reader/feed-reader.js";

const limits = DEFAULT_RECORD_LIMITS;
const LONGEST_BASE = `coap://${"h".repeat(243)}`;

/** Link format of `count` short links, and one that has as many anchors. */
function payload(count: number, anchors: number): string {
  return `${"</>,".repeat(count)}</>${';anchor="/"'.repeat(anchors)}`;
}

function linksOf(text: string): readonly Link[] {
  const parsed = parseLinkFormat(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.links;
}

/** What becomes of a registration with these links at a proxy, by way of both feeds. */
function replicated(links: readonly Link[], base: string): number | string {
  const registration: Registration = {
    ...{ href: "/reg/1", ep: "n", base, attributes: [], ltMs: 60_000, renewedAtMs: 0, expiresAtMs: 60_000 },
    expiry: "exact",
    links: links.map((link) => resolveLink(base, link)),
  };
  const log = createChangeLog({ epoch: 1 });
  log.record({ href: "/reg/1", kind: "added", endpointChanged: true, linksChanged: true });
  const reader = createFeedReader({ assumedLifetimeMs: 1000 });
  for (const kind of ["ep", "res"] as const) {
    const patch = log.nextPatch(log.open(kind, [], null), { get: () => registration, nowMs: 0 }, 64_000);
    const outcome = reader.apply(kind, patch?.text ?? "", 0, { get: () => undefined, hrefs: () => [] });
    if (outcome.kind !== "applied") return JSON.stringify(outcome);
    const [change] = outcome.changes;
    if (change?.kind === "put") return change.registration.links.length;
  }
  return "nothing";
}

describe("what an RD takes, a proxy takes", () => {
  test.each([
    { name: "as many links as may be", text: "</>,".repeat(4095).concat("</>"), links: 4096 },
    { name: "as many anchors as fit", text: payload(1, 5900), links: 2 },
    { name: "as many attributes as fit", text: `</>${";a".repeat(32_000)}`, links: 1 },
    {
      name: "names",
      text: `</>${Array.from({ length: 13_000 }, (_, at) => `;${at.toString(36)}a`).join("")}`,
      links: 1,
    },
    { name: "one value", text: `</>;t="${"\\\\".repeat(32_000)}"`, links: 1 },
    { name: "values beyond ASCII", text: `</>;t="${"☃".repeat(21_000)}"`, links: 1 },
  ])("$name", ({ text, links }) => {
    const bytes = new TextEncoder().encode(text).length;
    expect(bytes).toBeLessThanOrEqual(limits.registrationBytes);
    expect(fitsPatch(linksOf(text), bytes, limits)).toBe(true);
    expect(replicated(linksOf(text), LONGEST_BASE)).toBe(links);
  });

  test("what no proxy would take with the longest base does not fit", () => {
    const text = payload(4095, 4400);
    expect(text.length).toBeLessThan(limits.registrationBytes);
    expect(fitsPatch(linksOf(text), text.length, limits)).toBe(false);
    expect(replicated(linksOf(text), LONGEST_BASE)).toContain("malformed");
    // Of full URIs nothing can become longer.
    const full = "<coap://h/>,".repeat(4095).concat("<coap://h/>");
    expect(fitsPatch(linksOf(full), full.length, limits)).toBe(true);
  });

  test("the largest patch follows a larger limit of bytes, and not a smaller one", () => {
    expect(maxPatchBytes({ registrationBytes: 1000 })).toBe(2_097_152);
    expect(maxPatchBytes(limits)).toBe(2_097_152);
    expect(maxPatchBytes({ registrationBytes: 131_072 })).toBe(4_194_304);
    expect(maxPatchBytes({ registrationBytes: 16_777_216 })).toBe(67_108_864);
  });
});
