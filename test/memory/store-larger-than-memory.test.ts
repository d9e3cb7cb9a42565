import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatCode, METHOD } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { openTestClient } from "../harness/nodes.js";
import { eventually, freePort, startTributary, temporaryFolder } from "../peers/peers.js";

const COUNT = 60;
/** Max-Age of answers that may miss something, seconds. */
const PARTIAL_MAX_AGE_S = 5;
const LINKS = Array.from({ length: 200 }, (_, at) => `</${at}>;rt="kind-${at}"`).join(",");

interface MemoryView {
  readonly registrations: { readonly total: number };
  readonly memory: { readonly onDisk: number };
}

/** An RD with a store, and proxies: one that copies and one that only asks. */
async function site() {
  const folder = temporaryFolder();
  const [rdPort, rdHttp] = [await freePort(), await freePort("127.0.0.1")];
  const rd = `coap://[::1]:${rdPort}`;
  const start = (name: string, text: string) => {
    const configFile = join(folder, `${name}.yaml`);
    writeFileSync(configFile, `name: ${name}\n${text}`);
    return startTributary({ configFile });
  };
  return {
    rd,
    startRd: (limits: string) =>
      start(
        "rd",
        `listen: ["${rd}"]\nhttp: "127.0.0.1:${rdHttp}"\nregistration: { store: "lmdb:./rd-state" }\n${limits}`,
      ),
    node: async () => (await (await fetch(`http://127.0.0.1:${rdHttp}/api/node`)).json()) as MemoryView,
    async startProxy(name: string, mode: string) {
      const [port, http] = [await freePort(), await freePort("127.0.0.1")];
      const uri = `coap://[::1]:${port}`;
      const upstream = `{ name: rd, uri: "${rd}", mode: ${mode} }`;
      await start(name, `listen: ["${uri}"]\nhttp: "127.0.0.1:${http}"\nlookup: { upstreams: [${upstream}] }\n`);
      return {
        uri,
        async upstream() {
          const views = await (await fetch(`http://127.0.0.1:${http}/api/upstreams`)).json();
          return (views as readonly { readonly phase: string }[])[0];
        },
      };
    },
  };
}

test("what an RD holds on disk only is shown by proxies that copy it, and missing from answers that say so elsewhere", async () => {
  const { rd, startRd, node, startProxy } = await site();
  const client = await openTestClient();
  const first = await startRd("");
  const locations: string[] = [];
  for (let at = 0; at < COUNT; at++) {
    const query = [`ep=e${at}`, "lt=86400", "base=coap://[2001:db8::7]"];
    const payload = new TextEncoder().encode(LINKS);
    const response = await client.coap.request({
      ...{ method: METHOD.POST, uri: `${rd}/rd`, query, contentFormat: 40, payload },
    });
    expect(formatCode(response.code)).toBe("2.01");
    locations.push(`/${response.locationPath.join("/")}`);
  }
  const early = await startProxy("early", "replicate");
  const shows = (uri: string) => async () =>
    (await client.targets(`${uri}/rd-lookup/ep`)).length === COUNT || undefined;
  await eventually(shows(early.uri), { what: "all of them at the proxy", timeoutMs: 20_000 });

  await first.kill("SIGKILL");
  await startRd("limits: { memory: 2097152 }\n");
  const { registrations, memory } = await node();
  expect(memory.onDisk).toBeGreaterThan(0);
  expect(registrations.total + memory.onDisk).toBe(COUNT);
  // Its own lookups miss them, and say so.
  const own = await client.get(`${rd}/rd-lookup/ep`);
  expect(own.maxAgeS).toBe(PARTIAL_MAX_AGE_S);
  expect(await client.targets(`${rd}/rd-lookup/ep`)).toHaveLength(registrations.total);

  // One that comes now copies all of them; one that knew them keeps them.
  const late = await startProxy("late", "replicate");
  await eventually(shows(late.uri), { what: "all of them at a new proxy", timeoutMs: 20_000 });
  await eventually(async () => (await early.upstream())?.phase === "live" || undefined, { timeoutMs: 60_000 });
  expect(await shows(early.uri)()).toBe(true);
  for (const { uri, upstream } of [early, late]) {
    expect(await upstream()).toMatchObject({ complete: true, registrations: COUNT, leftOut: {} });
    expect(await client.targets(`${uri}/rd-lookup/res`, ["ep=e59"])).toHaveLength(200);
  }

  // One that asks gets what the RD shows, and passes on that it is partial.
  const asking = await startProxy("asking", "forward");
  await eventually(async () => (await asking.upstream())?.phase === "live" || undefined, { timeoutMs: 20_000 });
  const asked = await client.get(`${asking.uri}/rd-lookup/ep`);
  expect(asked.maxAgeS).toBeLessThanOrEqual(PARTIAL_MAX_AGE_S);

  // What is removed at the RD goes everywhere, though the RD did not show it.
  const shown = new Set(await client.targets(`${rd}/rd-lookup/ep`));
  const hidden = locations.find((path) => !shown.has(path)) as string;
  expect(formatCode((await client.coap.request({ method: METHOD.DELETE, uri: `${rd}${hidden}` })).code)).toBe("2.02");
  for (const { uri } of [early, late])
    await eventually(async () => (await client.targets(`${uri}/rd-lookup/ep`)).length === COUNT - 1 || undefined, {
      timeoutMs: 20_000,
    });
});
