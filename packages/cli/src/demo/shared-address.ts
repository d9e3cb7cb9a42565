import type { DemoHosts } from "./demo-hosts.js";
import { type FigureHost as HostName, introduceHosts, untilFollowing } from "./draft-figure.js";
import type { Narrator } from "./narrator.js";
import { defineScenario, type Stage } from "./scenario.js";

const ENDPOINT = "ep=endpoint1&d=facility23.eu.example.com";
const RDS: readonly HostName[] = ["host1", "host2", "host3"];
const PROXIES: readonly HostName[] = ["host1", "host2", "host4"];

/** Draft 6.2.2: all nodes share one address, and forward requests that another node has to serve. */
export const sharedAddress = defineScenario<HostName>({
  name: "6.2.2",
  summary: "one shared address: a registration is renewed, read and removed through any node",
  roles: {
    host1: (uris) => `registration: {}\n${lookup("host1", uris)}\n${anycast(["host2", "host3", "host4"], uris)}`,
    host2: (uris) => `registration: {}\n${lookup("host2", uris)}\n${anycast(["host1", "host3", "host4"], uris)}`,
    host3: (uris) => `registration: {}\n${anycast(["host2", "host1", "host4"], uris)}`,
    host4: (uris) => `${lookup("host4", uris)}\n${anycast(["host3", "host2", "host1"], uris)}`,
  },
  run: (stage) => new Play(stage).run(),
});

function lookup(own: HostName, uris: Readonly<Record<HostName, string>>): string {
  const upstreams = RDS.filter((host) => host !== own).map((host) => `{ name: ${host}, uri: "${uris[host]}" }`);
  return `lookup: { upstreams: [${upstreams.join(", ")}] }`;
}

function anycast(peers: readonly HostName[], uris: Readonly<Record<HostName, string>>): string {
  const entries = peers.map((host) => {
    const roles = `registration: ${RDS.includes(host)}, lookup: ${PROXIES.includes(host)}`;
    return `{ name: ${host}, uri: "${uris[host]}", ${roles} }`;
  });
  return `anycast: { peers: [${entries.join(", ")}] }`;
}

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
    const atC = await this.#register("host4", "host3");
    await this.#useAnywhere(atC);
    await this.#loseRdC(atC);
    const atB = await this.#register("host4", "host2");
    await this.#seeIt(atB, ["host4"]);
    await this.#remove(atB);
    await this.#narrator.title("That is all");
    this.#narrator.say("To its clients the group was one server, which lost one of its four hosts.");
  }

  async #meet(): Promise<void> {
    const { uris } = this.#hosts;
    const narrator = this.#narrator;
    await narrator.title("Three RDs and three lookup proxies with one address (draft 6.2.2)");
    introduceHosts(narrator, uris);
    narrator.say("Routing would take each client to the closest of them; here the port says which one that is.");
    await untilFollowing(narrator, this.#hosts, PROXIES);
    const peers = () => Object.keys(uris).flatMap((host) => this.#hosts.node(host as HostName).peers?.() ?? []);
    await narrator.until("the nodes to know each other", () => peers().every(({ isUp }) => isUp));
  }

  async #discover(): Promise<void> {
    await this.#narrator.title("Every node offers every interface, whatever its own role");
    for (const host of ["host3", "host4"] as const)
      await this.#narrator.show("GET", `${this.#hosts.uris[host]}/.well-known/core?rt=core.rd*`);
  }

  /** Registers, and returns the path of the registration, which is the same at every node. */
  async #register(at: HostName, owner: HostName): Promise<string> {
    const narrator = this.#narrator;
    await narrator.title(`An endpoint near ${at} registers there, and ${owner} is the closest RD`);
    const startMs = this.#hosts.env.clock.nowMs();
    const uri = `${this.#hosts.uris[at]}/rd?${ENDPOINT}`;
    const response = await narrator.show("POST", uri, { payload: '</sensors/temp>;if="core.s"' });
    const path = `/${response.locationPath.join("/")}`;
    if (!path.startsWith(`/reg/${owner}/`)) throw new Error(`${path} is not of ${owner}`);
    narrator.say(`The name in the path says which RD has it. That took ${narrator.since(startMs)}.`);
    return path;
  }

  async #useAnywhere(path: string): Promise<void> {
    const { uris } = this.#hosts;
    await this.#narrator.title("It is renewed at host1 and read at host2");
    await this.#narrator.show("POST", `${uris.host1}${path}?lt=3600`);
    await this.#narrator.show("GET", `${uris.host2}${path}`);
    await this.#seeIt(path, ["host3", "host4"]);
  }

  async #seeIt(path: string, at: readonly HostName[]): Promise<void> {
    const { uris } = this.#hosts;
    await this.#narrator.title(`It is looked up at ${at.join(" and ")}`);
    const shown = (host: HostName) => this.#hosts.node(host).directory.winner("endpoint1", "facility23.eu.example.com");
    await this.#narrator.until("the registration at every proxy", () =>
      PROXIES.every((host) => shown(host)?.shownHref?.endsWith(path) === true),
    );
    for (const host of at) await this.#narrator.show("GET", `${uris[host]}/rd-lookup/ep?${ENDPOINT}`);
  }

  async #loseRdC(path: string): Promise<void> {
    await this.#narrator.title("host3 becomes unavailable, and with it the registration");
    await this.#hosts.stop("host3");
    await this.#narrator.show("POST", `${this.#hosts.uris.host1}${path}`, { expected: "5.04" });
    this.#narrator.say("After the 5.04 the endpoint registers again, at the same address.");
  }

  async #remove(path: string): Promise<void> {
    const { uris } = this.#hosts;
    await this.#narrator.title("It is removed at host1");
    await this.#narrator.show("DELETE", `${uris.host1}${path}`);
    await this.#narrator.show("GET", `${uris.host4}${path}`, { expected: "4.04" });
  }
}
