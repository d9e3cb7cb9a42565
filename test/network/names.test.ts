import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, expect, test } from "vitest";
import { Link } from "../harness/link.js";
import {
  atEnd,
  eventually,
  PINNED_NODE,
  requirePeers,
  runTributary,
  startProcess,
  startTributary,
  TRIBUTARY,
  untilWritten,
} from "../peers/peers.js";

/** Twice as long as a name may take to be resolved again and a move to be believed. */
const MOVED_MS = 60_000;

beforeEach((context) => requirePeers(context, "netns"));

/** A namespace with a hosts file of its own. */
class NamedHosts {
  readonly netns = new Link().server;
  readonly #folder = `/etc/netns/${this.netns}`;

  constructor(...lines: string[]) {
    mkdirSync(this.#folder, { recursive: true });
    atEnd(() => rmSync(this.#folder, { recursive: true }));
    this.write(...lines);
  }

  /** The same file is written to: processes see it through a mount. */
  write(...lines: string[]): void {
    writeFileSync(`${this.#folder}/hosts`, ["127.0.0.1 localhost", "::1 localhost", ...lines, ""].join("\n"));
  }
}

async function startRd({ netns }: NamedHosts, address: string, ep: string): Promise<void> {
  const listen = [`coap://${address}`, `coap+tcp://${address}`];
  await startTributary({ config: { name: ep, listen, http: false, registration: {} }, netns });
  const args = [TRIBUTARY, "register", "--at", `coap://${address}`, "--ep", ep, "--base", "coap://192.0.2.7", "</a>"];
  await untilWritten(startProcess(PINNED_NODE, args, { netns }), "stdout", /^registered/m);
}

async function endpoints({ netns }: NamedHosts, at: string): Promise<string[]> {
  const { stdout } = await runTributary(["lookup", "ep", "--at", at], { netns });
  return [...stdout.matchAll(/ep="([a-z]+)"/g)].map(([, ep]) => ep as string);
}

test("an RD is reached at the second address of its name, by every way", async () => {
  const hosts = new NamedHosts("::1 rd.example", "127.0.0.2 rd.example");
  await startRd(hosts, "127.0.0.2", "one");
  for (const at of ["coap://rd.example", "coap+tcp://rd.example"]) expect(await endpoints(hosts, at)).toEqual(["one"]);
  for (const mode of ["replicate", "forward"])
    for (const scheme of ["coap", "coap+tcp"]) {
      const upstreams = [{ uri: `${scheme}://rd.example`, mode }];
      const config = { name: "lp", listen: ["coap://127.0.0.9"], http: false, lookup: { upstreams } };
      const lp = await startTributary({ config, netns: hosts.netns });
      await eventually(async () => (await endpoints(hosts, "coap://127.0.0.9")).join() === "one", {
        what: `${mode} by ${scheme}`,
      });
      await lp.stop();
    }
});

test("a name that moves moves its proxies once, with no empty directory in between", async () => {
  const hosts = new NamedHosts("127.0.0.2 rd.example");
  await startRd(hosts, "127.0.0.2", "before");
  await startRd(hosts, "127.0.0.3", "after");
  const ways = [
    { scheme: "coap", mode: "replicate", listen: "coap://127.0.0.10" },
    { scheme: "coap+tcp", mode: "replicate", listen: "coap://127.0.0.11" },
    { scheme: "coap", mode: "forward", listen: "coap://127.0.0.12" },
  ];
  const watches = await Promise.all(
    ways.map(async ({ scheme, mode, listen }) => {
      const upstreams = [{ name: "rd", uri: `${scheme}://rd.example`, mode }];
      const config = { name: "lp", listen: [listen], http: false, lookup: { upstreams } };
      await startTributary({ config, netns: hosts.netns });
      await eventually(async () => (await endpoints(hosts, listen)).join() === "before");
      const args = [TRIBUTARY, "lookup", "ep", "--at", listen, "--watch", "--json"];
      const watch = startProcess(PINNED_NODE, args, { netns: hosts.netns });
      await untilWritten(watch, "stdout", /before/);
      return { listen, mode, watch };
    }),
  );
  hosts.write("127.0.0.3 rd.example");
  for (const { listen, mode, watch } of watches) {
    await eventually(async () => (await endpoints(hosts, listen)).join() === "after", { timeoutMs: MOVED_MS });
    if (mode === "replicate") await untilWritten(watch, "stdout", /after/);
    const changes = watch.stdout().trim().split("\n").slice(1);
    const withoutAny = changes.filter((line) => !line.includes("after"));
    expect([listen, withoutAny]).toEqual([listen, []]);
    expect(changes.length).toBeLessThanOrEqual(1);
  }
}, 180_000);
