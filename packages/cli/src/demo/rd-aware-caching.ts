import { countLookups } from "./lookup-count.js";
import { defineScenario, PATIENCE } from "./scenario.js";

const FAMILY = "rt=core.s&rt=ex.temperature&ex.building=8341";
const TITLES = 1000;

/** Draft 4.3: a proxy detects what its lookups have in common, and replicates that. */
export const rdAwareCaching = defineScenario<"central" | "proxy">({
  name: "4.3",
  summary: "RD-aware caching: a thousand different lookups of one shape cost a handful of requests",
  roles: {
    central: () => "registration: {}",
    proxy: (uris) =>
      `lookup: { upstreams: [{ name: central, uri: "${uris.central}", mode: auto }], timeout: ${PATIENCE} }`,
  },
  run: async ({ hosts, narrator }) => {
    const { uris, env } = hosts;
    const status = () => hosts.node("proxy").upstreams()[0];

    await narrator.title("An RD with the sensors of two buildings, and a proxy in mode auto (draft 4.3)");
    narrator.say(`central ${uris.central}  RD`);
    narrator.say(`proxy   ${uris.proxy}  forwards lookups, and looks for families of them`);
    await narrator.until("the proxy to find the RD", () => status()?.phase === "live");
    for (let index = 0; index < 200; index++) {
      const building = index % 2 === 0 ? "8341" : "8342";
      await narrator.ask(
        "POST",
        `${uris.central}/rd?ep=sensor${index}&ex.building=${building}&base=coap://sensor${index}.example`,
        `</t>;rt="core.s ex.temperature";title="T${index}"`,
      );
    }
    narrator.say("200 sensors have registered, 100 in each building.");
    const asked = countLookups(hosts.node("central"));

    await narrator.title("Lookups of one shape, each for another title");
    const lookup = (title: number) => `${uris.proxy}/rd-lookup/res?${FAMILY}&title=T${title}`;
    for (let title = 0; title < 6; title += 2) await narrator.show("GET", lookup(title));
    narrator.say(`The RD was asked ${asked.times()}. The proxy begins to detect a family:`);
    for (let title = 6; status()?.isComplete !== true; title += 2) await narrator.ask("GET", lookup(title));
    const { coverage = [], registrations = 0 } = status() ?? {};
    const filter = coverage.map((one) => one.map(({ name, value }) => `${name}=${value}`).join("&"));
    narrator.say(
      `It has replicated ${filter.join(" and ")}, ${registrations} registrations, and keeps following them.`,
    );

    await narrator.title(`${TITLES} more, most of them for titles that nobody has asked for yet`);
    asked.reset();
    const startMs = env.clock.nowMs();
    for (let title = 0; title < TITLES; title++) await narrator.ask("GET", lookup(title));
    narrator.say(`They took ${narrator.since(startMs)}. The RD was asked ${asked.times()}.`);
    if (asked.count() > 0) throw new Error("the RD was asked");

    await narrator.title(
      "The title may also be an attribute of the endpoint: the result is that of the RD (draft 4.3.1)",
    );
    await narrator.ask(
      "POST",
      `${uris.central}/rd?ep=panel&ex.building=8341&title=T1&base=coap://panel.example`,
      '</t>;rt="core.s ex.temperature"',
    );
    await narrator.until("the panel at the proxy", () => (status()?.registrations ?? 0) > registrations);
    await narrator.show("GET", lookup(1));
    narrator.say("Other lookups still go to the RD:");
    await narrator.show("GET", `${uris.proxy}/rd-lookup/ep?ep=sensor7`);
    narrator.say(`It was asked ${asked.times()}.`);
  },
});
