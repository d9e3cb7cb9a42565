import { createEndpointClient, type EndpointClient, type EndpointResponse } from "../register/endpoint-client.js";
import type { DemoFederation, HostName } from "./demo-federation.js";

const SECTOR = "facility23.eu.example.com";
const REQUEST_TIMEOUT_MS = 5000;
/** Longest wait for a change to arrive everywhere; it takes milliseconds. */
const PATIENCE_MS = 10_000;
const POLL_MS = 5;

const PROXIES = { "LP-X": "host1", "LP-Y": "host2", "LP-Z": "host4" } as const satisfies Record<string, HostName>;
type ProxyName = keyof typeof PROXIES;

export interface StoryDeps {
  readonly federation: DemoFederation;
  /** Takes one line of the story. */
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The draft's section 6.2 told with real exchanges. Rejects when what should happen does not. */
export async function tellStory(deps: StoryDeps): Promise<void> {
  const client = createEndpointClient();
  try {
    await new Story(deps, client).run();
  } finally {
    client.close();
  }
}

class Story {
  readonly #deps: StoryDeps;
  readonly #client: EndpointClient;
  #chapter = 0;

  constructor(deps: StoryDeps, client: EndpointClient) {
    this.#deps = deps;
    this.#client = client;
  }

  async run(): Promise<void> {
    await this.#meet();
    await this.#discover();
    const atC = await this.#register("endpoint1", "host3", "RD-C");
    await this.#seeEverywhere("endpoint1", atC);
    await this.#register("endpoint2", "host3", "RD-C");
    await this.#loseRdC(atC);
    await this.#move();
    this.#title("That is all");
    this.#say("Every lookup proxy answered for the whole federation, before, during and after the outage of an RD.");
  }

  async #meet(): Promise<void> {
    const { federation } = this.#deps;
    this.#title("Three RDs and three lookup proxies (draft 6.2)");
    this.#say(`host1 ${federation.uris.host1}  RD-A and LP-X`);
    this.#say(`host2 ${federation.uris.host2}  RD-B and LP-Y`);
    this.#say(`host3 ${federation.uris.host3}  RD-C`);
    this.#say(`host4 ${federation.uris.host4}  LP-Z`);
    const startMs = federation.env.clock.nowMs();
    await this.#until("the proxies follow their RDs", () =>
      Object.values(PROXIES).every((host) =>
        federation
          .node(host)
          .upstreams()
          .every(({ phase }) => phase === "live"),
      ),
    );
    this.#say(`Every proxy found its RDs by discovery and copied them: ${this.#since(startMs)}.`);
  }

  async #discover(): Promise<void> {
    this.#title("An endpoint near host3 looks for a place to register");
    await this.#show("GET", `${this.#deps.federation.uris.host3}/.well-known/core?rt=core.rd*`);
    this.#say("RD-C takes registrations; for lookups it sends clients to LP-Y.");
  }

  async #register(endpoint: string, host: HostName, rd: string): Promise<string> {
    const { federation } = this.#deps;
    this.#title(`${endpoint} registers at ${rd}`);
    const uri = `${federation.uris[host]}/rd?ep=${endpoint}&d=${SECTOR}&base=coap://${endpoint}.example`;
    const response = await this.#show("POST", uri, '</sensors/temp>;if="core.s"');
    return `${federation.uris[host]}/${response.locationPath.join("/")}`;
  }

  async #seeEverywhere(endpoint: string, location: string): Promise<void> {
    const { federation } = this.#deps;
    this.#title(`Every proxy shows ${endpoint}`);
    const startMs = federation.env.clock.nowMs();
    await this.#until(`${endpoint} at every proxy`, () =>
      this.#names().every((proxy) => this.#shown(proxy, endpoint) === location),
    );
    this.#say(`All three knew ${this.#since(startMs)} after the answer to the endpoint.`);
    await this.#show("GET", `${federation.uris.host4}/rd-lookup/ep?ep=${endpoint}&d=${SECTOR}`);
  }

  async #loseRdC(location: string): Promise<void> {
    const { federation } = this.#deps;
    this.#title("RD-C becomes unavailable");
    await federation.stop("host3");
    await this.#until("the proxies to notice", () =>
      Object.values(PROXIES).every(
        (host) =>
          federation
            .node(host)
            .upstreams()
            .find(({ name }) => name === "rd-c")?.phase === "stale",
      ),
    );
    const left = this.#names().filter((proxy) => this.#shown(proxy, "endpoint1") === location);
    this.#say(`${left.join(", ")} noticed, and keep what RD-C told until its lifetime ends.`);
    await this.#show("GET", `${federation.uris.host4}/rd-lookup/res?if=core.s&d=${SECTOR}&provenance`);
  }

  async #move(): Promise<void> {
    const { federation } = this.#deps;
    const one = await this.#register("endpoint1", "host2", "RD-B, since it could not renew at RD-C");
    const two = await this.#register("endpoint2", "host1", "RD-A, likewise");
    this.#title("The old registrations are evicted, the new ones shown once each");
    await this.#until("the moves at every proxy", () =>
      this.#names().every(
        (proxy) => this.#shown(proxy, "endpoint1") === one && this.#shown(proxy, "endpoint2") === two,
      ),
    );
    await this.#show("GET", `${federation.uris.host4}/rd-lookup/ep?d=${SECTOR}`);
    await this.#show("GET", `${federation.uris.host4}/rd-lookup/res?if=core.s&ep=endpoint1&provenance`);
    const superseded = federation.node("host4").directory.counts().superseded;
    this.#say(
      `LP-Z keeps ${superseded} superseded registrations of RD-C aside; they would show again if the new ones went.`,
    );
  }

  #names(): ProxyName[] {
    return Object.keys(PROXIES) as ProxyName[];
  }

  /** Absolute URI of the registration that a proxy shows for an endpoint. */
  #shown(proxy: ProxyName, endpoint: string): string | undefined {
    const host = PROXIES[proxy];
    const href = this.#deps.federation.node(host).directory.winner(endpoint, SECTOR)?.shownHref;
    return href?.startsWith("/") ? this.#deps.federation.uris[host] + href : href;
  }

  /** One exchange, as the draft prints them. */
  async #show(method: "GET" | "POST", uri: string, payload?: string): Promise<EndpointResponse> {
    const { signal } = this.#deps;
    this.#say(`Req: ${method} ${uri}`);
    if (payload !== undefined) this.#say(`     ${payload}`);
    const request = { method, uri, ...(payload === undefined ? {} : { payload }) };
    const response = await this.#client.request(request, { timeoutMs: REQUEST_TIMEOUT_MS, signal });
    if (!response.code.startsWith("2.")) throw new Error(`${uri} answered ${response.code}`);
    const location = response.locationPath.length > 0 ? `  Location: /${response.locationPath.join("/")}` : "";
    this.#say(`Res: ${response.code}${location}`);
    const links = new TextDecoder().decode(response.payload);
    for (const link of links.split(/,(?=<)/)) if (link !== "") this.#say(`     ${link}`);
    return response;
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    const { clock } = this.#deps.federation.env;
    const endMs = clock.nowMs() + PATIENCE_MS;
    while (!isSo()) {
      this.#deps.signal.throwIfAborted();
      if (clock.nowMs() > endMs) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain: ${what}`);
      await new Promise<void>((resolve) => clock.setTimer(POLL_MS, resolve));
    }
  }

  #since(startMs: number): string {
    return `${Math.max(1, Math.round(this.#deps.federation.env.clock.nowMs() - startMs))} ms`;
  }

  #title(text: string): void {
    this.#deps.tell("");
    this.#deps.tell(`${++this.#chapter}. ${text}`);
  }

  #say(text: string): void {
    this.#deps.tell(`   ${text}`);
  }
}
