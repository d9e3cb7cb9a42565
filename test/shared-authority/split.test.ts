import { join } from "node:path";
import { expect, test } from "vitest";
import { NamespaceNetwork } from "../harness/namespaces.js";
import { NatsCluster } from "../harness/nats-cluster.js";
import { PacketFilter } from "../harness/packet-filter.js";
import {
  coapClient,
  describeWithPeers,
  eventually,
  PINNED_NODE,
  runProcess,
  startTributary,
  temporaryFolder,
} from "../peers/peers.js";

const HOSTS = ["h1", "h2", "h3", "lp"] as const;
type Host = (typeof HOSTS)[number];
const ADDRESS = { h1: "2001:db8:1::1", h2: "2001:db8:1::2", h3: "2001:db8:1::3", lp: "2001:db8:4::4" } as const;
const SERVERS = ["h1", "h2", "h3"] as const;
const PORT = { accept: 5683, refuse: 5684 } as const;
type Mode = keyof typeof PORT;
/** Dead connections between servers are closed, so that healing does not wait for the retransmissions of TCP. */
const SETTINGS = 'ping_interval: "2s"\nping_max: 2';
/** Prints a document. */
const FETCH = "fetch(process.argv[1]).then(async (r) => console.log(await r.text()), () => {})";
/** Time in which all have to agree once the servers have a leader again, and the longest that these take to elect one, ms. */
const AGREEMENT_MS = 10_000;
const ELECTION_MS = 9000;
/** Longest wait of a device for a response, s: an instance may need some time to find out that it is alone. */
const PATIENCE_S = 30;

describeWithPeers(
  ["nats", "netns", "nftables", "libcoap"],
  "a server and its instances that are cut off (draft 6.1)",
  () => {
    test("refuse registrations or accept them; afterwards everybody agrees", { timeout: 120_000 }, async () => {
      const network = new NamespaceNetwork(HOSTS.map((name) => ({ name, address: `${ADDRESS[name]}/64` })));
      const filter = new PacketFilter(network);
      const netns = (host: Host) => ({ netns: network.host(host) });
      const places = SERVERS.map((host) => ({ address: ADDRESS[host], ...netns(host) }));
      const cluster = await NatsCluster.start({ places, settings: SETTINGS });
      const startInstance = (host: Host, mode: Mode) => {
        const journal = mode === "accept" ? { journal: join(temporaryFolder(), "split") } : {};
        const nats = { servers: cluster.uris, stream: mode, partition: mode, ...journal };
        const listen = [`coap://[${ADDRESS[host]}]:${PORT[mode]}`];
        const http = mode === "accept" ? "127.0.0.1:8683" : false;
        const config = { name: host, listen, http, registration: { store: { nats } } };
        return startTributary({ config, ...netns(host) });
      };
      await Promise.all(SERVERS.map((host) => startInstance(host, "accept")));
      await Promise.all([startInstance("h1", "refuse"), startInstance("h3", "refuse")]);
      const uris = (["h3", "h1", "h2"] as const).map((host) => `coap://[${ADDRESS[host]}]:${PORT.accept}`);
      const upstreams = [{ name: "rd", uris }];
      const listen = [`coap://[${ADDRESS.lp}]:${PORT.accept}`];
      await startTributary({
        config: { name: "lp", listen, http: false, lookup: { upstreams, timeout: "1s" } },
        ...netns("lp"),
      });

      /** What the RD at a host says to a device there. */
      const register = async (host: Host, mode: Mode, ep: string, link: string = host) => {
        const uri = `coap://[${ADDRESS[host]}]:${PORT[mode]}/rd?ep=${ep}&lt=6000`;
        const post = ["-B", String(PATIENCE_S), "-m", "post", "-t", "40", "-e", `</${link}>`, uri];
        const { stdout, stderr } = await coapClient(post, { ...netns(host), timeoutMs: PATIENCE_S * 1000 });
        return stdout + stderr;
      };
      const get = async (host: Host, mode: Mode, path: string) =>
        (await coapClient([`coap://[${ADDRESS[host]}]:${PORT[mode]}${path}`], netns(host))).stdout;
      /** Names with the paths of their registrations, and links, in order. */
      const shown = async (host: Host, mode: Mode = "accept") => {
        const endpoints = (await get(host, mode, "/rd-lookup/ep")).matchAll(/\/reg\/([0-9a-f-]{36})>.*?;ep="([^"]*)"/g);
        const links = (await get(host, mode, "/rd-lookup/res")).matchAll(/<[^>]*(\/[a-z0-9]+)>/g);
        return [
          ...[...endpoints].map(([, id, ep]) => `${ep} ${id}`),
          ...[...links].map(([, path]) => `${path}`),
        ].sort();
      };
      const namesAt = async (host: Host, mode: Mode) =>
        (await shown(host, mode)).flatMap((line) => (line.startsWith("/") ? [] : [line.split(" ")[0]]));
      for (const mode of ["accept", "refuse"] as const) await register("h1", mode, "known");
      await eventually(async () => (await namesAt("lp", "accept")).length === 1, { what: "the proxy" });

      const heal = filter.lose({ from: "h3", percent: 100 }, { to: "h3", percent: 100 });
      await register("h1", "accept", "there");
      await register("h1", "accept", "both");
      const [, refused] = await Promise.all([register("h3", "accept", "here"), register("h3", "refuse", "here")]);
      expect(refused).toContain("5.03");
      await register("h3", "accept", "both");
      await register("h3", "accept", "known", "moved");
      expect(await namesAt("h3", "accept")).toEqual(["both", "here", "known"]);
      expect(await namesAt("h1", "accept")).toEqual(["both", "known", "there"]);
      const pathsHere = (await shown("h3")).filter((line) => line.startsWith("both"));
      expect((await shown("h1")).filter((line) => line.startsWith("both"))).toEqual(pathsHere);
      expect(await namesAt("h3", "refuse")).toEqual(["known"]);

      heal();
      const healedMs = performance.now();
      const wanted = ["/h1", "/h3", "/h3", "/moved"];
      const agree = async () => {
        const all = await Promise.all(HOSTS.map((host) => shown(host)));
        for (const lines of all) expect(lines).toEqual(all[0]);
        expect(all[0]?.filter((line) => line.startsWith("/"))).toEqual(wanted);
        return true;
      };
      await eventually(agree, { what: "all to agree", timeoutMs: AGREEMENT_MS + ELECTION_MS });
      const agreedMs = performance.now() - healedMs;
      process.stderr.write(`all agreed ${Math.round(agreedMs)} ms after the split had ended\n`);
      const fetchAt = async (host: Host, path: string) =>
        (await runProcess(PINNED_NODE, ["-e", FETCH, `http://127.0.0.1:8683${path}`], netns(host))).stdout;
      // An instance that was connected to the server beyond the cut may have taken it as well, until it had found another server.
      const lost = await Promise.all(
        SERVERS.map(async (host) => {
          const { events } = JSON.parse(await fetchAt(host, "/api/events")) as {
            events: { kind: string; ep?: string }[];
          };
          const metrics = await fetchAt(host, "/metrics");
          const counts = [...metrics.matchAll(/^tributary_store_settled_total\{outcome="discarded-[a-z]+"\} (\d+)$/gm)];
          const found = events.filter(({ kind }) => kind === "discarded");
          expect(counts.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(found.length);
          return found;
        }),
      );
      expect(lost.flat()).toMatchObject([{ ep: "both", what: "registration" }]);
      await eventually(async () => !(await register("h3", "refuse", "here")).includes("5.03"), {
        what: "writes again",
      });
      await eventually(async () => (await namesAt("h1", "refuse")).length === 2);
    });
  },
);
