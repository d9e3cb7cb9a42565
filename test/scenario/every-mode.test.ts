import { beforeAll, expect, test } from "vitest";
import { FIGURE_HOSTS, NamespaceNetwork } from "../harness/namespaces.js";
import { MODES, type Mode } from "../modes/promises.js";
import {
  coapClient,
  describeWithPeers,
  eventually,
  PINNED_NODE,
  runProcess,
  startAiocoapRd,
  startTributary,
} from "../peers/peers.js";

const FACILITY = "facility23.eu.example.com";
const ADDRESS = {
  host1: "2001:db8:23::1",
  host2: "2001:db8:23::2",
  host3: "2001:db8:23::3",
  host4: "2001:db8:4::4",
  host5: "2001:db8:23::5",
} as const;
type Host = keyof typeof ADDRESS;
const RDS = ["host1", "host2", "host3"] as const;
const PROXIES = ["host1", "host2", "host4"] as const;

const SETTINGS: Readonly<Record<Mode, object>> = {
  replicate: { mode: "replicate" },
  filters: { filters: [`d=${FACILITY}`] },
  auto: { mode: "auto" },
  forward: { mode: "forward" },
};

/** Modes that answer lookups of the facility from a copy. */
const COPIES_FACILITY: readonly Mode[] = ["replicate", "filters"];

/** Nothing that was answered before is used again: each lookup costs what it costs. */
const LOOKUP = { timeout: "2s", cache: { entries: 0 } };

function configOf(host: Host, mode: Mode): object {
  const upstreams = (...names: Host[]) =>
    names.map((name) => ({ name, uri: `coap://[${ADDRESS[name]}]`, ...SETTINGS[mode] }));
  const replicas = ["loopback", "2001:db8:23::/64", "2001:db8:4::/64"];
  // A client that has to repeat its lookup with Echo makes two of it, and without a cache both are asked.
  const amplification = { trusted: ["any"] };
  const common = { name: host, listen: [`coap://[${ADDRESS[host]}]`], http: "127.0.0.1:8683", amplification };
  switch (host) {
    case "host1":
      return { ...common, registration: { replicas }, lookup: { ...LOOKUP, upstreams: upstreams("host2", "host3") } };
    case "host2":
      return { ...common, registration: { replicas }, lookup: { ...LOOKUP, upstreams: upstreams("host1", "host3") } };
    case "host3":
      return { ...common, registration: { replicas } };
    default:
      return { ...common, lookup: { ...LOOKUP, upstreams: upstreams("host1", "host2", "host3", "host5") } };
  }
}

describeWithPeers(
  ["libcoap", "aiocoap", "netns"],
  "draft 6.2, 6.2.1 and 4.4.2, the figure with a plain RD beside it",
  () => {
    let network: NamespaceNetwork;
    beforeAll(() => {
      network = new NamespaceNetwork([
        ...FIGURE_HOSTS,
        { name: "host5", address: `${ADDRESS.host5}/64` },
        { name: "endp", address: "2001:db8:23::e1/64" },
      ]);
    });

    /** What a client of its own site gets of a node. */
    const get = (host: Host, path: string) =>
      coapClient(["-m", "get", `coap://[${ADDRESS[host]}]${path}`], { netns: network.host(host) });
    const targets = async (host: Host, path: string) =>
      [...(await get(host, `/rd-lookup/${path}`)).stdout.matchAll(/(?:^|,)<([^>]*)>/gm)]
        .map(([, target]) => target)
        .sort();

    /** Register from a host of its own; the path of the registration. */
    async function register(at: Host, query: string, links: string, path = "/rd"): Promise<string> {
      const sent = await coapClient(
        ["-v", "6", "-m", "post", "-t", "40", "-e", links, `coap://[${ADDRESS[at]}]${path}?${query}`],
        { netns: network.host("endp") },
      );
      const output = `${sent.stdout}${sent.stderr}`;
      const segments = [...output.matchAll(/Location-Path:([^,\s\]]+)/g)].map(([, segment]) => segment);
      expect(segments.length, output).toBeGreaterThan(0);
      return `/${segments.join("/")}`;
    }

    /** Lookups that each RD has answered so far, subscriptions apart. */
    async function answeredLookups(): Promise<number[]> {
      const script = "fetch('http://127.0.0.1:8683/metrics').then((response) => response.text()).then(console.log)";
      return Promise.all(
        RDS.map(async (host) => {
          const { stdout } = await runProcess(PINNED_NODE, ["-e", script], { netns: network.host(host) });
          const counts = [...stdout.matchAll(/^tributary_lookups_total\{[^}]*\} (\d+)$/gm)];
          return counts.reduce((sum, [, count]) => sum + Number(count), 0);
        }),
      );
    }

    /** What the lookup costs each of the RDs besides the one that is asked. */
    async function cost(asked: Host, path: string): Promise<number[]> {
      const before = await answeredLookups();
      await get(asked, `/rd-lookup/${path}`);
      const after = await answeredLookups();
      return RDS.flatMap((host, index) => (host === asked ? [] : [(after[index] ?? 0) - (before[index] ?? 0)]));
    }

    async function start(mode: Mode) {
      const nodes = await Promise.all(
        (["host1", "host2", "host3", "host4"] as const).map((host) =>
          startTributary({ config: configOf(host, mode), netns: network.host(host) }),
        ),
      );
      await eventually(
        async () => {
          const script = "fetch('http://127.0.0.1:8683/readyz').then(({ status }) => console.log(status))";
          for (const host of PROXIES) {
            const { stdout } = await runProcess(PINNED_NODE, ["-e", script], { netns: network.host(host) });
            if (!stdout.includes("200")) return false;
          }
          return true;
        },
        { what: "every proxy to be ready", timeoutMs: 60_000 },
      );
      return { rdC: nodes[2] as (typeof nodes)[number] };
    }

    test.each(MODES)(
      "LPX-06 LPX-09 LPX-10 LPX-11 LPX-12 LPX-13 LPX-14 mode %s: who is asked what, a handover, an RD that dies, a proxy that is cut off",
      { timeout: 180_000 },
      async (mode) => {
        await startAiocoapRd({ bind: `[${ADDRESS.host5}]`, netns: network.host("host5") });
        const { rdC } = await start(mode);
        const put = (at: Host, ep: string, d = FACILITY) =>
          register(at, `ep=${ep}&d=${d}&base=coap://${ep}.example`, "</t>;rt=temp");
        const atA = await put("host1", "a");
        await put("host2", "b");
        await put("host3", "c");
        await register("host5", "ep=plain&base=coap://plain.example", "</t>;rt=temp", "/resourcedirectory/");
        const everyone = ["a", "b", "c"].map((ep) => `coap://${ep}.example/t`);
        const wanted = { host1: everyone, host2: everyone, host4: [...everyone, "coap://plain.example/t"] };
        for (const proxy of PROXIES)
          await eventually(async () => expect(await targets(proxy, "res?rt=temp")).toEqual(wanted[proxy]) ?? true, {
            what: `all links at ${proxy}`,
          });

        // Draft 6.2 and 6.2.1: a lookup costs an RD one request on each interface, and nothing where a copy answers it.
        for (const proxy of PROXIES) {
          const most = mode === "replicate" ? [0, 0] : [1, 2];
          for (const [index, path] of ["ep?rt=temp", "res?rt=temp"].entries())
            expect(Math.max(...(await cost(proxy, path))), `${proxy} ${path}`).toBeLessThanOrEqual(
              most[index] as number,
            );
          if (COPIES_FACILITY.includes(mode))
            expect(Math.max(...(await cost(proxy, `res?d=${FACILITY}`))), `${proxy}: its own facility`).toBe(0);
        }

        // Draft 4.4.2: a path names what is registered at the node itself.
        const own = { host1: ["coap://a.example/t"], host2: ["coap://b.example/t"], host4: [] };
        for (const proxy of PROXIES) {
          expect(await targets(proxy, "res?provenance=/*")).toEqual(own[proxy]);
          expect(await targets(proxy, "ep?href=/*")).toHaveLength(own[proxy].length);
          expect(await targets(proxy, `ep?href=${atA}`)).toEqual(proxy === "host1" ? [atA] : []);
          expect(await cost(proxy, "ep?href=/*")).toEqual(proxy === "host4" ? [0, 0, 0] : [0, 0]);
        }

        // Draft 6.2: endpoint1 is at RD-C, which dies; it registers at RD-B, with other links.
        await register(
          "host3",
          `ep=endpoint1&d=${FACILITY}&base=coap://old.example`,
          "</t>;rt=move,</only-old>;rt=move",
        );
        for (const proxy of PROXIES)
          await eventually(async () => (await targets(proxy, "res?rt=move")).length === 2, {
            what: `endpoint1 at ${proxy}`,
          });
        const atB = await register("host2", `ep=endpoint1&d=${FACILITY}&base=coap://new.example`, "</t>;rt=move");
        const newest = async (proxy: Host) => {
          expect(await targets(proxy, "res?rt=move")).toEqual(["coap://new.example/t"]);
          const href = proxy === "host2" ? atB : `coap://[${ADDRESS.host2}]${atB}`;
          expect(await targets(proxy, "ep?ep=endpoint1")).toEqual([href]);
          return true;
        };
        for (const proxy of PROXIES)
          await eventually(() => newest(proxy), { what: `the new registration alone at ${proxy}` });
        await rdC.kill("SIGKILL");
        for (const proxy of PROXIES)
          await eventually(() => newest(proxy), { what: `the same without RD-C at ${proxy}` });

        // What a copy has of the dead RD-C is shown; what would have to be asked is missing, and the rest is there.
        const lost = mode === "replicate" || mode === "filters" ? everyone : everyone.slice(0, 2);
        expect((await targets("host1", `res?rt=temp`)).sort()).toEqual(lost);

        // LP-Z is cut off from all RDs, and comes back.
        network.setConnected("host4", false);
        const alone = await targets("host4", `res?d=${FACILITY}`);
        if (COPIES_FACILITY.includes(mode)) expect(alone).toEqual([...everyone, "coap://new.example/t"].sort());
        else expect(alone).toEqual([]);
        const late = await put("host1", "late");
        network.setConnected("host4", true);
        await eventually(
          async () => (await targets("host4", "ep?ep=late")).includes(`coap://[${ADDRESS.host1}]${late}`),
          { what: "LP-Z to catch up", timeoutMs: 60_000 },
        );
      },
    );
  },
);
