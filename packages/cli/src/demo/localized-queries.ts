import { countLookups } from "./lookup-count.js";
import { defineScenario, PATIENCE } from "./scenario.js";

type HostName = "europe" | "america" | "proxy";

const HERE = "facility23.eu.example.com";
const ELSEWHERE = "facility7.us.example.com";

/** Draft 6.2.1: a proxy replicates the registrations of its own facility, and asks the RDs for the rest. */
export const localizedQueries = defineScenario<HostName>({
  name: "6.2.1",
  summary: "localized queries: registrations of this facility are replicated, all other lookups go to every RD",
  roles: {
    europe: () => "registration: {}",
    america: () => "registration: {}",
    proxy: (uris) =>
      `lookup:\n  timeout: ${PATIENCE}\n  upstreams:\n    - { name: europe, uri: "${uris.europe}", filters: ["d=${HERE}"] }\n    - { name: america, uri: "${uris.america}", filters: ["d=${HERE}"] }`,
  },
  run: async ({ hosts, narrator }) => {
    const { uris } = hosts;
    await narrator.title("Two RDs of a company, and the lookup proxy of one facility (draft 6.2.1)");
    narrator.say(`europe  ${uris.europe}  RD`);
    narrator.say(`america ${uris.america}  RD`);
    narrator.say(`proxy   ${uris.proxy}  follows both with the filter d=${HERE}`);
    await narrator.until("the proxy to follow both", () =>
      hosts
        .node("proxy")
        .upstreams()
        .every(({ phase }) => phase === "live"),
    );

    await narrator.title("Devices of two facilities register; one of this facility is travelling");
    const register = async (rd: "europe" | "america", ep: string, d: string) => {
      const uri = `${uris[rd]}/rd?ep=${ep}&d=${d}&base=coap://${ep}.example`;
      await narrator.show("POST", uri, { payload: '</t>;rt="temperature"' });
    };
    await register("europe", "sensor1", HERE);
    await register("america", "sensor2", ELSEWHERE);
    await register("america", "visitor", HERE);
    await narrator.until("both at the proxy", () => hosts.node("proxy").directory.counts().total === 2);

    const asked = { europe: countLookups(hosts.node("europe")), america: countLookups(hosts.node("america")) };
    const tell = () => narrator.say(`europe was asked ${asked.europe.times()}, america ${asked.america.times()}.`);
    await narrator.title("A lookup within the facility is answered here");
    await narrator.show("GET", `${uris.proxy}/rd-lookup/res?d=${HERE}&rt=temperature`);
    tell();
    if (asked.europe.count() + asked.america.count() > 0) throw new Error("a covered lookup was forwarded");

    await narrator.title("Any other lookup is sent to every RD, once");
    await narrator.show("GET", `${uris.proxy}/rd-lookup/res?rt=temperature`);
    tell();

    await narrator.title("The connection to the RDs is lost");
    await hosts.stop("europe");
    await hosts.stop("america");
    await narrator.show("GET", `${uris.proxy}/rd-lookup/res?d=${HERE}&rt=temperature`);
    narrator.say("Lookups within the facility work as before.");
  },
});
