import { systemClock } from "@tributary/runtime";
import { type DemoDatabase, openDemoDatabase } from "./demo-database.js";
import { type DemoHosts, type HostRoles, openDemoHosts } from "./demo-hosts.js";
import { Narrator } from "./narrator.js";
import type { DemoScenario } from "./scenario.js";

/** An instance, and at the same place the server of the database with that number. */
const HOSTS = ["rd-a", "rd-b", "rd-c"] as const;
type Host = (typeof HOSTS)[number];
const EP = "endpoint1";
const SECTOR = "facility23.eu.example.com";
/** Pause between attempts of a device that has to try again, ms. The RD says 10 s; a demo is in a hurry. */
const RETRY_MS = 500;

/** Draft 6.1: several instances of one RD, over a database. */
export const sharedAuthority: DemoScenario = {
  name: "6.1",
  summary: "one RD of three instances over a database (needs nats-server in PATH)",
  async play(deps) {
    const clock = systemClock();
    const database = await openDemoDatabase(clock);
    try {
      const hosts = await openDemoHosts(rolesOver(database), deps.packets);
      const narrator = new Narrator({ clock: hosts.env.clock, ...deps });
      try {
        await new Play(hosts, database, narrator).run();
      } finally {
        narrator.close();
        await hosts.close();
      }
    } finally {
      database.close();
    }
  },
};

function rolesOver({ uris }: DemoDatabase): HostRoles<Host> {
  const role = () =>
    `registration: { store: { nats: { servers: [${uris.map((uri) => `"${uri}"`).join(", ")}], replicas: ${uris.length} } } }`;
  return { "rd-a": role, "rd-b": role, "rd-c": role };
}

class Play {
  readonly #hosts: DemoHosts<Host>;
  readonly #database: DemoDatabase;
  readonly #narrator: Narrator;

  constructor(hosts: DemoHosts<Host>, database: DemoDatabase, narrator: Narrator) {
    this.#hosts = hosts;
    this.#database = database;
    this.#narrator = narrator;
  }

  async run(): Promise<void> {
    await this.#meet();
    await this.#discover();
    const path = await this.#register();
    await this.#useAnywhere(path);
    await this.#loseB(path);
    await this.#remove(path);
    await this.#narrator.title("That is all");
    this.#narrator.say("To devices and clients there was one RD, which lost a third of itself.");
  }

  async #meet(): Promise<void> {
    const { uris } = this.#hosts;
    const narrator = this.#narrator;
    await narrator.title("Three instances of one RD, over a database of three servers (draft 6.1)");
    for (const [at, host] of HOSTS.entries()) narrator.say(`${host} ${uris[host]}  beside ${this.#database.uris[at]}`);
    narrator.say("Routing would take each device to the closest of them; here the port says which one that is.");
  }

  async #discover(): Promise<void> {
    await this.#narrator.title("Discovery looks the same everywhere");
    for (const host of ["rd-a", "rd-c"] as const)
      await this.#narrator.show("GET", `${this.#hosts.uris[host]}/.well-known/core?rt=core.rd*`);
  }

  /** Registers, and returns the path of the registration. */
  async #register(): Promise<string> {
    const narrator = this.#narrator;
    await narrator.title("An endpoint close to rd-b registers there");
    const uri = `${this.#hosts.uris["rd-b"]}/rd?ep=${EP}&d=${SECTOR}`;
    const { locationPath } = await narrator.show("POST", uri, { payload: '</sensors/temp>;if="core.s"' });
    narrator.say("It is on the disks of two servers at least, and every instance would have given that path.");
    return `/${locationPath.join("/")}`;
  }

  async #useAnywhere(path: string): Promise<void> {
    const { uris } = this.#hosts;
    const narrator = this.#narrator;
    await narrator.title("It is looked up at rd-a, and renewed at rd-c");
    await this.#untilShown("rd-a");
    await narrator.show("GET", `${uris["rd-a"]}/rd-lookup/ep?ep=${EP}`);
    await narrator.show("GET", `${uris["rd-a"]}/rd-lookup/res?if=core.s`);
    await narrator.show("POST", `${uris["rd-c"]}${path}`);
  }

  async #loseB(path: string): Promise<void> {
    const { hosts, narrator } = { hosts: this.#hosts, narrator: this.#narrator };
    await narrator.title("rd-b and the server beside it become unavailable");
    await hosts.stop("rd-b");
    this.#database.kill(HOSTS.indexOf("rd-b"));
    await narrator.show("GET", `${hosts.uris["rd-a"]}/rd-lookup/ep?ep=${EP}`);
    const startMs = hosts.env.clock.nowMs();
    let refusals = 0;
    while ((await narrator.ask("POST", `${hosts.uris["rd-a"]}${path}`)).code.startsWith("5.03")) {
      refusals++;
      await new Promise<void>((resolve) => hosts.env.clock.setTimer(RETRY_MS, resolve));
    }
    const refused = refusals === 0 ? "" : `, after ${refusals} times 5.03: the other two had to elect a leader`;
    narrator.say(`Lookups go on; a renewal at rd-a took ${narrator.since(startMs)}${refused}.`);
    await narrator.show("POST", `${hosts.uris["rd-a"]}${path}`);
  }

  async #remove(path: string): Promise<void> {
    const { uris } = this.#hosts;
    await this.#narrator.title("It is removed at rd-c");
    await this.#narrator.show("DELETE", `${uris["rd-c"]}${path}`);
    await this.#narrator.show("GET", `${uris["rd-a"]}${path}`, { expected: "4.04" });
  }

  #untilShown(host: Host): Promise<void> {
    const isShown = () => this.#hosts.node(host).directory.winner(EP, SECTOR) !== undefined;
    return this.#narrator.until(`the registration at ${host}`, isShown);
  }
}
