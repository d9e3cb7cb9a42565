import { countLookups } from "./lookup-count.js";
import { defineScenario, PATIENCE } from "./scenario.js";

const LOOKUPS = 1000;
/** Max-Age of a response, ms. */
const FRESH_MS = 60_000;
const SECTOR = "d=facility23.eu.example.com";

/** Draft 4.2: a border router answers the lookups of its site for the central RD. */
export const plainCaching = defineScenario<"central" | "border">({
  name: "4.2",
  summary: "plain caching: a border router in front of a central RD serves a thousand lookups with one request",
  roles: {
    central: () => "registration: {}",
    border: (uris) =>
      `lookup: { upstreams: [{ name: central, uri: "${uris.central}", mode: forward, timeout: ${PATIENCE} }], timeout: ${PATIENCE} }\nadvertise: ['<${uris.central}/rd>;rt="core.rd"']`,
  },
  run: async ({ hosts, narrator }) => {
    const { uris, env } = hosts;
    const asked = countLookups(hosts.node("central"));

    await narrator.title("A central RD, and a border router that caches (draft 4.2)");
    narrator.say(`central ${uris.central}  RD`);
    narrator.say(`border  ${uris.border}  caching proxy, without registrations`);
    await narrator.until("the border router to find the RD", () =>
      hosts
        .node("border")
        .upstreams()
        .every(({ phase }) => phase === "live"),
    );

    await narrator.title("A device behind the border router discovers where to go");
    await narrator.show("GET", `${uris.border}/.well-known/core?rt=core.rd*`);
    narrator.say("Registrations go to the central RD itself, lookups to the border router.");
    await narrator.show("POST", `${uris.central}/rd?ep=node1&${SECTOR}&base=coap://node1.example`, {
      payload: '</sensors/temp>;rt="temperature"',
    });

    await narrator.title("The first lookup is forwarded");
    const lookup = `${uris.border}/rd-lookup/res?rt=temperature`;
    await narrator.show("GET", lookup);
    narrator.say(`The central RD was asked ${asked.times()}.`);

    await narrator.title(`${LOOKUPS} more of the same`);
    const startMs = env.clock.nowMs();
    let count = 0;
    // Well before the end of Max-Age, however slow this machine is.
    for (; count < LOOKUPS && env.clock.nowMs() - startMs < FRESH_MS / 3; count++) await narrator.ask("GET", lookup);
    narrator.say(`${count} were served in ${narrator.since(startMs)}. The central RD was asked ${asked.times()}.`);
    if (asked.count() !== 1) throw new Error("the cache was not used");

    await narrator.title("The central RD goes away");
    await hosts.stop("central");
    await narrator.show("GET", lookup);
    narrator.say("A fresh response is served until its Max-Age ends, here a minute. Anything else is not available:");
    await narrator.show("GET", `${uris.border}/rd-lookup/res?rt=humidity`, { expected: "5.04" });
  },
});
