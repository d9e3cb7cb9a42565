import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openTestClient } from "../harness/nodes.js";
import { eventually, freePort, startTributary, temporaryFolder } from "../peers/peers.js";

const COUNT = 400;
const LOOKUPS_AT_ONCE = 4;
/** What one reload after the other changes of the upstream. */
const STORM = ["timeout: 3s", "mode: forward", "timeout: 2s", "mode: auto", 'filters: ["ep=n*"]', "poll: 20s"] as const;

interface UpstreamView {
  readonly phase: string;
  readonly mode: string;
  readonly registrations: number;
  readonly feedBytes: number;
}

/** An RD and a proxy, processes of their own, with all registrations copied. */
async function openSite({ store, snapshot }: { readonly store: string; readonly snapshot: string }) {
  const folder = temporaryFolder();
  const http = `127.0.0.1:${await freePort("127.0.0.1")}`;
  const client = await openTestClient();
  const rdFile = join(folder, "rd.yaml");
  writeFileSync(rdFile, `name: rd\nlisten: ["coap://[::1]:0"]\nhttp: false\nregistration: { ${store} }\n`);
  const rd = await startTributary({ configFile: rdFile });
  const [rdUri = ""] = rd.uris;
  const names = Array.from({ length: COUNT }, (_, at) => `n${at}`);
  for (let at = 0; at < COUNT; at += 50)
    await Promise.all(
      names.slice(at, at + 50).map((ep) => client.register(rdUri, [`ep=${ep}`, "base=coap://h"], "</t>")),
    );
  const configFile = join(folder, "lp.yaml");
  const write = (setting: string) =>
    writeFileSync(
      configFile,
      `name: lp\nlisten: ["coap://[::1]:0"]\nhttp: "${http}"\n${snapshot}` +
        `lookup: { upstreams: [{ name: rd, uri: "${rdUri}", ${setting} }] }\n`,
    );
  write("timeout: 2s");
  const lp = await startTributary({ configFile });
  const view = async () => {
    const [upstream] = (await (await fetch(`http://${http}/api/upstreams`)).json()) as UpstreamView[];
    return upstream as UpstreamView;
  };
  const live = () =>
    eventually(async () => {
      const upstream = await view();
      return upstream.phase === "live" && upstream.registrations === COUNT ? upstream : undefined;
    });
  const reloads = () => lp.stderr().split("configuration reloaded").length - 1;
  /** Write a setting, and wait until it has been taken over. */
  const reload = async (setting: string) => {
    const before = reloads();
    write(setting);
    lp.signal("SIGHUP");
    await eventually(() => reloads() > before, { what: "the reload" });
  };
  const shown = async () => (await client.links(`${lp.uris[0]}/rd-lookup/ep`)).length;
  return { client, rdUri, lp, write, live, reload, shown };
}

const PLACES = [
  { name: "nothing is kept", store: "", snapshot: "" },
  { name: "a store and a snapshot", store: 'store: "lmdb:./rd-state"', snapshot: "snapshot: ./lp-state\n" },
];

test.each(PLACES)("a storm of reloads, $name: no lookup shows fewer registrations", async (places) => {
  const { lp, write, live, reload, shown } = await openSite(places);
  const { feedBytes: copyBytes } = await live();
  expect(copyBytes).toBeGreaterThan(COUNT);
  const counts = new Set<number | string>();
  let isOver = false;
  let lookups = 0;
  const asking = Array.from({ length: LOOKUPS_AT_ONCE }, async () => {
    for (; !isOver; lookups++) counts.add(await shown().catch(String));
  });
  for (let round = 0; round < 30; round++) {
    // Some at once, some after the one before has been taken over, and every signal in between for good measure.
    const setting = STORM[round % STORM.length] as string;
    if (round % 3 === 0) await reload(setting);
    else write(setting);
    for (let signals = 0; signals < 5; signals++) lp.signal("SIGHUP");
  }
  await reload("timeout: 2s");
  await live();
  isOver = true;
  await Promise.all(asking);
  expect(lookups).toBeGreaterThan(LOOKUPS_AT_ONCE);
  expect([...counts]).toEqual([COUNT]);
});

test.each(PLACES)("what only changes how an RD is asked copies nothing again, $name", async (places) => {
  const { client, rdUri, live, reload, shown } = await openSite(places);
  const { feedBytes: copyBytes } = await live();
  for (const setting of ["timeout: 3s", "timeout: 4s", "poll: 20s"]) {
    await reload(setting);
    const { feedBytes } = await live();
    expect(feedBytes, setting).toBeLessThan(copyBytes / 10);
  }
  // It goes on from there: what changes at the RD arrives.
  await client.register(rdUri, ["ep=late", "base=coap://h"], "</t>");
  await eventually(async () => (await shown()) === COUNT + 1, { what: "a registration after the reloads" });
});
