import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { FIGURE_HOSTS, NamespaceNetwork } from "../harness/namespaces.js";
import { coapClient, describeWithPeers, eventually, PINNED_NODE, runProcess, startTributary } from "../peers/peers.js";

const example = (name: string) => fileURLToPath(new URL(`../../deploy/examples/${name}.yaml`, import.meta.url));
const registerMany = fileURLToPath(new URL("../harness/register-many.mjs", import.meta.url));

/** The endpoint of the draft's example. */
const KEY = "ep=endpoint1&d=facility23.eu.example.com";
const BASE = "coap://[2001:db8:23::1]";
const PROXIES = { x: "[2001:db8:23::1]", y: "[2001:db8:23::2]", z: "[2001:db8:4::4]" } as const;
const HOSTS = { x: "host1", y: "host2", z: "host4" } as const;
type Proxy = keyof typeof PROXIES;

describeWithPeers(["libcoap", "netns"], "draft 6.2, the figure with its addresses", () => {
  test("LPX-01 LPX-02 LPX-04 LPX-06 LPX-09 LPX-10 LPX-11 endpoint1 moves, an RD dies, a site is cut off", {
    timeout: 180_000,
  }, async () => {
    const network = new NamespaceNetwork([...FIGURE_HOSTS, { name: "endp", address: "2001:db8:23::e1/64" }]);
    const start = (host: string, file: string) =>
      startTributary({ configFile: example(file), netns: network.host(host) });
    await start("host1", "host1-rd-a-lp-x");
    await start("host2", "host2-rd-b-lp-y");
    const rdC = await start("host3", "host3-rd-c");
    await start("host4", "host4-lp-z");

    const endpoint = { netns: network.host("endp") };
    const register = async (rd: string, query: string, payload: string) => {
      const sent = await coapClient(
        ["-v", "6", "-m", "post", "-t", "40", "-e", payload, `coap://${rd}/rd?${query}`],
        endpoint,
      );
      const path = [...`${sent.stdout}${sent.stderr}`.matchAll(/Location-Path:([^,\s\]]+)/g)].map((match) => match[1]);
      expect(path.length, sent.stdout + sent.stderr).toBeGreaterThan(0);
      return `coap://${rd}/${path.join("/")}`;
    };
    /** Each proxy is asked from its own host, as a client of its site. */
    const lookup = async (proxy: Proxy, kind: "ep" | "res", query: string) => {
      const answer = await coapClient(["-m", "get", `coap://${PROXIES[proxy]}/rd-lookup/${kind}?${query}`], {
        netns: network.host(HOSTS[proxy]),
      });
      // A co-hosted RD's own registrations are paths on the host that was asked (RFC 9176 section 6.4).
      return answer.stdout.trim().replaceAll(/(?<=^<|,<|provenance=")(?=\/reg\/)/g, `coap://${PROXIES[proxy]}`);
    };
    const everywhere = (want: string, what: string, timeoutMs: number) =>
      Promise.all(
        (["x", "y", "z"] as const).map((proxy) =>
          eventually(async () => expect(await lookup(proxy, "ep", KEY)).toBe(want) ?? true, {
            what: `${what} at LP-${proxy}`,
            timeoutMs,
          }),
        ),
      );
    const shown = (href: string) =>
      `<${href}>;ep="endpoint1";d="facility23.eu.example.com";base="${BASE}";rt="core.rd-ep"`;
    await eventually(
      async () => {
        for (const host of Object.values(HOSTS)) {
          const { stdout } = await readiness(network.host(host));
          expect(stdout).toContain("200");
        }
        return true;
      },
      { what: "every proxy to follow its RDs" },
    );

    // RD-C's own discovery sends clients to host 2 for lookups (draft 6.2).
    const discovery = await coapClient(["-m", "get", "coap://[2001:db8:23::3]/.well-known/core?rt=core.rd*"], endpoint);
    expect(
      discovery.stdout
        .trim()
        .split(",")
        .map((link) => link.replace(/;ct=.*/, "")),
    ).toEqual([
      '</rd>;rt="core.rd"',
      '<coap://[2001:db8:23::2]/rd-lookup/ep>;rt="core.rd-lookup-ep"',
      '<coap://[2001:db8:23::2]/rd-lookup/res>;rt="core.rd-lookup-res"',
    ]);

    const atC = await register("[2001:db8:23::3]", `${KEY}&base=${BASE}`, '</sensors/temp>;if="core.s"');
    await everywhere(shown(atC), "RD-C's registration", 1000);

    await rdC.kill("SIGKILL");
    await everywhere(shown(atC), "the registration of the dead RD-C", 1000);

    const atB = await register("[2001:db8:23::2]", `${KEY}&base=${BASE}`, '</sensors/temp>;if="core.s"');
    await everywhere(shown(atB), "RD-B's registration alone", 1000);
    for (const proxy of ["x", "y", "z"] as const) {
      const links = await lookup(proxy, "res", "if=core.s&d=facility23.eu.example.com&provenance");
      expect(links).toBe(`<${BASE}/sensors/temp>;if="core.s";provenance="${atB}"`);
      expect(await lookup(proxy, "ep", "")).not.toContain("lt-age");
    }

    // A thousand endpoints at RD-A: what LP-Z gets for them is the measure for what it gets after healing.
    const beforeBulk = network.traffic("host4").received;
    const bulk = await runProcess(PINNED_NODE, [registerMany, "coap://[2001:db8:23::1]", "1000"], endpoint);
    expect(bulk.status, bulk.stderr).toBe(0);
    await eventually(async () => (await lookup("z", "ep", "ep=bulk999")) !== "", { what: "all of them at LP-Z" });
    const bulkBytes = network.traffic("host4").received - beforeBulk;

    // A short-lived registration, then LP-Z's site is cut off.
    const shortLived = await register("[2001:db8:23::1]", `ep=brief&lt=12&base=${BASE}`, "");
    await eventually(async () => (await lookup("z", "ep", "ep=brief")).includes(shortLived), {
      what: "the brief registration at LP-Z",
    });
    const cutAtMs = performance.now();
    network.setConnected("host4", false);
    expect(await lookup("z", "ep", "ep=brief")).toContain(shortLived);
    expect(await lookup("z", "ep", KEY)).toBe(shown(atB));
    await eventually(async () => (await lookup("z", "ep", "ep=brief")) === "", {
      what: "the brief registration to end",
    });
    expect(performance.now() - cutAtMs).toBeGreaterThan(3000);
    expect(await lookup("z", "ep", KEY), "what has not ended is still answered").toBe(shown(atB));

    // While it is cut off, one thing changes; healing transfers that and nothing else.
    const atA = await register("[2001:db8:23::1]", `ep=late&base=${BASE}`, '</late>;rt="late"');
    const before = network.traffic("host4").received;
    network.setConnected("host4", true);
    await eventually(async () => (await lookup("z", "ep", "ep=late")).includes(atA), {
      what: "LP-Z to catch up",
      timeoutMs: 60_000,
    });
    const healingBytes = network.traffic("host4").received - before;
    expect(healingBytes).toBeLessThan(bulkBytes / 20);
    expect(await lookup("z", "ep", "ep=bulk500")).toContain("2001:db8:b::1f4");
    process.stdout.write(`LP-Z received ${bulkBytes} bytes for 1000 registrations, ${healingBytes} to catch up\n`);
    expect(await lookup("z", "ep", KEY)).toBe(shown(atB));
  });
});

async function readiness(netns: string) {
  const script = "fetch('http://127.0.0.1:8683/readyz').then((answer) => console.log(answer.status))";
  return runProcess(PINNED_NODE, ["-e", script], { netns });
}
