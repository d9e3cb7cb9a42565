import { CODE, METHOD, type RequestHandler } from "@tributary/coap-transport";
import { generateEndpointKey } from "@tributary/global-lookup/endpoint";
import { createEndpointClient, type EndpointClient } from "../register/endpoint-client.js";
import { EndpointProver } from "../register/endpoint-prover.js";
import { discoverRegistration, sendRegistration } from "../register/registration.js";
import { type DemoHosts, freePorts, type HostRoles, openDemoHosts } from "./demo-hosts.js";
import { Narrator, type NarratorDeps } from "./narrator.js";
import type { DemoScenario } from "./scenario.js";

const HOSTS = ["rd-a", "rd-b", "rd-c", "rd-d"] as const;
type Host = (typeof HOSTS)[number];
/** Time of the endpoint for one of its requests, ms. */
const PATIENCE_MS = 100_000;

/** Draft 6.3: a pool of RDs that do not trust each other, and an endpoint that nobody can connect to. */
export const globalLookup: DemoScenario = {
  name: "6.3",
  summary: "an endpoint that can only call out is found by its name in a pool of RDs",
  async play(deps) {
    const hosts = await openDemoHosts(await roles(), deps.packets, { hasStreams: true });
    const narrator = new Narrator({ clock: hosts.env.clock, ...deps });
    const lamp = new Lamp();
    const endpoint = createEndpointClient(deps.packets, lamp.handler);
    try {
      await new Play({ hosts, narrator, endpoint, lamp, signal: deps.signal }).run();
    } finally {
      endpoint.close();
      narrator.close();
      await hosts.close();
    }
  },
};

/** Each host has a place in the pool and ports for the endpoints that it proxies. */
async function roles(): Promise<HostRoles<Host>> {
  const ports = await freePorts(2 * HOSTS.length);
  const pool = HOSTS.map((_, at) => `127.0.0.1:${ports[at]}`);
  const role = (at: number) => () =>
    [
      `registration: { proxy: { ports: "${ports[HOSTS.length + at]}" } }`,
      `global: { pool: { listen: "${pool[at]}", bootstrap: ["${pool[0]}"] }, allow: ["loopback"], rate: 100 }`,
    ].join("\n");
  return { "rd-a": role(0), "rd-b": role(1), "rd-c": role(2), "rd-d": role(3) };
}

/** The resource of the endpoint: GET and PUT of its state. */
class Lamp {
  #state = "off";

  readonly handler: RequestHandler = ({ method, path, payload }) => {
    if (path.join("/") !== "lamp") return { code: CODE.NOT_FOUND };
    if (method === METHOD.GET)
      return { code: CODE.CONTENT, contentFormat: 0, payload: new TextEncoder().encode(this.#state) };
    if (method !== METHOD.PUT) return { code: CODE.METHOD_NOT_ALLOWED };
    this.#state = new TextDecoder().decode(payload);
    return { code: CODE.CHANGED };
  };
}

interface Stage {
  readonly hosts: DemoHosts<Host>;
  readonly narrator: Narrator;
  readonly endpoint: EndpointClient;
  readonly lamp: Lamp;
  readonly signal: NarratorDeps["signal"];
}

class Play {
  readonly #stage: Stage;
  readonly #prover: EndpointProver;

  constructor(stage: Stage) {
    this.#stage = stage;
    const { clock } = stage.hosts.env;
    this.#prover = new EndpointProver(generateEndpointKey(), () => clock.wallMs() / 1000, 90_000);
  }

  async run(): Promise<void> {
    await this.#meet();
    await this.#register();
    const base = await this.#find();
    await this.#use(base);
    await this.#lose();
    await this.#stage.narrator.title("That is all");
    this.#stage.narrator.say(
      "In practice such requests are protected by OSCORE: the RD passes on what it cannot read.",
    );
  }

  async #meet(): Promise<void> {
    const { hosts, narrator } = this.#stage;
    await narrator.title("Four RDs in a pool, and an endpoint behind a NAT (draft 6.3)");
    for (const host of HOSTS) narrator.say(`${host} ${hosts.uris[host]}`);
    const isTogether = () => HOSTS.every((host) => hosts.node(host).global?.()?.isPublished === true);
    await narrator.until("the pool", isTogether);
    narrator.say("The endpoint listens nowhere: all that it can do is to call out. Its name is that of its key:");
    narrator.say(this.#prover.name);
  }

  async #register(): Promise<void> {
    const { hosts, narrator, endpoint, signal } = this.#stage;
    await narrator.title("It registers at rd-b over a connection that it keeps, and asks rd-b to be its proxy");
    const control = { timeoutMs: PATIENCE_MS, signal };
    const origin = hosts.uris["rd-b"].replace("coap:", "coap+tcp:");
    const found = await discoverRegistration(endpoint, origin, control, this.#prover);
    if (!found.ok) throw new Error(found.failure.message);
    const registration = { ep: this.#prover.name, isProxied: true, links: "", prover: this.#prover };
    narrator.say(`Req: POST ${found.value}?ep=${this.#prover.name}&proxy&proof=…`);
    const registered = await sendRegistration(endpoint, found.value, registration, control);
    if (!registered.ok) throw new Error(registered.failure.message);
    narrator.say(`Res: 2.01  Location: ${new URL(registered.value).pathname}`);
    const isAnnounced = () => hosts.node("rd-b").global?.()?.names.announced === 1;
    await narrator.until("the announcement", isAnnounced);
    narrator.say("rd-b announces the name to the pool. The proof says that it is this endpoint's, and for rd-b only.");
  }

  /** Looks it up elsewhere; returns its base. */
  async #find(): Promise<string> {
    const { hosts, narrator } = this.#stage;
    await narrator.title("A client that knows the name asks rd-d, which finds rd-b in the pool");
    const { payload } = await narrator.show("GET", `${hosts.uris["rd-d"]}/rd-lookup/ep?ep=${this.#prover.name}`);
    return /;base="([^"]+)"/.exec(new TextDecoder().decode(payload))?.[1] ?? "";
  }

  async #use(base: string): Promise<void> {
    const { narrator } = this.#stage;
    await narrator.title("At the port that rd-b announces for it, the endpoint is reached over its own connection");
    narrator.say(`oscore://${this.#prover.name}/lamp leads to ${base}/lamp`);
    await narrator.show("GET", `${base}/lamp`);
    await narrator.show("PUT", `${base}/lamp`, { payload: "on" });
    await narrator.show("GET", `${base}/lamp`);
  }

  async #lose(): Promise<void> {
    const { hosts, narrator } = this.#stage;
    await narrator.title("rd-b leaves the pool");
    await hosts.stop("rd-b");
    const uri = `${hosts.uris["rd-c"]}/rd-lookup/ep?ep=${this.#prover.name}`;
    await narrator.show("GET", uri, { expected: "5.04" });
    narrator.say("Lookups say that nobody has it, until the endpoint has registered at another one.");
  }
}
