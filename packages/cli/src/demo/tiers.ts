import { countLookups } from "./lookup-count.js";
import { defineScenario } from "./scenario.js";

type HostName = "rdNorth" | "rdSouth" | "siteNorth" | "siteSouth" | "region";

const SITES = { siteNorth: "rdNorth", siteSouth: "rdSouth" } as const;

/** A tree of lookup proxies: those of two sites, and one of the region above them. */
export const tiers = defineScenario<HostName>({
  name: "tiers",
  summary: "tiers: a regional proxy follows the proxies of the sites, and never their RDs",
  roles: {
    rdNorth: () => "registration: {}",
    rdSouth: () => "registration: {}",
    siteNorth: (uris) =>
      `lookup: { upstreams: [{ name: rd-north, uri: "${uris.rdNorth}" }, { name: region, uri: "${uris.region}", tier: true }] }`,
    siteSouth: (uris) => `lookup: { upstreams: [{ name: rd-south, uri: "${uris.rdSouth}" }] }`,
    region: (uris) =>
      `lookup: { upstreams: [{ name: north, uri: "${uris.siteNorth}", tier: true }, { name: south, uri: "${uris.siteSouth}", tier: true }] }`,
  },
  run: async ({ hosts, narrator }) => {
    const { uris } = hosts;
    await narrator.title("Two sites, each with an RD and a lookup proxy, and a region");
    narrator.say(`north  RD ${uris.rdNorth}, proxy ${uris.siteNorth}`);
    narrator.say(`south  RD ${uris.rdSouth}, proxy ${uris.siteSouth}`);
    narrator.say(`region    proxy ${uris.region}, which follows both proxies (tier: true)`);
    narrator.say("The northern proxy also follows the region. This is a loop, but no registration circulates in it.");
    await narrator.until("every proxy to follow its upstreams", () =>
      (["siteNorth", "siteSouth", "region"] as const).every((host) =>
        hosts
          .node(host)
          .upstreams()
          .every(({ phase }) => phase === "live"),
      ),
    );
    const asked = Object.values(SITES).map((host) => countLookups(hosts.node(host)));

    await narrator.title("A sensor registers in each site");
    for (const rd of Object.values(SITES)) {
      const ep = rd === "rdNorth" ? "sensor-n" : "sensor-s";
      await narrator.show("POST", `${uris[rd]}/rd?ep=${ep}&base=coap://${ep}.example`, {
        payload: '</t>;rt="temperature"',
      });
    }
    await narrator.until("both in the region", () => hosts.node("region").directory.counts().visible === 2);

    await narrator.title("The region lists both, each with its URI at its RD");
    await narrator.show("GET", `${uris.region}/rd-lookup/ep`);
    await narrator.show("GET", `${uris.region}/rd-lookup/res?rt=temperature&provenance`);
    narrator.say(`The RDs were asked ${asked.reduce((sum, one) => sum + one.count(), 0)} times.`);

    await narrator.title("The northern site sees the south through the region");
    await narrator.until("it in the north", () => hosts.node("siteNorth").directory.counts().visible === 2);
    await narrator.show("GET", `${uris.siteNorth}/rd-lookup/ep?ep=sensor-s`);

    await narrator.title("The sensor of the south moves to the north, and registers there");
    await narrator.show("POST", `${uris.rdNorth}/rd?ep=sensor-s&base=coap://sensor-s.example`, {
      payload: '</t>;rt="temperature"',
    });
    await narrator.until(
      "the move in the region",
      () => hosts.node("region").directory.winner("sensor-s", undefined)?.shownHref.startsWith(uris.rdNorth) === true,
    );
    await narrator.show("GET", `${uris.region}/rd-lookup/ep?ep=sensor-s`);

    await narrator.title("The RD and the proxy of the south fail");
    await narrator.ask("POST", `${uris.rdSouth}/rd?ep=lamp&base=coap://lamp.example`, '</l>;rt="light"');
    await narrator.until(
      "the lamp in the region",
      () => hosts.node("region").directory.winner("lamp", undefined) !== undefined,
    );
    await hosts.stop("rdSouth");
    await hosts.stop("siteSouth");
    await narrator.show("GET", `${uris.region}/rd-lookup/res?rt=light`);
    narrator.say("The copy of its registration is used until its lifetime ends, as at every proxy.");
  },
});
