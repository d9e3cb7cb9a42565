import { parseLinkFormatTolerantly } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { type DiscoveryRules, normalOrigin, readDiscovery } from "./discovery.js";

const read = (document: string, uri = "coap://[2001:db8:23::3]", rules: Partial<DiscoveryRules> = {}) =>
  readDiscovery(parseLinkFormatTolerantly(document).links, uri, { nodeId: "me", ...rules });

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
        hasTcp: false,
        isTributary: false,
        isTier: false,
      },
    });
  });

  test("DIS-11 lookups on another host are followed when there are no own", () => {
    const other = '<coap://other/e>;rt="core.rd-lookup-ep",<coap://other/r>;rt="core.rd-lookup-res"';
    const rules = { elsewhere: true };
    expect(read(other, undefined, rules)).toMatchObject({
      found: { endpointLookup: "coap://other/e", authority: "coap://other" },
    });
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
      readDiscovery(parseLinkFormatTolerantly(document(more)).links, "coap://[2001:db8:23::3]", {
        nodeId: "me",
        isTier,
      });
    expect(readTier(";tributary-tier", true)).toMatchObject({ kind: "found", found: { isTier: true, hasFeed: true } });
    expect(readTier(";tributary-tier", false)).toMatchObject({ kind: "refused" });
    expect(readTier("", true)).toMatchObject({ kind: "refused" });
    expect(readTier(`;tributary-tier;tributary-node="me"`, true)).toMatchObject({ kind: "found" });
  });

  test("this node itself is refused as a tier as well", () => {
    const own =
      '</e>;rt="core.rd-lookup-ep";tributary-node="me";tributary-tier,</r>;rt="core.rd-lookup-res";tributary-node="me";tributary-tier';
    const { links } = parseLinkFormatTolerantly(own);
    expect(readDiscovery(links, "coap://[::1]", { nodeId: "me", isTier: true })).toMatchObject({ kind: "refused" });
  });

  describe("where it may lead", () => {
    const at = (origin: string) => `<${origin}/e>;rt="core.rd-lookup-ep",<${origin}/r>;rt="core.rd-lookup-res"`;
    const isConfigured = (origin: string) => origin === "coap://127.0.0.1:7000";
    const RD = "coap://[2001:db8:23::3]";

    test.each([
      { name: "another host", lookups: "coap://other" },
      { name: "another port", lookups: `${RD}:5684` },
      { name: "another service by TCP", lookups: "coap+tcp://[2001:db8:23::3]:22" },
      { name: "this host", lookups: "coap://127.0.0.1" },
      { name: "an address that is not configured", lookups: "coap://127.0.0.1:7001" },
    ])("not to $name, unless a setting allows it", ({ lookups }) => {
      expect(read(at(lookups))).toEqual({ kind: "elsewhere", reason: expect.stringContaining(`at ${lookups}, which`) });
      expect(read(at(lookups), RD, { isConfigured })).toMatchObject({ kind: "elsewhere" });
    });

    test.each([
      { name: "over TCP at the same host", to: "coap+tcp://rd.example" },
      { name: "over UDP at the same host", to: "coap://rd.example" },
      { name: "at a host that is configured", to: "coap://other.example" },
    ])("lookups without TLS are not followed from an RD with TLS: $name", ({ to }) => {
      const rules = { elsewhere: true, isConfigured: () => true };
      expect(read(at(to), "coaps+tcp://rd.example", rules)).toEqual({
        kind: "elsewhere",
        reason: expect.stringContaining("without TLS"),
      });
    });

    test.each([
      { name: "the same port by TCP", lookups: "coap+tcp://[2001:db8:23::3]", rules: {} },
      { name: "a configured upstream", lookups: "coap://127.0.0.1:7000", rules: { isConfigured } },
      { name: "another host, where that is allowed", lookups: "coap://other:7", rules: { elsewhere: true } },
    ])("to $name", ({ lookups, rules }) => {
      expect(read(at(lookups), RD, rules)).toMatchObject({
        found: { endpointLookup: `${lookups}/e`, authority: lookups },
      });
    });

    test.each([
      { from: RD, to: "coap://127.0.0.1" },
      { from: RD, to: "coap://[::1]:7000" },
      { from: RD, to: "coap://[::ffff:127.0.0.1]" },
      { from: RD, to: "coap://localhost" },
      { from: RD, to: "coap://x.localhost." },
      { from: RD, to: "coap://2130706433" },
      { from: RD, to: "coap://0x7f.1" },
      { from: RD, to: "coap://0.0.0.0" },
      { from: RD, to: "coap://[::]" },
      { from: RD, to: "coap://[fe80::1%25eth0]" },
      { from: RD, to: "coap://169.254.1.1" },
      { from: RD, to: "coap://[ff02::fd]" },
      { from: RD, to: "coap://224.0.1.187" },
      { from: RD, to: "http://other" },
      { from: "coap://rd.example", to: "coap://127.0.0.1" },
      { from: "coap://192.168.0.2", to: "coap://127.0.0.1" },
      { from: "coap://[fe80::2%25eth0]", to: "coap://127.0.0.1" },
      { from: "coap://[fe80::2%25eth0]", to: "coap://[fe80::1%25eth1]" },
    ])("never from $from to $to, whatever the setting", ({ from, to }) => {
      expect(read(at(to), from, { elsewhere: true })).toMatchObject({ kind: "elsewhere" });
    });

    test.each([
      { from: "coap://127.0.0.1", to: "coap://127.0.0.1:7000" },
      { from: "coap://localhost", to: "coap://[::1]:7000" },
      { from: "coap://[fe80::2%25eth0]", to: "coap://[fe80::1%25eth0]" },
      { from: RD, to: "coap+tcp://192.168.0.2:7000" },
    ])("from $from to $to, where a setting allows it", ({ from, to }) => {
      expect(read(at(to), from, { elsewhere: true })).toMatchObject({ kind: "found" });
    });

    test("own lookups are followed, whatever others are named beside them", () => {
      expect(read(`${at("coap://other")},${at("")}`)).toMatchObject({ found: { endpointLookup: `${RD}/e` } });
    });

    test("what is at another name of the RD is asked at the configured address", () => {
      const rules = { authorities: ["coap://rd.example.com"] };
      expect(read(at("coap://RD.example.com:5683"), RD, rules)).toMatchObject({
        found: { endpointLookup: `${RD}/e`, resourceLookup: `${RD}/r`, authority: RD },
      });
    });
  });

  test.each(["", "</e>;rt=core.rd-lookup-ep", "</rd>;rt=core.rd"])("%j offers nothing to follow", (document) => {
    expect(read(document)).toEqual({ kind: "nothing" });
  });

  test("origins compare without case and default port", () => {
    expect(normalOrigin("coap://RD.example:5683/x")).toBe(normalOrigin("coap://rd.example"));
    expect(normalOrigin("coap://[::1]:5684")).not.toBe(normalOrigin("coap://[::1]"));
  });
});
