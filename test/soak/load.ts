import { createSocket } from "node:dgram";
import { CONTENT_FORMAT, type CoapClient, METHOD, type Observation, openCoapClient } from "@tributary/coap-transport";
import { silentLogger, systemClock } from "@tributary/runtime";
import { Chance } from "../hostile/chance.ts";
import { mutateMessage, wellFormed, writeRough } from "../hostile/coap-messages.ts";

/** Endpoints, clients, observers and attackers, all at once. */
export interface Load {
  /** What was done, by name. */
  readonly counts: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly rd: string;
  readonly proxy: string;
  readonly seed: number;
}

const NAMES = 1000;
const OBSERVERS = 40;
const TICK_MS = 20;
/** Of each per tick. */
const REGISTRATIONS = 3;
const LOOKUPS = 3;
const HOSTILE = 6;
const TIMEOUT_MS = 5000;
const OPTION = { URI_PATH: 11, CONTENT_FORMAT: 12, URI_QUERY: 15, OBSERVE: 6, BLOCK2: 23 };

/** Start to load an RD and a proxy that follows it, with the same mixture for as long as it lasts. */
export async function startLoad({ rd, proxy, seed }: LoadOptions): Promise<Load> {
  const chance = new Chance(seed);
  const client = await openCoapClient({ env: { clock: systemClock(), random: Math.random, logger: silentLogger } });
  const counts = new Map<string, number>();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const attacker = createSocket("udp6");
  attacker.on("error", () => count("attacker errors"));
  const locations = new Map<string, string>();
  const observations: Observation[] = [];
  const underWay = new Set<Promise<unknown>>();

  /** Failures are part of the load: they are counted, and the registrations at the end are looked at. */
  function run(what: string, request: Promise<unknown>): void {
    const settled = request.then(
      () => count(what),
      () => count(`${what} failed`),
    );
    underWay.add(settled);
    void settled.finally(() => underWay.delete(settled));
  }

  function act(): void {
    const name = `soak${chance.below(NAMES)}`;
    const location = locations.get(name);
    if (location === undefined || chance.is(0.3)) run("registrations", register(client, rd, name, locations, chance));
    else if (chance.is(0.9)) run("renewals", client.request({ method: METHOD.POST, uri: `${rd}${location}` }, LIMIT));
    else {
      locations.delete(name);
      run("removals", client.request({ method: METHOD.DELETE, uri: `${rd}${location}` }, LIMIT));
    }
  }

  function look(): void {
    const uri = `${chance.is(0.5) ? rd : proxy}/rd-lookup/${chance.pick(["ep", "res"])}`;
    const query = chance.pick([
      [`ep=soak${chance.below(NAMES)}`],
      ["rt=ex.temp", "count=20"],
      ["d=soak*", "count=5", "page=3"],
    ]);
    run("lookups", client.request({ method: METHOD.GET, uri, query }, LIMIT));
  }

  function observe(): void {
    const uri = `${chance.is(0.5) ? rd : proxy}/rd-lookup/ep`;
    const listener = { onNotification: () => count("notifications"), onEnd: () => count("observations ended") };
    observations.push(client.observe({ method: METHOD.GET, uri, query: [`ep=soak${chance.below(NAMES)}`] }, listener));
    count("observations");
    if (observations.length <= OBSERVERS) return;
    const oldest = observations.shift();
    if (chance.is(0.5)) oldest?.cancel();
    else if (oldest !== undefined) run("observations closed", oldest.close());
  }

  function attack(): void {
    const at = new URL(chance.is(0.5) ? rd : proxy);
    const bytes = writeRough(mutateMessage(chance, hostileMessage(chance)));
    attacker.send(bytes, Number(at.port), at.hostname.replace(/[[\]]/g, ""), () => count("hostile datagrams"));
  }

  const timer = setInterval(() => {
    for (let index = 0; index < REGISTRATIONS; index++) act();
    for (let index = 0; index < LOOKUPS; index++) look();
    for (let index = 0; index < HOSTILE; index++) attack();
    if (chance.is(0.2)) observe();
  }, TICK_MS);

  return {
    counts,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      for (const observation of observations) observation.cancel();
      attacker.close();
      await client.close();
    },
  };
}

const LIMIT = { timeoutMs: TIMEOUT_MS };

async function register(
  client: CoapClient,
  rd: string,
  name: string,
  locations: Map<string, string>,
  chance: Chance,
): Promise<void> {
  const { locationPath } = await client.request(
    {
      method: METHOD.POST,
      uri: `${rd}/rd`,
      query: [`ep=${name}`, "d=soak", `lt=${chance.pick([20, 60, 300])}`, "base=coap://[2001:db8::5]"],
      contentFormat: CONTENT_FORMAT.LINK_FORMAT,
      payload: Buffer.from(`</t/${chance.below(1000)}>;rt="ex.temp",</h/${chance.below(1000)}>;rt="ex.hum"`),
    },
    LIMIT,
  );
  locations.set(name, `/${locationPath.join("/")}`);
}

function hostileMessage(chance: Chance) {
  const head = { type: chance.below(4), messageId: chance.below(65_536), token: chance.bytes(chance.below(9)) };
  const query = [OPTION.URI_QUERY, chance.pick(["ep=evil", "rt=*", "count=9999999999", "lt=1", "href=/*"])] as const;
  return chance.is(0.5)
    ? wellFormed({ ...head, code: METHOD.POST, payload: "</evil>;rt=x" }, [
        [OPTION.URI_PATH, "rd"],
        [OPTION.URI_QUERY, `ep=evil${chance.below(200)}`],
        [OPTION.URI_QUERY, "lt=600"],
        query,
      ])
    : wellFormed({ ...head, code: METHOD.GET }, [
        [OPTION.OBSERVE, 0],
        [OPTION.URI_PATH, "rd-lookup"],
        [OPTION.URI_PATH, chance.pick(["ep", "res"])],
        query,
        [OPTION.BLOCK2, chance.below(4096)],
      ]);
}
