import { CODE, type CoapClient, METHOD, openCoapClient } from "@tributary/coap-transport";
import { silentLogger, systemClock } from "@tributary/runtime";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { eventually, freePort } from "../peers/peers.js";
import { type LargeNode, LONGEST_TURN_MS, leastOf, startLargeNode } from "./turns.js";

const COUNT = 100_000;
const OBSERVED_PAGES = 300;
const env = { clock: systemClock(), random: Math.random, logger: silentLogger };

interface Measured {
  readonly node: LargeNode;
  readonly uris: readonly string[];
}

async function listenEverywhere() {
  const port = await freePort("127.0.0.1");
  return [`coap://127.0.0.1:${port}`, `coap+tcp://127.0.0.1:${port}`];
}

async function startRd(ageS = 0): Promise<Measured> {
  const uris = await listenEverywhere();
  const node = await startLargeNode({ listen: uris, http: false, registration: {} }, COUNT, ageS);
  return { node, uris };
}

/** A proxy that has copied `upstream`. `own` registrations of the same endpoints are superseded by what is copied. */
async function startProxy(upstream: string, own: number, mode = "replicate"): Promise<Measured> {
  const uris = await listenEverywhere();
  const lookup = { upstreams: [{ name: "rd", uri: upstream, mode }] };
  const config = { listen: uris, http: false, lookup, ...(own > 0 ? { registration: {} } : {}) };
  const node = await startLargeNode(config, own, 1000);
  onTestFinished(() => node.stop());
  // An upstream that is asked is not copied.
  const expected = own + (mode === "forward" ? 0 : COUNT);
  const total = () => Number(/total (\d+)\n$/.exec(node.stdout())?.[1] ?? 0);
  await eventually(() => total() >= expected || undefined, { what: "the copy", timeoutMs: 100_000 });
  await node.longestTurnMs();
  return { node, uris };
}

async function open(): Promise<CoapClient> {
  const client = await openCoapClient({ env });
  onTestFinished(() => client.close());
  return client;
}

const LOOKUPS: readonly (readonly [what: string, path: string])[] = [
  ["nothing, after looking at everything", "ep?half=0&half=1"],
  ["nothing, after looking at what is marked", "res?eighth=0&half=1"],
  ["nothing among many values", "ep?rt=model-1*&half=0&half=1"],
  ["a deep page", `res?half=1&count=1&page=${COUNT / 2 - 1}`],
  ["much at the beginning and little at the end", "ep?place=ends"],
  ["everything", "ep"],
  ["every resource", "res"],
  ["what is registered here", "ep?href=/*"],
];

async function measureLookups(name: string, { node, uris }: Measured): Promise<void> {
  const client = await open();
  for (const uri of uris)
    for (const [what, path] of LOOKUPS) {
      const [lookup, query] = path.split("?");
      const longestMs = await leastOf(LONGEST_TURN_MS, async () => {
        // What was written for an earlier lookup is of no use after a change.
        await registerFirst();
        await node.longestTurnMs();
        const response = await client.request(
          {
            method: METHOD.GET,
            uri: `${uri}/rd-lookup/${lookup}`,
            ...(query === undefined ? {} : { query: query.split("&") }),
          },
          { timeoutMs: 60_000 },
        );
        expect(response.code, what).toBe(CODE.CONTENT);
        return await node.longestTurnMs();
      });
      process.stderr.write(`${name}, ${uri.split(":")[0]}, ${what}: ${longestMs.toFixed(1)} ms\n`);
      expect.soft(longestMs, `${name}: ${what}`).toBeLessThan(LONGEST_TURN_MS);
    }
}

/** Many observed pages and one observer of everything, and then one change. */
async function measureObservers(name: string, { node, uris }: Measured): Promise<void> {
  for (const uri of uris) {
    const client = await open();
    let first = 0;
    let further = 0;
    const queries = Array.from({ length: OBSERVED_PAGES }, (_, at) => ["half=1", "count=1", `page=${at * 150}`]);
    const observe = (query: string[]) => {
      let isFirst = true;
      client.observe(
        { method: METHOD.GET, uri: `${uri}/rd-lookup/ep`, query },
        {
          onNotification: () => {
            if (isFirst) first++;
            else further++;
            isFirst = false;
          },
          onEnd: () => {},
        },
      );
    };
    for (const query of queries) observe(query);
    await eventually(() => first === OBSERVED_PAGES, { what: "the observed pages", timeoutMs: 60_000 });
    observe([]);
    await eventually(() => first === OBSERVED_PAGES + 1, { what: "the observation of everything", timeoutMs: 60_000 });
    const longestMs = await leastOf(LONGEST_TURN_MS, async () => {
      await node.longestTurnMs();
      further = 0;
      await registerFirst();
      await eventually(() => further > OBSERVED_PAGES, { what: "a notification of each", timeoutMs: 60_000 });
      return await node.longestTurnMs();
    });
    process.stderr.write(`${name}, ${uri.split(":")[0]}, one change of what is observed: ${longestMs.toFixed(1)} ms\n`);
    expect.soft(longestMs, `${name}: observers`).toBeLessThan(LONGEST_TURN_MS);
  }
}

let rd: Measured;
let client: CoapClient;
let registered = 0;

/** In front of all others, so that every page changes. */
async function registerFirst(): Promise<void> {
  const ep = `a${999 - registered++}`;
  const response = await client.request({
    method: METHOD.POST,
    uri: `${rd.uris[1]}/rd`,
    query: [`ep=${ep}`, "base=coap://a.example", "half=1"],
    contentFormat: 40,
    payload: new TextEncoder().encode("</t>"),
  });
  expect(response.code).toBe(CODE.CREATED);
}

beforeAll(async () => {
  rd = await startRd();
  client = await openCoapClient({ env });
  return async () => {
    await client.close();
    await rd.node.stop();
  };
}, 120_000);

test("an RD with 100,000 registrations answers lookups in turns", () => measureLookups("RD", rd), 300_000);

test("an RD with 100,000 registrations notifies its observers in turns", () => measureObservers("RD", rd), 300_000);

test("a proxy of 100,000 registrations answers lookups and notifies observers in turns", async () => {
  const proxy = await startProxy(rd.uris[1] ?? "", 0);
  await measureLookups("proxy", proxy);
  await measureObservers("proxy", proxy);
}, 500_000);

test("what is registered here, all superseded elsewhere, is answered in turns", async () => {
  const both = await startProxy(rd.uris[1] ?? "", COUNT);
  await measureLookups("RD and proxy", both);
}, 500_000);

test("own registrations and those of an upstream that is asked are united in turns", async () => {
  const both = await startProxy(rd.uris[1] ?? "", COUNT, "forward");
  await measureLookups("RD that asks another", both);
}, 500_000);
