import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CODE, CONTENT_FORMAT, formatCode, METHOD } from "@tributary/coap-transport";
import { expect, onTestFailed, test } from "vitest";
import { startProcess } from "../bench/measured-process.js";
import { openTestClient, type TestClient } from "../harness/nodes.js";
import { eventually, freePort, startTributary, type TributaryNode, temporaryFolder } from "../peers/peers.js";
import type { AskedLookups } from "./asking-process.js";
import type { PressedNode } from "./pressing-process.js";

/** `npm run memory` goes further: see main.ts. */
const MINUTES = Number(process.env.TRIBUTARY_MEMORY_MINUTES ?? 0);
const HEAP_MB = Number(process.env.TRIBUTARY_MEMORY_HEAP ?? 128);
/** In the short form: refusals after which it is enough. */
const ENOUGH_REFUSALS = 100;
const HUNDRED = 100;
const UPSTREAM = "rd";
const TURN_METER = new URL("turn-meter.mjs", import.meta.url).href;
/** Share of all moments at which a lookup would have to wait for more than 100 ms of CPU time of one turn. */
const MOST_LONG_SHARE = 0.01;

/** See turn-meter.mjs: CPU time of the main thread, ms. */
interface TurnFigures {
  readonly longestMs: number;
  /** What turns took beyond 100 ms each. */
  readonly longMs: number;
  readonly busyMs: number;
  readonly elapsedMs: number;
  readonly turns: readonly number[];
}

interface Site {
  readonly rd: string;
  readonly lp: string;
  readonly rdPort: number;
  start(name: "rd" | "lp"): Promise<TributaryNode>;
  api(name: "rd" | "lp", path: string): Promise<unknown>;
  turns(name: "rd" | "lp"): TurnFigures;
}

/** An RD with a store and a proxy with a snapshot, each in a process with a small heap. */
async function openSite(): Promise<Site> {
  const folder = temporaryFolder();
  const ports = { rd: await freePort("127.0.0.1"), lp: await freePort("127.0.0.1") };
  const http = { rd: await freePort("127.0.0.1"), lp: await freePort("127.0.0.1") };
  const [rd, lp] = [`coap://127.0.0.1:${ports.rd}`, `coap://127.0.0.1:${ports.lp}`];
  const stream = `coap+tcp://127.0.0.1:${ports.rd}`;
  const files = {
    rd: `listen: ["${rd}", "${stream}"]\nregistration: { store: "lmdb:./rd-state" }\n`,
    lp: `listen: ["${lp}"]\nlookup: { upstreams: [{ name: ${UPSTREAM}, uri: "${stream}" }] }\nsnapshot: ./lp-state\n`,
  };
  return {
    rd,
    lp,
    rdPort: ports.rd,
    start(name) {
      const configFile = join(folder, `${name}.yaml`);
      writeFileSync(configFile, `name: ${name}\nhttp: "127.0.0.1:${http[name]}"\n${files[name]}`);
      return startTributary({
        configFile,
        env: {
          NODE_OPTIONS: `--max-old-space-size=${HEAP_MB} --import=${TURN_METER}`,
          TURN_METER_FILE: join(folder, `${name}.turns`),
        },
      });
    },
    turns: (name) => JSON.parse(readFileSync(join(folder, `${name}.turns`), "utf8")),
    api: async (name, path) => (await fetch(`http://127.0.0.1:${http[name]}${path}`)).json(),
  };
}

interface NodeView {
  readonly memory: { readonly limit: number; readonly used: number; readonly onDisk: number };
  readonly registrations: { readonly total: number };
}

interface UpstreamView {
  readonly phase: string;
  readonly complete: boolean;
  readonly registrations: number;
  readonly leftOut?: Readonly<Record<string, number>>;
}

/** Has another process ask both nodes for one registration, again and again; the returned function ends it and says what it found. */
async function startAsking({ rd, lp }: Site): Promise<() => Promise<AskedLookups>> {
  const script = fileURLToPath(new URL("asking-process.ts", import.meta.url));
  const file = join(temporaryFolder(), "asked.json");
  const asking = await startProcess(process.execPath, [script, file, rd, lp], /^ready$/m);
  return async () => {
    await asking.stop("SIGTERM");
    return JSON.parse(readFileSync(file, "utf8")) as AskedLookups;
  };
}

/** Has `count` clients in another process register more than there is room for: for a time, or in the short form until it was refused. */
async function press(site: Site, count: number, durationMs: number): Promise<PressedNode> {
  const script = fileURLToPath(new URL("pressing-process.ts", import.meta.url));
  const file = join(temporaryFolder(), "pressed.json");
  const enough = ENOUGH_REFUSALS * Math.min(count, 4);
  const pressing = await startProcess(
    process.execPath,
    [script, file, ...[site.rdPort, count, durationMs, enough].map(String)],
    null,
  );
  await pressing.exit;
  return JSON.parse(readFileSync(file, "utf8")) as PressedNode;
}

async function registerModest(client: TestClient, rd: string): Promise<string> {
  const response = await client.coap.request({
    method: METHOD.POST,
    uri: `${rd}/rd`,
    query: ["ep=modest", "lt=86400", "base=coap://[2001:db8::7]"],
    contentFormat: CONTENT_FORMAT.LINK_FORMAT,
    payload: new TextEncoder().encode('</t>;rt="temperature"'),
  });
  expect(formatCode(response.code)).toBe("2.01");
  return `${rd}/${response.locationPath.join("/")}`;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

function report(title: string, fields: object): void {
  process.stderr.write(`${title}: ${JSON.stringify(fields)}\n`);
}

test("registrations of 64 kB with 4 000 links, from one client and from a hundred: both nodes live, answer, and start again", {
  timeout: MINUTES * 60_000 + 600_000,
}, async () => {
  const site = await openSite();
  const client = await openTestClient();
  let [rd, lp] = [await site.start("rd"), await site.start("lp")];
  onTestFailed(() => report("the nodes said", { rd: rd.stderr().slice(-4000), lp: lp.stderr().slice(-4000) }));
  const location = await registerModest(client, site.rd);
  await eventually(
    async () => (await client.targets(`${site.lp}/rd-lookup/ep`, ["ep=modest"])).length === 1 || undefined,
  );

  const endAsking = await startAsking(site);
  const halfMs = MINUTES * 30_000;
  const alone = await press(site, 1, halfMs);
  report("one client", alone);
  const many = await press(site, HUNDRED, halfMs);
  report("a hundred clients", many);
  const asked = await endAsking();

  for (const { codes, lost } of [alone, many]) {
    expect(lost).toBe(0);
    expect(codes["5.03"]).toBeGreaterThan(0);
    expect(Object.keys(codes).filter((code) => code !== "2.01" && code !== "5.03")).toEqual([]);
  }
  expect(alone.codes["2.01"]).toBeGreaterThan(0);
  // What was there, and what grows nothing, goes on.
  expect(asked.failures).toEqual([]);
  expect(formatCode((await client.coap.request({ method: METHOD.POST, uri: location })).code)).toBe("2.04");
  const before = (await site.api("rd", "/api/node")) as NodeView;
  expect(before.memory.used).toBeLessThanOrEqual(before.memory.limit);
  // The proxy has less room than the RD: it counts each one that it left out, and its answers say that they may miss something.
  const [upstream] = (await eventually(
    async () => {
      const views = (await site.api("lp", "/api/upstreams")) as UpstreamView[];
      const leftOut = views[0]?.leftOut?.memory ?? 0;
      const counted = (views[0]?.registrations ?? 0) + leftOut;
      if (leftOut > 0 && counted === before.registrations.total) return views;
      throw new Error(`${counted} of ${before.registrations.total}: ${JSON.stringify(views)}`);
    },
    { what: "each registration to be copied or counted as left out" },
  )) as UpstreamView[];
  const partial = await client.get(`${site.lp}/rd-lookup/ep`, ["ep=modest"]);
  expect([formatCode(partial.code), partial.maxAgeS]).toEqual([formatCode(CODE.CONTENT), 5]);
  expect(upstream?.complete).toBe(false);
  report("held", { rd: before, lp: upstream });
  for (const name of ["rd", "lp"] as const) {
    const sorted = asked.durationsMs[name].sort((a, b) => a - b);
    report(`selective lookups at ${name}`, {
      count: sorted.length,
      medianMs: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
      slowestMs: sorted.at(-1),
    });
  }

  // The machine may be as slow as it likes: what counts is the work that stands before a lookup.
  const answered = Object.values(alone.codes)
    .concat(Object.values(many.codes))
    .reduce((sum, count) => sum + count, 0);
  for (const name of ["rd", "lp"] as const) {
    const { turns, ...figures } = site.turns(name);
    report(`turns of ${name}`, { ...figures, busyMsPerRequest: figures.busyMs / answered, long: turns });
    expect(figures.longMs / figures.elapsedMs).toBeLessThan(MOST_LONG_SHARE);
  }

  // Killed, so that nothing is put in order first.
  await Promise.all([rd.kill("SIGKILL"), lp.kill("SIGKILL")]);
  const startMs = performance.now();
  [rd, lp] = [await site.start("rd"), await site.start("lp")];
  const startedMs = performance.now() - startMs;
  const after = (await site.api("rd", "/api/node")) as NodeView;
  report("started again", { startedMs, rd: after });
  expect(after.registrations.total + after.memory.onDisk).toBe(before.registrations.total);
  expect(await client.targets(`${site.rd}/rd-lookup/ep`, ["ep=modest"])).toHaveLength(1);
  expect(await client.targets(`${site.lp}/rd-lookup/ep`, ["ep=modest"])).toHaveLength(1);
  expect(formatCode((await client.coap.request({ method: METHOD.POST, uri: location })).code)).toBe("2.04");
});
