import { CODE } from "@tributary/coap-transport";
import { seededRandom } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import { NatsCluster } from "../harness/nats-cluster.js";
import { openNode, openTestClient } from "../harness/nodes.js";
import { describeWithPeers, eventually, freePort } from "../peers/peers.js";
import { Devices } from "./devices.js";
import { EngineWatch } from "./engine-watch.js";
import { renew } from "./instances.js";
import { RandomKills } from "./random-kills.js";

/** `npm run shared-authority` goes on for longer: see main.ts. */
const MINUTES = Number(process.env.TRIBUTARY_SHARED_MINUTES ?? 0);
const SEED = Number(process.env.TRIBUTARY_SHARED_SEED ?? 1);
const DURATION_MS = MINUTES > 0 ? MINUTES * 60_000 : 20_000;
const DEVICES = 24;
/** By how much longer than the servers themselves the directory may take no writes, ms. */
const LONGER_THAN_SERVERS_MS = 2000;
/** How long they need to elect a leader, ms; by chance none of those that are killed may lead. */
const ELECTION_MS = 4000;
const RENEWED_AT_THE_END = 100;

describeWithPeers(["nats"], "a shared directory of which any instance and any server is killed (draft 6.1)", () => {
  test(
    "loses nothing that was acknowledged, and ends each lifetime once",
    async () => {
      const cluster = await NatsCluster.start();
      const uris = await Promise.all(cluster.servers.map(async () => `coap://[::1]:${await freePort()}`));
      const kills = new RandomKills(cluster, uris, SEED);
      await kills.start();
      const engine = await EngineWatch.start("tributary", cluster.uris);
      const feeds = await followFeeds(uris);
      const client = await openTestClient();
      const random = seededRandom(SEED + 1);
      const endMs = performance.now() + DURATION_MS;
      const isOver = () => performance.now() >= endMs;
      const anyInstance = () => uris[Math.floor(random() * uris.length)] as string;
      const devices = new Devices({ client: client.coap, anyInstance, random, isOver });
      await Promise.all([
        kills.run(isOver),
        ...kills.seats.map((seat) => kills.ask(client.coap, seat, isOver)),
        ...Array.from({ length: DEVICES }, () => devices.work()),
      ]);

      const figures = {
        ...devices.counts,
        ended: devices.shortLived.size,
        kept: devices.registered.size,
        killed: kills.counts,
        lookups: kills.lookups,
        longestLookupMs: Math.round(kills.longestLookupMs),
        longestPauseMs: Math.round(devices.longestPauseMs),
        longestPauseOfServersMs: Math.round(engine.longestPauseMs),
      };
      if (MINUTES > 0) process.stderr.write(`${JSON.stringify(figures)}\n`);

      // Every instance shows what was acknowledged, and nothing else: what lived for a short time has ended.
      const wanted = [...devices.registered.values()].sort();
      for (const uri of uris)
        await eventually(async () => {
          const shown = await client.targets(`${uri}/rd-lookup/ep`);
          expect(differenceOf(shown, wanted)).toEqual({ lost: [], besides: [] });
          return true;
        });
      await eventually(
        async () => {
          engine.settle();
          const unseen = [...devices.shortLived.keys()].filter((ep) => !engine.ends.has(ep));
          // An end that was forgotten again before the watch got it shows in what is there instead.
          const kinds = await Promise.all(unseen.map(async (ep) => `${ep} ${await engine.lastKind(ep)}`));
          expect(kinds.filter((one) => / (put|delete)$/.test(one))).toEqual([]);
          return true;
        },
        { what: "the ends of what lived for a short time" },
      );
      let at = 0;
      for (const path of wanted.slice(0, RENEWED_AT_THE_END))
        expect((await renew(client.coap, uris[at++ % uris.length] as string, path)).code).toBe(CODE.CHANGED);
      expect([devices.failures, engine.failures, kills.failures]).toEqual([[], [], []]);
      for (const [ep, attempts] of devices.shortLived) {
        // A device that was not answered may have registered twice, the second time after its end.
        expect(engine.ends.get(ep) ?? 0).toBeLessThanOrEqual(attempts);
        if (attempts > 1) continue;
        for (const uri of uris) expect(`${ep} ${feeds(uri, ep)}`).toMatch(new RegExp(`^${ep} [01]$`));
      }
      expect(devices.longestPauseMs).toBeLessThanOrEqual(
        Math.max(engine.longestPauseMs, ELECTION_MS) + LONGER_THAN_SERVERS_MS,
      );
    },
    DURATION_MS + 300_000,
  );
});

function differenceOf(shown: readonly string[], wanted: readonly string[]) {
  const [has, wants] = [new Set(shown), new Set(wanted)];
  return { lost: wanted.filter((path) => !has.has(path)), besides: shown.filter((path) => !wants.has(path)) };
}

/** A proxy that follows the feed of each instance; the returned function says how often a registration ended there. */
async function followFeeds(uris: readonly string[]): Promise<(uri: string, ep: string) => number> {
  const upstreams = uris.map((uri, at) => ({ name: `rd-${at + 1}`, uri }));
  const proxy = await openNode(`lookup: ${JSON.stringify({ upstreams })}`);
  const ends = new Map<string, number>();
  const keyOf = (source: string, ep: string) => `${source} ${ep}`;
  proxy.directory.on("source", ({ kind, source, registration: { ep } }) => {
    if (kind === "removed") ends.set(keyOf(source, ep), (ends.get(keyOf(source, ep)) ?? 0) + 1);
  });
  return (uri, ep) => ends.get(keyOf(`rd-${uris.indexOf(uri) + 1}`, ep)) ?? 0;
}
