import { expect, test } from "vitest";
import { CountingRelay } from "../harness/counting-relay.js";
import { openNode, openTestClient } from "../harness/nodes.js";
import { coapClient, describeWithPeers, eventually } from "../peers/peers.js";

describeWithPeers(["libcoap"], "a region above two sites", () => {
  test("LPX-02 LPX-23 it follows the proxies of the sites, knows the origin of everything, and costs the RDs nothing", {
    timeout: 180_000,
  }, async () => {
    const client = await openTestClient();
    const sites = [];
    for (const name of ["north", "south"]) {
      const rd = await openNode("registration: {}");
      const relay = await CountingRelay.open(rd.uri);
      const proxy = await openNode(`lookup: { upstreams: [{ name: ${name}, uri: "${relay.uri}" }] }`);
      const tier = await CountingRelay.open(proxy.uri);
      sites.push({ name, rd, relay, proxy, tier });
    }
    const [north, south] = sites as [(typeof sites)[0], (typeof sites)[0]];
    const upstreams = sites.map(({ name, tier }) => `{ name: ${name}, uri: "${tier.uri}", tier: true }`);
    const region = await openNode(`lookup: { upstreams: [${upstreams.join(", ")}] }`);
    await eventually(() => region.upstreams().every(({ phase }) => phase === "live"), { what: "the tiers" });
    const quiet = sites.map(({ relay, tier }) => [relay.requests.length, tier.requests.length]);

    for (const { name, rd } of sites) {
      await coapClient([
        ...["-m", "post", "-t", "40", "-e", '</t>;rt="temp"'],
        `${rd.uri}/rd?ep=${name}-1&d=f1&lt=1000&base=coap://${name}.example`,
      ]);
    }
    const lookup = (kind: "ep" | "res", ...query: string[]) => client.links(`${region.uri}/rd-lookup/${kind}`, query);
    await eventually(async () => (await lookup("ep")).length === 2, { what: "both at the region" });

    // Provenance is the registration at the RD itself, two tiers away.
    const links = await lookup("res", "rt=temp", "provenance");
    expect(links.map(({ target }) => target).sort()).toEqual(["coap://north.example/t", "coap://south.example/t"]);
    for (const { relay, name } of sites) {
      const [found] = await lookup("res", `ep=${name}-1`, "provenance");
      const provenance = found?.attributes.find(([attribute]) => attribute === "provenance")?.[1] as string;
      expect(provenance.startsWith(`${relay.uri}/reg/`)).toBe(true);
      expect((await client.get(provenance)).code, "it can be read where it is").toBe(69);
      expect(await client.targets(`${region.uri}/rd-lookup/ep`, [`href=${provenance}`])).toEqual([provenance]);
    }
    for (let count = 0; count < 50; count++) await lookup("res", "rt=temp", `ep=north-1`);
    const since = sites.map(({ relay, tier }, index) => [
      relay.requests.length - (quiet[index]?.[0] ?? 0) - 1,
      tier.requests.length - (quiet[index]?.[1] ?? 0),
    ]);
    expect(since, "one read of each registration; everything else arrived by itself").toEqual([
      [0, 0],
      [0, 0],
    ]);

    // It moves from south to north: the region shows the newer one alone.
    await client.register(north.rd.uri, ["ep=south-1", "d=f1", "base=coap://south.example"], '</new>;rt="temp"');
    await eventually(async () => (await lookup("res", "ep=south-1"))[0]?.target === "coap://south.example/new", {
      what: "the move",
    });
    expect(await lookup("ep", "ep=south-1")).toHaveLength(1);

    // Cut off from a site, the region goes on with what it knows; and catches up.
    south.tier.isCut = true;
    await client.register(south.rd.uri, ["ep=late", "base=coap://late.example"], "</l>");
    expect(await lookup("ep", "d=f1")).toHaveLength(2);
    south.tier.isCut = false;
    await eventually(async () => (await lookup("ep", "ep=late")).length === 1, {
      what: "the late one",
      timeoutMs: 60_000,
    });
  });

  test("a lifetime that ends at the RD ends two tiers away at the same time", async () => {
    const client = await openTestClient();
    const rd = await openNode("registration: {}");
    const relay = await CountingRelay.open(rd.uri);
    const site = await openNode(`lookup: { upstreams: [{ name: rd, uri: "${relay.uri}" }] }`);
    const region = await openNode(`lookup: { upstreams: [{ name: site, uri: "${site.uri}", tier: true }] }`);
    await eventually(() => region.upstreams().every(({ phase }) => phase === "live"), { what: "the tier" });
    const atMs = performance.now();
    await client.register(rd.uri, ["ep=brief", "lt=4", "base=coap://brief.example"]);
    const shown = () => client.targets(`${region.uri}/rd-lookup/ep`);
    await eventually(async () => (await shown()).length === 1, { what: "it at the region" });
    const [href = ""] = [...region.directory.hrefs("site")];
    const endsAtMs = region.directory.get("site", href)?.expiresAtMs ?? 0;
    // Nobody can tell the region: it has to know.
    relay.isCut = true;
    await rd.close();
    await eventually(async () => (await shown()).length === 0, { what: "its end" });
    const tookMs = performance.now() - atMs;
    expect(tookMs).toBeGreaterThan(3000);
    // When it is seen to be gone depends on the machine.
    expect(endsAtMs - atMs).toBeLessThan(5500);
  });

  test("two proxies that follow each other show everything once, and ask each other nothing in circles", async () => {
    const client = await openTestClient();
    const rd = await openNode("registration: {}");
    const [front, back] = [await CountingRelay.open("coap://[::1]:9"), await CountingRelay.open("coap://[::1]:9")];
    const one = await openNode(
      `lookup: { upstreams: [{ name: rd, uri: "${rd.uri}" }, { name: other, uri: "${back.uri}", tier: true }] }`,
    );
    const other = await openNode(
      `registration: {}\nlookup: { upstreams: [{ name: one, uri: "${front.uri}", tier: true }] }`,
    );
    front.redirect(one.uri);
    back.redirect(other.uri);
    await eventually(() => [one, other].every((node) => node.upstreams().every(({ phase }) => phase === "live")), {
      what: "both to follow each other",
      timeoutMs: 60_000,
    });
    await client.register(rd.uri, ["ep=a", "base=coap://a.example"]);
    await client.register(other.uri, ["ep=b", "base=coap://b.example"]);
    for (const node of [one, other]) {
      await eventually(async () => (await client.targets(`${node.uri}/rd-lookup/ep`)).length === 2, { what: "both" });
    }
    const settled = [front.requests.length, back.requests.length];
    await client.remove(`${rd.uri}${(await client.targets(`${rd.uri}/rd-lookup/ep`, ["ep=a"]))[0]}`);
    for (const node of [one, other]) {
      await eventually(async () => (await client.targets(`${node.uri}/rd-lookup/ep`)).length === 1, { what: "one" });
    }
    expect([front.requests.length, back.requests.length]).toEqual(settled);
  });
});
