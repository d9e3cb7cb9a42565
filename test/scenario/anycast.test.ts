import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { FIGURE_HOSTS, NamespaceNetwork } from "../harness/namespaces.js";
import {
  aiocoapClient,
  coapClient,
  describeWithPeers,
  eventually,
  PINNED_NODE,
  runProcess,
  startCoapObserver,
  startProcess,
  startTributary,
  TRIBUTARY,
  untilWritten,
} from "../peers/peers.js";

const example = (host: string) => fileURLToPath(new URL(`../../deploy/examples/anycast/${host}.yaml`, import.meta.url));

/** All nodes have it; each client reaches the node closest to it. */
const SHARED = "2001:db8:a::1";
const HOSTS = ["host1", "host2", "host3", "host4"] as const;
type Host = (typeof HOSTS)[number];

describeWithPeers(["libcoap", "aiocoap", "netns"], "draft 6.2.2, four nodes with one address", () => {
  test("LPX-18 LPX-19 LPX-21 a registration is renewed, read and removed through any node, and gives 5.04 when its owner is dead", {
    timeout: 180_000,
  }, async () => {
    const network = new NamespaceNetwork([
      ...FIGURE_HOSTS,
      // A client at each site.
      ...HOSTS.map((_, index) => ({ name: `at${index + 1}`, address: `2001:db8:c::${index + 1}/64` })),
    ]);
    network.shareAddress(SHARED, HOSTS);
    const clientAt = (host: Host) => host.replace("host", "at");
    for (const host of HOSTS) network.setClosest(clientAt(host), SHARED, host);
    const nodes = new Map<Host, Awaited<ReturnType<typeof startTributary>>>();
    for (const host of HOSTS)
      nodes.set(host, await startTributary({ configFile: example(host), netns: network.host(host) }));

    /** Ask the shared address from the site of a host. */
    const ask = async (site: Host, args: readonly string[], path: string) => {
      const options = { netns: network.host(clientAt(site)), timeoutMs: 40_000 };
      const sent = await coapClient(["-v", "6", "-B", "20", ...args, `coap://[${SHARED}]${path}`], options);
      const text = `${sent.stdout}\n${sent.stderr}`;
      const code = [...text.matchAll(/\b([245]\.\d\d)\b/g)].map((match) => match[1]).at(-1);
      const location = [...text.matchAll(/Location-Path:([^,\s\]]+)/g)].map((match) => match[1]).join("/");
      return { code, location: `/${location}`, text };
    };
    const register = async (site: Host, query: string, payload = '</sensors/temp>;if="core.s"') => {
      const sent = await ask(site, ["-m", "post", "-t", "40", "-e", payload], `/rd?${query}`);
      expect(sent.code, sent.text).toBe("2.01");
      return sent.location;
    };
    const codeOf = async (site: Host, method: string, path: string) => (await ask(site, ["-m", method], path)).code;
    const lookup = async (site: Host, query: string) => {
      const options = { netns: network.host(clientAt(site)) };
      return (await coapClient(["-m", "get", `coap://[${SHARED}]/rd-lookup/ep?${query}`], options)).stdout.trim();
    };
    /** libcoap and aiocoap ask in turn: neither takes an answer from another address than it asked. */
    const readByAiocoap = (site: Host, path: string) =>
      aiocoapClient([`coap://[${SHARED}]${path}`], { netns: network.host(clientAt(site)) });
    for (const host of HOSTS) {
      await eventually(async () => (await readiness(network.host(host))).includes("200"), {
        what: `${host} to be ready`,
      });
    }

    // Every node looks the same from outside.
    for (const site of HOSTS) {
      const { stdout } = await coapClient(["-m", "get", `coap://[${SHARED}]/.well-known/core?rt=core.rd*`], {
        netns: network.host(clientAt(site)),
      });
      const targets = [...stdout.matchAll(/<([^>]*)>/g)].map((match) => match[1]);
      expect(targets.sort(), site).toEqual(["/rd", "/rd-lookup/ep", "/rd-lookup/res"]);
    }

    // A registration at the site of each host: the local RD takes it, at LP-Z the closest one (RD-C).
    const owner = { host1: "host1", host2: "host2", host3: "host3", host4: "host3" } as const;
    for (const [index, site] of HOSTS.entries()) {
      const before = await forwardedAt(network);
      const path = await register(site, `ep=node-${site}`);
      expect(path).toMatch(new RegExp(`^/reg/${owner[site]}/`));
      for (const other of HOSTS) {
        const { stdout, stderr, status } = await readByAiocoap(other, path);
        expect({ stdout: stdout.trim(), status }, `${site} → ${other}: ${stderr}`).toEqual({
          stdout: '</sensors/temp>;if="core.s"',
          status: 0,
        });
        expect(await codeOf(other, "post", `${path}?lt=600`), `renewal at ${other}`).toBe("2.04");
      }
      // Each of these was forwarded once, by the node that was asked, and none by the owner: nobody asks further.
      const after = await forwardedAt(network);
      for (const host of HOSTS) {
        const expected = (host === owner[site] ? 0 : 2) + (host === site && site !== owner[site] ? 1 : 0);
        expect((after[host]?.answered ?? 0) - (before[host]?.answered ?? 0), `${host} for ${site}`).toBe(expected);
        expect(after[host], `${host} for ${site}`).toMatchObject({ timeout: 0, unreachable: 0, failed: 0 });
      }
      // The base is where the endpoint is, through whichever node it came, and follows where it renews from last.
      const base = `base="coap://[2001:db8:c::4]:`;
      for (const other of HOSTS) {
        await eventually(async () => (await lookup(other, `ep=node-${site}`)).includes(base), {
          what: `the base of node-${site} at ${other}`,
        });
      }
      const last = HOSTS[(index + 1) % HOSTS.length] as Host;
      expect(await codeOf(last, "delete", path), `removal at ${last}`).toBe("2.02");
      expect(await codeOf(site, "get", path)).toBe("4.04");
    }
    expect(await codeOf("host1", "get", "/reg/host9/1"), "no node is called so").toBe("4.04");

    // A base that was given stays, whichever node the renewal goes through.
    const given = await register("host4", "ep=given&base=coap://[2001:db8:c::99]");
    expect(await codeOf("host2", "post", given)).toBe("2.04");
    await eventually(async () => (await lookup("host1", "ep=given")).includes('base="coap://[2001:db8:c::99]"'), {
      what: "the given base",
    });

    const doomed = await register("host4", "ep=moving&lt=3600");
    expect(doomed).toMatch(/^\/reg\/host3\//);
    const doomedMs = performance.now();

    // Observing lookups through RD-C, which has no lookup proxy.
    const first = await register("host1", "ep=first&et=watched");
    const observer = startCoapObserver(`coap://[${SHARED}]/rd-lookup/ep?et=watched`, { netns: network.host("at3") });
    await eventually(() => observer.stdout().includes(`coap://[2001:db8:23::1]${first}`), { what: "the first state" });
    const second = await register("host4", "ep=second&et=watched");
    await eventually(() => observer.stdout().includes(`coap://[2001:db8:23::3]${second}`), {
      what: "a notification of host 2 through host 3",
    });

    // RD-C's process dies: its registrations give 5.04 at once, a new one is taken at once.
    const kept = startProcess(
      PINNED_NODE,
      [TRIBUTARY, "register", "--at", `coap://[${SHARED}]`, "--ep", "kept", "--lt", "4", "</kept>"],
      { netns: network.host("at4") },
    );
    await untilWritten(kept, "stdout", /\/reg\/host3\//);
    await nodes.get("host3")?.kill("SIGKILL");
    network.setClosest("at3", SHARED, "host2"); // routing notices, as it has to
    for (const site of HOSTS) {
      const renewal = await ask(site, ["-m", "post"], doomed);
      expect(renewal.code, `renewal at ${site}`).toBe("5.04");
      // Host 3 itself is dead, so its site is at host 2.
      expect(renewal.text, "says who").toContain("host3 does not answer");
    }
    // A proxy knows the clock of each RD to half a second, and shows the later of two registrations.
    await eventually(() => performance.now() - doomedMs > 1000, { what: "a second between the two" });
    let startedMs = performance.now();
    const moved = await register("host4", "ep=moving&lt=3600");
    const movedMs = performance.now() - startedMs;
    expect(moved).toMatch(/^\/reg\/host2\//);
    // The network reports a dead process: nobody waited for it.
    for (const [host, { timeout }] of Object.entries(await forwardedAt(network)))
      if (host !== "host3") expect({ host, timeout }).toEqual({ host, timeout: 0 });
    for (const site of HOSTS) {
      await eventually(
        async () => {
          const shown = await lookup(site, "ep=moving");
          // Says what is shown instead when it never comes.
          expect(shown).toContain(moved);
          return true;
        },
        { what: `the new one at ${site}` },
      );
      expect(await lookup(site, "ep=moving")).not.toContain("host3");
    }
    // An endpoint that follows RFC 9176 gets over it by itself, at the one address that it knows.
    await untilWritten(kept, "stdout", /\/reg\/host2\//);
    await eventually(async () => (await lookup("host1", "ep=kept")).includes("/reg/host2/"), { what: "its new place" });
    await kept.stop();

    // Host 2 falls silent as a whole, without a word of the network: the first registration waits for it once.
    network.setConnected("host2", false);
    network.setClosest("at3", SHARED, "host4");
    startedMs = performance.now();
    expect(await register("host4", "ep=again")).toMatch(/^\/reg\/host1\//);
    const silentMs = performance.now() - startedMs;
    startedMs = performance.now();
    expect(await register("host4", "ep=again-2")).toMatch(/^\/reg\/host1\//);
    const knownMs = performance.now() - startedMs;
    // Host 2 was asked by the first of them alone.
    const counted = (await forwardedAt(network)).host4?.timeout;
    expect(counted).toBe(1);
    expect(await codeOf("host4", "post", moved)).toBe("5.04");

    // It is back, and so is what it holds.
    network.setConnected("host2", true);
    await eventually(async () => (await codeOf("host4", "post", moved)) === "2.04", {
      what: "host 2 to be asked again",
    });
    process.stdout.write(
      `new registration after a dead RD ${movedMs.toFixed(0)} ms, after a silent one ${silentMs.toFixed(0)} ms, then ${knownMs.toFixed(0)} ms\n`,
    );
  });
});

async function readiness(netns: string): Promise<string> {
  const script = "fetch('http://127.0.0.1:8683/readyz').then((answer) => console.log(answer.status))";
  return (await runProcess(PINNED_NODE, ["-e", script], { netns })).stdout;
}

/** Requests that each host forwarded, by outcome. */
async function forwardedAt(network: NamespaceNetwork): Promise<Partial<Record<Host, Record<string, number>>>> {
  const script = "fetch('http://127.0.0.1:8683/metrics').then((answer) => answer.text()).then(console.log)";
  const counts: Partial<Record<Host, Record<string, number>>> = {};
  for (const host of HOSTS) {
    const { stdout } = await runProcess(PINNED_NODE, ["-e", script], { netns: network.host(host) });
    const byOutcome: Record<string, number> = {};
    for (const [, outcome = "", count] of stdout.matchAll(/^tributary_forwarded_total\{.*outcome="(\w+)"\} (\d+)$/gm))
      byOutcome[outcome] = (byOutcome[outcome] ?? 0) + Number(count);
    counts[host] = byOutcome;
  }
  return counts;
}
