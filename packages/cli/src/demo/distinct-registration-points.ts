import type { DemoHosts } from "./demo-hosts.js";
import { type FigureHost as HostName, introduceHosts, untilFollowing } from "./draft-figure.js";
import type { Narrator } from "./narrator.js";
import { defineScenario, type Stage } from "./scenario.js";

const SECTOR = "facility23.eu.example.com";
const PROXIES = { "LP-X": "host1", "LP-Y": "host2", "LP-Z": "host4" } as const satisfies Record<string, HostName>;
type ProxyName = keyof typeof PROXIES;
const PROXY_NAMES = Object.keys(PROXIES) as ProxyName[];

/** Draft 6.2: endpoints register at one of several RDs, an RD is lost, endpoints move. */
export const distinctRegistrationPoints = defineScenario<HostName>({
  name: "6.2",
  summary: "distinct registration points: an RD goes away, its endpoints move, every proxy follows",
  roles: {
    host1: (uris) =>
      `registration: {}\nlookup:\n  upstreams: [{ name: rd-b, uri: "${uris.host2}" }, { name: rd-c, uri: "${uris.host3}" }]`,
    host2: (uris) =>
      `registration: {}\nlookup:\n  upstreams: [{ name: rd-a, uri: "${uris.host1}" }, { name: rd-c, uri: "${uris.host3}" }]`,
    host3: (uris) =>
      `registration: {}\nadvertise:\n  - '<${uris.host2}/rd-lookup/ep>;rt="core.rd-lookup-ep"'\n  - '<${uris.host2}/rd-lookup/res>;rt="core.rd-lookup-res"'`,
    host4: (uris) =>
      `lookup:\n  upstreams: [{ name: rd-a, uri: "${uris.host1}" }, { name: rd-b, uri: "${uris.host2}" }, { name: rd-c, uri: "${uris.host3}" }]`,
  },
  run: (stage) => new Play(stage).run(),
});

class Play {
  readonly #hosts: DemoHosts<HostName>;
  readonly #narrator: Narrator;

  constructor({ hosts, narrator }: Stage<HostName>) {
    this.#hosts = hosts;
    this.#narrator = narrator;
  }

  async run(): Promise<void> {
    await this.#meet();
    await this.#discover();
    const atC = await this.#register("endpoint1", "host3", "RD-C");
    await this.#seeEverywhere("endpoint1", atC);
    const otherAtC = await this.#register("endpoint2", "host3", "RD-C");
    await this.#untilEverywhere("endpoint2", otherAtC);
    await this.#loseRdC(atC);
    await this.#move();
    await this.#narrator.title("That is all");
    this.#narrator.say(
      "Every lookup proxy answered for the whole federation, before, during and after the outage of an RD.",
    );
  }

  async #meet(): Promise<void> {
    const { env, uris } = this.#hosts;
    const narrator = this.#narrator;
    await narrator.title("Three RDs and three lookup proxies (draft 6.2)");
    introduceHosts(narrator, uris);
    const startMs = env.clock.nowMs();
    await untilFollowing(narrator, this.#hosts, Object.values(PROXIES));
    narrator.say(`Every proxy found its RDs by discovery and copied them: ${narrator.since(startMs)}.`);
  }

  async #discover(): Promise<void> {
    await this.#narrator.title("An endpoint near host3 looks for a place to register");
    await this.#narrator.show("GET", `${this.#hosts.uris.host3}/.well-known/core?rt=core.rd*`);
    this.#narrator.say("RD-C takes registrations; for lookups it sends clients to LP-Y.");
  }

  async #register(endpoint: string, host: HostName, rd: string): Promise<string> {
    const origin = this.#hosts.uris[host];
    await this.#narrator.title(`${endpoint} registers at ${rd}`);
    const uri = `${origin}/rd?ep=${endpoint}&d=${SECTOR}&base=coap://${endpoint}.example`;
    const response = await this.#narrator.show("POST", uri, { payload: '</sensors/temp>;if="core.s"' });
    return `${origin}/${response.locationPath.join("/")}`;
  }

  async #seeEverywhere(endpoint: string, location: string): Promise<void> {
    const narrator = this.#narrator;
    await narrator.title(`Every proxy shows ${endpoint}`);
    const startMs = this.#hosts.env.clock.nowMs();
    await this.#untilEverywhere(endpoint, location);
    narrator.say(`All three knew ${narrator.since(startMs)} after the response to the endpoint.`);
    await narrator.show("GET", `${this.#hosts.uris.host4}/rd-lookup/ep?ep=${endpoint}&d=${SECTOR}`);
  }

  async #untilEverywhere(endpoint: string, location: string): Promise<void> {
    await this.#narrator.until(`${endpoint} at every proxy`, () =>
      PROXY_NAMES.every((proxy) => this.#shown(proxy, endpoint) === location),
    );
  }

  async #loseRdC(location: string): Promise<void> {
    const narrator = this.#narrator;
    await narrator.title("RD-C becomes unavailable");
    await this.#hosts.stop("host3");
    await narrator.until("the proxies to notice", () =>
      PROXY_NAMES.every((proxy) => this.#upstreams(proxy).find(({ name }) => name === "rd-c")?.phase === "stale"),
    );
    const left = PROXY_NAMES.filter((proxy) => this.#shown(proxy, "endpoint1") === location);
    narrator.say(`${left.join(", ")} noticed, and keep the registrations of RD-C until their lifetimes end.`);
    await narrator.show("GET", `${this.#hosts.uris.host4}/rd-lookup/res?if=core.s&d=${SECTOR}&provenance`);
  }

  async #move(): Promise<void> {
    const narrator = this.#narrator;
    const one = await this.#register("endpoint1", "host2", "RD-B, since it could not renew at RD-C");
    const two = await this.#register("endpoint2", "host1", "RD-A, likewise");
    await narrator.title("The old registrations are evicted, the new ones shown once each");
    await narrator.until("the moves at every proxy", () =>
      PROXY_NAMES.every((proxy) => this.#shown(proxy, "endpoint1") === one && this.#shown(proxy, "endpoint2") === two),
    );
    await narrator.show("GET", `${this.#hosts.uris.host4}/rd-lookup/ep?d=${SECTOR}`);
    await narrator.show("GET", `${this.#hosts.uris.host4}/rd-lookup/res?if=core.s&ep=endpoint1&provenance`);
    const { superseded } = this.#hosts.node("host4").directory.counts();
    narrator.say(
      `LP-Z still has ${superseded} superseded registrations of RD-C; they would be visible again if the new ones went away.`,
    );
  }

  #upstreams(proxy: ProxyName) {
    return this.#hosts.node(PROXIES[proxy]).upstreams();
  }

  /** Returns the absolute URI of the registration that lookups at a proxy list for an endpoint. */
  #shown(proxy: ProxyName, endpoint: string): string | undefined {
    const host = PROXIES[proxy];
    const href = this.#hosts.node(host).directory.winner(endpoint, SECTOR)?.shownHref;
    return href?.startsWith("/") ? this.#hosts.uris[host] + href : href;
  }
}
