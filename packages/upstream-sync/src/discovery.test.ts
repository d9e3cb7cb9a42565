import { parseLinkFormatTolerantly } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { normalOrigin, readDiscovery } from "./discovery.js";

const read = (document: string, uri = "coap://[2001:db8:23::3]") =>
  readDiscovery(parseLinkFormatTolerantly(document).links, uri, "me");

describe("RFC 9176 section 4.3, reading discovery", () => {
  test("DIS-11 paths are taken as they are, trailing slashes included", () => {
    expect(
      read(
        '</resourcedirectory/>;rt="core.rd",</endpoint-lookup/>;rt="core.rd-lookup-ep";obs,</resource-lookup/>;rt="core.rd-lookup-res"',
      ),
    ).toEqual({
      kind: "found",
      found: {
        endpointLookup: "coap://[2001:db8:23::3]/endpoint-lookup/",
        resourceLookup: "coap://[2001:db8:23::3]/resource-lookup/",
        registration: "coap://[2001:db8:23::3]/resourcedirectory/",
        authority: "coap://[2001:db8:23::3]",
        hasFeed: false,
        isTributary: false,
        isTier: false,
      },
    });
  });

  test("DIS-11 lookups on another host are followed when there are no own", () => {
    const other = '<coap://other/e>;rt="core.rd-lookup-ep",<coap://other/r>;rt="core.rd-lookup-res"';
    expect(read(other)).toMatchObject({ found: { endpointLookup: "coap://other/e", authority: "coap://other" } });
    expect(read(`${other},</e>;rt="core.rd-lookup-ep",</r>;rt="core.rd-lookup-res"`)).toMatchObject({
      found: { endpointLookup: "coap://[2001:db8:23::3]/e" },
    });
  });

  test("LPX-11 the lookups that RD-C keeps for proxies go before those that it names to clients", () => {
    const document =
      '</rd>;rt="core.rd",<coap://b/e>;rt="core.rd-lookup-ep",<coap://b/r>;rt="core.rd-lookup-res",</rd-lookup/ep>;rt="tributary.feed-ep";ct="40 51",</rd-lookup/res>;rt="tributary.feed-res";ct="40 51"';
    expect(read(document)).toMatchObject({
      found: { endpointLookup: "coap://[2001:db8:23::3]/rd-lookup/ep", hasFeed: true },
    });
  });

  test.each([
    { name: "this node itself", node: "me", ct: "40 51", reason: "this node itself" },
    { name: "another lookup proxy", node: "other", ct: "40", reason: "lookup proxy" },
  ])("LPX-23 $name is refused", ({ node, ct, reason }) => {
    const document = `</e>;rt="core.rd-lookup-ep";ct="${ct}";tributary-node="${node}",</r>;rt="core.rd-lookup-res";ct="${ct}";tributary-node="${node}"`;
    expect(read(document)).toEqual({ kind: "refused", reason: expect.stringContaining(reason) });
  });

  test("a lookup proxy is followed as such where that is asked for, and only if it offers that", () => {
    const document = (more: string) =>
      `</e>;rt="core.rd-lookup-ep";ct=40;tributary-node="lp"${more},</r>;rt="core.rd-lookup-res";ct=40;tributary-node="lp"${more}`;
    const readTier = (more: string, isTier: boolean) =>
      readDiscovery(parseLinkFormatTolerantly(document(more)).links, "coap://[2001:db8:23::3]", "me", isTier);
    expect(readTier(";tributary-tier", true)).toMatchObject({ kind: "found", found: { isTier: true, hasFeed: true } });
    expect(readTier(";tributary-tier", false)).toMatchObject({ kind: "refused" });
    expect(readTier("", true)).toMatchObject({ kind: "refused" });
    expect(readTier(`;tributary-tier;tributary-node="me"`, true)).toMatchObject({ kind: "found" });
  });

  test("this node itself is refused as a tier as well", () => {
    const own =
      '</e>;rt="core.rd-lookup-ep";tributary-node="me";tributary-tier,</r>;rt="core.rd-lookup-res";tributary-node="me";tributary-tier';
    const { links } = parseLinkFormatTolerantly(own);
    expect(readDiscovery(links, "coap://[::1]", "me", true)).toMatchObject({ kind: "refused" });
  });

  test.each(["", "</e>;rt=core.rd-lookup-ep", "</rd>;rt=core.rd"])("%j offers nothing to follow", (document) => {
    expect(read(document)).toEqual({ kind: "nothing" });
  });

  test("origins compare without case and default port", () => {
    expect(normalOrigin("coap://RD.example:5683/x")).toBe(normalOrigin("coap://rd.example"));
    expect(normalOrigin("coap://[::1]:5684")).not.toBe(normalOrigin("coap://[::1]"));
  });
});
